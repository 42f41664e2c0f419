//! Damage that shows once, and damage that stays.

use std::fmt::Display;
use std::time::Duration;

/// How long to wait before a file that looked damaged is looked at again, in milliseconds: three seconds in all,
/// which is longer than any fault of the profiles that passes by itself.
const PAUSES_MS: [u64; 5] = [100, 200, 400, 800, 1_600];

/// Opens what may be damaged; damage is believed once it has shown six times in three seconds.
///
/// A read that comes up short looks like damage: SQLite takes what is missing for zeros, since it reads behind the end of
/// files on purpose (`sqlite3OsRead` in its `pager.c`). Who believes that at once and refuses to start keeps a sound
/// database down until somebody has looked at it. So nothing of an attempt that failed may be kept for the next one.
///
/// # Errors
///
/// The last attempt's, or the first that is no damage.
pub async fn look_again<T, E: Display>(
    is_damage: impl Fn(&E) -> bool,
    open: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    for pause in PAUSES_MS.map(Duration::from_millis) {
        match open().await {
            Err(error) if is_damage(&error) => {
                tracing::warn!("looking again in {} ms, because this may pass: {error}", pause.as_millis());
                tokio::time::sleep(pause).await;
            }
            done => return done,
        }
    }
    open().await
}
