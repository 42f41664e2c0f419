//! What can be asked of a disk, and what can go wrong with it.

/// A kind of operation that can fail or that durability depends on.
///
/// Only these are counted and shown to the observer. Locks, sizes and existence are answered from memory by a real
/// operating system as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpKind {
    /// A file is opened, and created if need be.
    Open,
    /// Bytes are read.
    Read,
    /// Bytes are written, into the operating system's cache.
    Write,
    /// A file's length is changed.
    Truncate,
    /// A file's content is made durable.
    Sync,
    /// A directory's entries are made durable. SQLite asks for it at the first sync of a new journal or WAL, and after
    /// a deletion that has to last.
    SyncDirectory,
    /// A file's directory entry is removed.
    Delete,
}

impl OpKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [OpKind; 7] = [
        OpKind::Open,
        OpKind::Read,
        OpKind::Write,
        OpKind::Truncate,
        OpKind::Sync,
        OpKind::SyncDirectory,
        OpKind::Delete,
    ];
}

/// An operation that is about to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// 1, 2, 3 … over the disk's whole life. A restart does not reset it.
    pub ordinal: u64,
    /// What is asked for.
    pub kind: OpKind,
    /// The file, or the directory for [`OpKind::SyncDirectory`]. A temporary file without a name has the empty path.
    pub path: &'a str,
    /// Where it begins, in bytes; for [`OpKind::Truncate`] the new length.
    pub offset: u64,
    /// How much, in bytes; 0 where the kind has no extent.
    pub len: u64,
}

/// What becomes of an operation.
///
/// A verdict that makes no sense for the kind (a short read of a write) is [`Verdict::Proceed`] and is not counted as a
/// fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried out.
    #[default]
    Proceed,
    /// The disk dies in the middle of it: see [`Death`].
    Die(Death),
    /// It fails with an error.
    Fail(IoFault),
    /// A sync, of a file or of a directory, that answers "done" and does nothing.
    Lie,
}

impl Verdict {
    /// This verdict, if it makes sense for `kind`.
    pub(crate) fn sensible_for(self, kind: OpKind) -> Verdict {
        let sensible = match self {
            Verdict::Proceed | Verdict::Die(_) | Verdict::Fail(IoFault::Eio) => true,
            Verdict::Fail(IoFault::NoSpace) => {
                matches!(kind, OpKind::Open | OpKind::Write | OpKind::Truncate | OpKind::Sync)
            }
            Verdict::Fail(IoFault::ShortRead) => kind == OpKind::Read,
            Verdict::Lie => matches!(kind, OpKind::Sync | OpKind::SyncDirectory),
        };
        if sensible { self } else { Verdict::Proceed }
    }
}

/// How a disk dies, from its process' point of view.
///
/// Either way, handles opened before are dead for ever, locks and shared memory are gone, and nothing works until
/// [`Disk::revive`](crate::Disk::revive). An operation during which the disk dies may be half done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Death {
    /// The process is killed. The operating system goes on, so all that was written survives, synced or not.
    Kill,
    /// The machine loses power. What was synced survives; what else does is for [`Unsynced`] to say.
    PowerCut(Unsynced),
}

/// What a power cut does to what was not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unsynced {
    /// One of the others, drawn for each file: a quarter, a quarter, a half.
    #[default]
    Drawn,
    /// Nothing that was not synced survives.
    LoseAll,
    /// Everything survives, as if it had been synced.
    KeepAll,
    /// Each 512-byte sector holds one of the contents it had since the last sync, or is torn between two of them; the
    /// file has one of the lengths it had; holes hold zeros or garbage; each directory keeps a prefix of its changes.
    Mixed,
}

/// An error that an operation can be made to fail with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IoFault {
    /// The medium fails. A write may have been carried out in part. A sync loses what it was asked to make durable: some
    /// sectors reach the medium, and no later sync will write the others, although reads still see them (as Linux
    /// behaves).
    Eio,
    /// There is no room. Can fail an open, a write, a truncation, and a sync, which then loses data as with
    /// [`IoFault::Eio`]: a file system may find room for cached data no earlier than that.
    NoSpace,
    /// A read that returns fewer bytes than the file has there.
    ShortRead,
}

/// Why an operation was refused, seen from inside the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IoError {
    /// The disk is dead, or was when the handle was opened.
    #[error("the disk is dead")]
    Dead,
    #[error("input/output error")]
    Eio,
    #[error("no space left on device")]
    NoSpace,
    #[error("no such file")]
    NotFound,
    #[error("the file exists")]
    Exists,
    #[error("the file is locked")]
    Busy,
}

impl From<IoFault> for IoError {
    fn from(fault: IoFault) -> Self {
        match fault {
            IoFault::Eio | IoFault::ShortRead => IoError::Eio,
            IoFault::NoSpace => IoError::NoSpace,
        }
    }
}
