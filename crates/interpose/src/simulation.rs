//! Which thread is simulated, by what seed and what clock.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{Counts, Reading};

/// Keeps the bytes drawn through libc apart from other streams that a harness
/// keys by the same seed.
const STREAM: u64 = u64::from_be_bytes(*b"interpos");

/// One call of [`simulate`], on the stack of that call.
struct Frame<'a> {
    entropy: RefCell<ChaCha8Rng>,
    clock: &'a dyn Fn() -> Reading,
    /// True while `clock` runs, see [`simulate`].
    reading: Cell<bool>,
    last: Cell<Reading>,
    counts: Cell<Counts>,
}

thread_local! {
    /// The innermost simulation of this thread, or null. Constant and without a
    /// destructor, so reading it never allocates: `malloc` itself may ask.
    static CURRENT: Cell<*const Frame<'static>> = const { Cell::new(ptr::null()) };
}

static REAL_ENTROPY_DRAWS: AtomicU64 = AtomicU64::new(0);
static REAL_CLOCK_READS: AtomicU64 = AtomicU64::new(0);

/// Runs `body` with this thread simulated: its entropy is keyed by `seed`, its
/// clocks show what `clock` returns at each read.
///
/// Simulations nest; the innermost answers. If `clock` reads a clock, it
/// gets its previous reading. It runs under a C function, so it must not panic:
/// the process would abort. The clocks of CPU time stay real.
///
/// Bytes come from ChaCha8. Draws allocate nothing and take no lock.
pub fn simulate<R>(seed: u64, clock: &dyn Fn() -> Reading, body: impl FnOnce() -> R) -> R {
    /// Leaves the simulation, by return or by panic.
    struct Leave(*const Frame<'static>);
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }

    let mut entropy = ChaCha8Rng::seed_from_u64(seed);
    entropy.set_stream(STREAM);
    let frame = Frame {
        entropy: RefCell::new(entropy),
        clock,
        reading: Cell::new(false),
        last: Cell::default(),
        counts: Cell::default(),
    };
    let _leave = Leave(CURRENT.replace((&raw const frame).cast()));
    body()
}

/// How often this thread's innermost simulation was asked so far; `None`
/// outside a simulation.
///
/// Two runs of one plan must agree on it.
pub fn counts() -> Option<Counts> {
    current(|frame| frame.counts.get())
}

/// How often the kernel was asked since this process began, by all threads.
///
/// A rise during a simulation is a leak: something in the process, probably
/// another thread, drew entropy or read a clock that the seed does not decide.
pub fn passed_through() -> Counts {
    Counts { entropy_draws: REAL_ENTROPY_DRAWS.load(Relaxed), clock_reads: REAL_CLOCK_READS.load(Relaxed) }
}

/// Applies `f` to this thread's innermost simulation, if it is in one.
fn current<R>(f: impl FnOnce(&Frame<'_>) -> R) -> Option<R> {
    // SAFETY: the pointer is null or that of a frame further up this thread's
    // stack, whose `Leave` replaces it before the frame ends. `f` cannot keep
    // the reference, whose lifetime it may not name.
    unsafe { CURRENT.get().as_ref() }.map(f)
}

/// Fills `buffer()` with simulated bytes; false outside a simulation, where it
/// is not called.
pub(crate) fn draw<'a>(buffer: impl FnOnce() -> &'a mut [u8]) -> bool {
    let drawn = current(|frame| {
        let counts = frame.counts.get();
        frame.counts.set(Counts { entropy_draws: counts.entropy_draws + 1, ..counts });
        frame.entropy.borrow_mut().fill_bytes(buffer());
    });
    if drawn.is_none() {
        REAL_ENTROPY_DRAWS.fetch_add(1, Relaxed);
    }
    drawn.is_some()
}

/// The simulated clocks; `None` outside a simulation.
pub(crate) fn read_clock() -> Option<Reading> {
    let reading = current(|frame| {
        let counts = frame.counts.get();
        frame.counts.set(Counts { clock_reads: counts.clock_reads + 1, ..counts });
        if !frame.reading.replace(true) {
            frame.last.set((frame.clock)());
            frame.reading.set(false);
        }
        frame.last.get()
    });
    if reading.is_none() {
        REAL_CLOCK_READS.fetch_add(1, Relaxed);
    }
    reading
}
