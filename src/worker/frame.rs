//! What pool, worker and child say to each other over pipes.
//!
//! A frame is a byte for its kind, eight bytes of length (little-endian) and the
//! body. Receivers wait with a deadline and an alarm instead of a thread.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use interpose::{process, real_monotonic};

use super::Outcome;

/// A longer body is a sign of a stream out of step, not of a result.
const BODY_LENGTH_MAX: u64 = 1 << 32;

/// What a frame's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Worker to pool, once: a `Choice` as JSON.
    Ready = b'R',
    /// Pool to worker: a job as it is.
    Job = b'J',
    /// To the pool: the result as it is.
    Finished = b'F',
    /// To the pool: an [`Outcome`] without a result, as JSON.
    Failed = b'X',
}

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) body: Vec<u8>,
}

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoFrame {
    /// The other side closed the stream, perhaps within a frame.
    #[error("the stream ended")]
    Ended,
    #[error("the time is over")]
    TimedOut,
    /// The descriptor given as alarm became readable or was closed.
    #[error("interrupted")]
    Alarmed,
    #[error("a frame of kind {kind} and {length} bytes makes no sense here")]
    Senseless { kind: u8, length: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What ends the wait for a frame, apart from the frame.
#[derive(Clone, Copy, Default)]
pub(super) struct Until<'a> {
    pub(super) timeout: Option<Duration>,
    pub(super) alarm: Option<BorrowedFd<'a>>,
}

impl Frame {
    /// The frame that tells the pool of an outcome.
    pub(super) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Finished(body) => Self { kind: Kind::Finished, body },
            failed => Self { kind: Kind::Failed, body: json(&failed) },
        }
    }

    /// The outcome that the frame tells of.
    pub(super) fn outcome(self) -> Result<Outcome, NoFrame> {
        match self.kind {
            Kind::Finished => Ok(Outcome::Finished(self.body)),
            Kind::Failed => self.parse(),
            Kind::Ready | Kind::Job => Err(self.senseless()),
        }
    }

    /// The body, which is JSON.
    pub(super) fn parse<T: serde::de::DeserializeOwned>(self) -> Result<T, NoFrame> {
        serde_json::from_slice(&self.body).map_err(|_| self.senseless())
    }

    /// The frame as an error.
    pub(super) fn senseless(&self) -> NoFrame {
        NoFrame::Senseless { kind: self.kind as u8, length: self.body.len() as u64 }
    }

    /// Writes the frame; blocks while the pipe is full.
    pub(super) fn write(&self, mut to: &File) -> io::Result<()> {
        let mut header = [self.kind as u8; 9];
        header[1..].copy_from_slice(&(self.body.len() as u64).to_le_bytes());
        to.write_all(&header)?;
        to.write_all(&self.body)
    }

    /// Reads a frame.
    pub(super) fn read(from: &File, until: Until<'_>) -> Result<Self, NoFrame> {
        let deadline = until.timeout.and_then(|timeout| real_monotonic().checked_add(timeout));
        let mut header = [0; 9];
        fill(&mut header, from, deadline, until.alarm)?;
        let [kind, length @ ..] = header;
        let length = u64::from_le_bytes(length);
        let known = match kind {
            b'R' => Kind::Ready,
            b'J' => Kind::Job,
            b'F' => Kind::Finished,
            b'X' => Kind::Failed,
            _ => return Err(NoFrame::Senseless { kind, length }),
        };
        if length > BODY_LENGTH_MAX {
            return Err(NoFrame::Senseless { kind, length });
        }
        let mut body = vec![0; length as usize];
        fill(&mut body, from, deadline, until.alarm)?;
        Ok(Self { kind: known, body })
    }
}

/// JSON of our own types, none of which can fail to become it.
pub(super) fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the protocol's types are JSON")
}

