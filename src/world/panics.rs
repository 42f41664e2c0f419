//! Where panics go: into the record, quietly, wherever they happen.
//!
//! tokio catches the panic of a task and keeps it to itself; only a hook sees them all.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Once};

use super::state::{Shared, lock};

thread_local! {
    /// The run that this thread is in.
    static COLLECTING: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// Runs `body`; the panics of this thread go to `shared` in the meantime, those of other threads where they went before.
pub(super) fn collect<R>(shared: &Arc<Shared>, body: impl FnOnce() -> R) -> R {
    struct Leave(Option<Arc<Shared>>);
    impl Drop for Leave {
        fn drop(&mut self) {
            COLLECTING.set(self.0.take());
        }
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let collected = COLLECTING.with_borrow(|run| run.as_ref().map(|run| note(run, info)));
            if collected.is_none() {
                before(info);
            }
        }));
    });
    let _leave = Leave(COLLECTING.replace(Some(shared.clone())));
    body()
}

fn note(run: &Shared, info: &PanicHookInfo<'_>) {
    if run.is_posthumous() {
        return;
    }
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
    lock(&run.panics).push((run.running().to_owned(), format!("{message}{place}")));
}
