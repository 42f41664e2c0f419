//! The disk itself, behind one lock: files, names, life and death, and the gate that every operation passes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::digest::{self, Digest};
use crate::directory::{Directories, FileId};
use crate::draws::Draws;
use crate::fault::{Death, IoError, OpKind, Operation, Verdict};
use crate::image::FileImage;
use crate::locks::FileLocks;
use crate::shm::FileShm;
use crate::stats::Stats;
use crate::vfs::Registration;

/// The capacity of a new disk in bytes: enough for any test, and small enough that a wild offset cannot exhaust the
/// memory of the machine that simulates it.
const DEFAULT_CAPACITY: u64 = 1 << 30;

/// 2000-01-01T00:00:00Z, where a disk's time begins when no clock was plugged in.
const DEFAULT_EPOCH: Duration = Duration::from_secs(946_684_800);

/// What the world sees each operation with.
pub(crate) type Observer = Box<dyn FnMut(&Operation<'_>) -> Verdict + Send>;

/// Tells the time since 1970-01-01T00:00:00Z.
pub(crate) type Clock = Box<dyn FnMut() -> Duration + Send>;

/// How long operations take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// A read, an open, a deletion.
    pub read: Duration,
    /// A write or a truncation: into the cache.
    pub write: Duration,
    /// A sync of a file or a directory.
    pub sync: Duration,
}

impl Default for Latency {
    /// A good solid-state disk: 80 µs, 20 µs, 1.5 ms.
    fn default() -> Self {
        Latency { read: Duration::from_micros(80), write: Duration::from_micros(20), sync: Duration::from_micros(1500) }
    }
}

impl Latency {
    fn of(&self, kind: OpKind) -> Duration {
        match kind {
            OpKind::Open | OpKind::Read | OpKind::Delete => self.read,
            OpKind::Write | OpKind::Truncate => self.write,
            OpKind::Sync | OpKind::SyncDirectory => self.sync,
        }
    }
}

/// What the handles of one disk share.
pub(crate) struct Shared {
    pub registration: Registration,
    state: Mutex<State>,
    observer: Mutex<Option<Observer>>,
    clock: Mutex<Option<Clock>>,
}

/// A panic of an observer leaves nothing half done here, so a poisoned lock is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An operation that may be carried out, in the way that the verdict says.
pub(crate) struct Admitted<'a> {
    pub state: MutexGuard<'a, State>,
    pub verdict: Verdict,
    pub ordinal: u64,
}

impl Shared {
    pub fn new(seed: u64, registration: Registration) -> Self {
        Shared {
            registration,
            state: Mutex::new(State::new(seed)),
            observer: Mutex::new(None),
            clock: Mutex::new(None),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The state, if handles of `epoch` are alive.
    pub fn alive(&self, epoch: u64) -> Result<MutexGuard<'_, State>, IoError> {
        let state = self.state();
        state.check_alive(Some(epoch))?;
        Ok(state)
    }

    pub fn set_observer(&self, observer: Option<Observer>) {
        *lock(&self.observer) = observer;
    }

    pub fn set_clock(&self, clock: Option<Clock>) {
        *lock(&self.clock) = clock;
    }

    /// The time since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> Duration {
        match lock(&self.clock).as_mut() {
            Some(clock) => clock(),
            None => DEFAULT_EPOCH + self.state().spent_in_all,
        }
    }

    /// The gate. Counts the operation, shows it to the observer, and says what becomes of it. `epoch` is that of the
    /// handle, where there is one.
    pub fn admit(
        &self,
        epoch: Option<u64>,
        kind: OpKind,
        path: &str,
        (offset, len): (u64, u64),
    ) -> Result<Admitted<'_>, IoError> {
        // Held to the end, so that two threads' operations reach the observer in the order of their ordinals.
        let mut observer = lock(&self.observer);
        let mut state = self.state();
        state.check_alive(epoch)?;
        state.ordinal += 1;
        let ordinal = state.ordinal;
        let verdict = match observer.as_mut() {
            None => Verdict::Proceed,
            Some(observe) => {
                // The observer may ask the disk for its figures, and may kill it.
                drop(state);
                let verdict = observe(&Operation { ordinal, kind, path, offset, len });
                state = self.state();
                state.check_alive(epoch)?;
                verdict.sensible_for(kind)
            }
        };
        state.record(kind, path, (offset, len), verdict);
        Ok(Admitted { state, verdict, ordinal })
    }
}

/// One file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub image: FileImage,
    pub locks: FileLocks,
    pub shm: FileShm,
    /// How many living handles are open on it.
    pub handles: usize,
}

/// Everything that a disk is.
pub(crate) struct State {
    pub seed: u64,
    pub directories: Directories,
    files: BTreeMap<FileId, File>,
    next_file: u64,
    /// Raised by each death. A handle of an earlier epoch is dead.
    pub epoch: u64,
    dead: Option<Death>,
    pub ordinal: u64,
    pub capacity: u64,
    pub latency: Latency,
    /// Since it was last taken.
    spent: Duration,
    spent_in_all: Duration,
    pub stats: Stats,
    pub digest: Digest,
    /// How often SQLite asked for randomness.
    randomness: u64,
}

impl State {
    fn new(seed: u64) -> Self {
        State {
            seed,
            directories: Directories::default(),
            files: BTreeMap::new(),
            next_file: 0,
            epoch: 0,
            dead: None,
            ordinal: 0,
            capacity: DEFAULT_CAPACITY,
            latency: Latency::default(),
            spent: Duration::ZERO,
            spent_in_all: Duration::ZERO,
            stats: Stats::default(),
            digest: Digest::new(),
            randomness: 0,
        }
    }