/// Reads until the buffer is full.
fn fill(
    mut buffer: &mut [u8],
    mut from: &File,
    deadline: Option<Duration>,
    alarm: Option<BorrowedFd<'_>>,
) -> Result<(), NoFrame> {
    // The stream comes first: what has arrived counts, alarm or not.
    let descriptors: Vec<_> = [Some(from.as_fd()), alarm].into_iter().flatten().collect();
    while !buffer.is_empty() {
        let left = deadline.map(|deadline| deadline.saturating_sub(real_monotonic()));
        match process::wait_readable(&descriptors, left)? {
            Some(0) => {}
            Some(_) => return Err(NoFrame::Alarmed),
            None => return Err(NoFrame::TimedOut),
        }
        match from.read(buffer) {
            Ok(0) => return Err(NoFrame::Ended),
            Ok(length) => buffer = &mut buffer[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    fn pipe() -> (File, File) {
        let (reader, writer) = io::pipe().expect("a pipe");
        (OwnedFd::from(reader).into(), OwnedFd::from(writer).into())
    }

    #[test]
    fn frames_arrive_as_they_were_sent() {
        let (reader, writer) = pipe();
        let outcomes = [
            Outcome::Finished(vec![0, 255, 10]),
            Outcome::Finished(Vec::new()),
            Outcome::Panicked { message: "a \"quoted\"\nline".into(), location: Some("a.rs:1:2".into()) },
            Outcome::Died { signal: 11 },
            Outcome::Exited { code: 3 },
            Outcome::TimedOut { watchdog: Duration::from_millis(1500) },
            Outcome::WorkerLost { reason: "gone".into() },
        ];
        for outcome in &outcomes {
            Frame::of(outcome.clone()).write(&writer).expect("written");
        }
        for outcome in outcomes {
            let frame = Frame::read(&reader, Until::default()).expect("read");
            assert_eq!(frame.outcome().expect("an outcome"), outcome);
        }
    }

    #[test]
    fn a_body_larger_than_the_pipe_arrives() {
        let (reader, writer) = pipe();
        let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let frame = Frame { kind: Kind::Job, body };
        std::thread::scope(|scope| {
            scope.spawn(|| frame.write(&writer).expect("written"));
            assert_eq!(Frame::read(&reader, Until::default()).expect("read"), frame);
        });
    }

    #[test]
    fn half_a_frame_is_an_end() {
        let (reader, mut writer) = pipe();
        writer.write_all(&[b'J', 5, 0, 0, 0, 0, 0, 0, 0, b'h']).expect("written");
        drop(writer);
        assert!(matches!(Frame::read(&reader, Until::default()), Err(NoFrame::Ended)));
    }

    #[test]
    fn silence_ends_with_the_time_out_or_the_alarm() {
        let (reader, _writer) = pipe();
        let timeout = Some(Duration::from_millis(1));
        let read = |until| Frame::read(&reader, until);
        assert!(matches!(read(Until { timeout, alarm: None }), Err(NoFrame::TimedOut)));

        let (alarm, ringer) = pipe();
        let until = Until { timeout, alarm: Some(alarm.as_fd()) };
        assert!(matches!(read(until), Err(NoFrame::TimedOut)));
        drop(ringer);
        assert!(matches!(read(Until { timeout: None, ..until }), Err(NoFrame::Alarmed)));
    }

    #[test]
    fn what_has_arrived_comes_before_the_alarm() {
        let (reader, writer) = pipe();
        let (alarm, ringer) = pipe();
        let frame = Frame { kind: Kind::Job, body: b"job".to_vec() };
        frame.write(&writer).expect("written");
        drop(ringer);
        let until = Until { timeout: None, alarm: Some(alarm.as_fd()) };
        assert_eq!(Frame::read(&reader, until).expect("read"), frame);
    }

    #[test]
    fn a_stream_out_of_step_is_refused() {
        let (reader, mut writer) = pipe();
        writer.write_all(b"panicked at").expect("written");
        let error = Frame::read(&reader, Until::default()).expect_err("that is no frame");
        assert!(matches!(error, NoFrame::Senseless { kind: b'p', .. }), "{error}");

        let (reader, mut writer) = pipe();
        writer.write_all(&[b'F', 0, 0, 0, 0, 0, 1, 0, 0]).expect("written");
        let error = Frame::read(&reader, Until::default()).expect_err("that is too long");
        assert!(matches!(error, NoFrame::Senseless { kind: b'F', length: 0x0100_0000_0000 }), "{error}");

        let job = Frame { kind: Kind::Job, body: Vec::new() };
        assert!(matches!(job.outcome(), Err(NoFrame::Senseless { .. })));
    }
}