    pub fn is_dead(&self) -> bool {
        self.dead.is_some()
    }

    pub fn check_alive(&self, epoch: Option<u64>) -> Result<(), IoError> {
        if self.is_dead() || epoch.is_some_and(|epoch| epoch != self.epoch) { Err(IoError::Dead) } else { Ok(()) }
    }

    fn record(&mut self, kind: OpKind, path: &str, (offset, len): (u64, u64), verdict: Verdict) {
        self.stats.count(kind);
        self.stats.count_fault(verdict);
        self.spend(self.latency.of(kind));
        self.digest.word(kind as u64);
        self.digest.bytes(path.as_bytes());
        self.digest.word(offset);
        self.digest.word(len);
        self.digest.word(match verdict {
            Verdict::Proceed => 0,
            Verdict::Die(Death::Kill) => 1,
            Verdict::Die(Death::PowerCut(unsynced)) => 2 + ((unsynced as u64) << 8),
            Verdict::Fail(fault) => 3 + ((fault as u64) << 8),
            Verdict::Lie => 4,
        });
    }

    /// Charges simulated time.
    pub fn spend(&mut self, time: Duration) {
        self.spent += time;
        self.spent_in_all += time;
    }

    pub fn take_spent(&mut self) -> Duration {
        std::mem::take(&mut self.spent)
    }

    /// Draws that belong to one operation.
    pub fn draws(&self, purpose: &str, ordinal: u64) -> Draws {
        Draws::new(self.seed, purpose, ordinal)
    }

    pub fn randomness(&mut self, bytes: &mut [u8]) {
        self.randomness += 1;
        self.draws("randomness", self.randomness).fill(bytes);
    }

    pub fn create_file(&mut self) -> FileId {
        let file = FileId(self.next_file);
        self.next_file += 1;
        self.files.insert(file, File::default());
        file
    }

    /// A file that a living handle or a name leads to.
    pub fn file(&mut self, file: FileId) -> &mut File {
        self.files.get_mut(&file).expect("a file lives as long as a name or a handle leads to it")
    }

    /// A file's content by name.
    pub fn named(&self, path: &str) -> Option<&FileImage> {
        self.directories.get(path).map(|file| &self.files[&file].image)
    }

    /// Forgets a file that nothing leads to any more.
    pub fn release(&mut self, file: FileId) {
        if self.files.get(&file).is_some_and(|it| it.handles == 0) && !self.directories.may_name(file) {
            self.files.remove(&file);
        }
    }

    /// Forgets every file that nothing leads to any more.
    pub fn release_all(&mut self) {
        let directories = &self.directories;
        self.files.retain(|file, it| it.handles > 0 || directories.may_name(*file));
    }

    /// Bytes in use by files that have a name or a handle. Holes count.
    pub fn used(&self) -> u64 {
        let in_use = |(id, file): &(&FileId, &File)| file.handles > 0 || self.directories.names(**id);
        self.files.iter().filter(in_use).map(|(_, file)| file.image.len() as u64).sum()
    }

    /// Makes sure that a file may become `len` bytes long.
    pub fn make_room(&mut self, file: FileId, len: u64) -> Result<(), IoError> {
        let now = self.file(file).image.len() as u64;
        if len > now && (self.used() - now).saturating_add(len) > self.capacity {
            self.stats.full += 1;
            return Err(IoError::NoSpace);
        }
        Ok(())
    }

    /// Ends everything. A power cut that hits a disk whose process was killed loses what the cache held.
    pub fn die(&mut self, death: Death) {
        match (self.dead, death) {
            (None, _) => {
                self.epoch += 1;
                for file in self.files.values_mut() {
                    (file.locks, file.shm, file.handles) = (FileLocks::default(), FileShm::default(), 0);
                }
            }
            (Some(Death::Kill), Death::PowerCut(_)) => {}
            (Some(_), _) => return,
        }
        self.dead = Some(death);
        match death {
            Death::Kill => self.stats.kills += 1,
            Death::PowerCut(unsynced) => {
                self.stats.power_cuts += 1;
                let cut = self.stats.power_cuts;
                let (kept, dropped) = self.directories.cut_power(unsynced, &mut Draws::new(self.seed, "entries", cut));
                self.stats.entries_kept += kept;
                self.stats.entries_dropped += dropped;
                for (path, id) in self.directories.iter() {
                    // Keyed by name, so that what becomes of one file does not hang on which others exist.
                    let mut draws = Draws::new(self.seed, "sectors", digest::of(path.as_bytes()) ^ cut);
                    let file = self.files.get_mut(&id).expect("a name leads to a file");
                    self.stats.sectors += file.image.cut_power(unsynced, &mut draws);
                }
            }
        }
        self.release_all();
        self.digest.word(0xdead);
    }

    /// Returns to life with whatever is there.
    pub fn revive(&mut self) {
        self.dead = None;
    }

    /// Makes `path` hold `content`, durably, whatever was there.
    pub fn put(&mut self, path: &str, content: Vec<u8>) {
        let file = self.directories.get(path).unwrap_or_else(|| self.create_file());
        self.file(file).image = FileImage::durable(content);
        self.directories.fix(path, Some(file));
    }

    /// Makes sure that there is no file of that name, durably.
    pub fn remove(&mut self, path: &str) {
        self.directories.fix(path, None);
        self.release_all();
    }
}
