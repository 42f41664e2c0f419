//! Where two runs of one plan part, and why they probably do.
//!
//! Most leaks are seen at the first piece of the chain that differs, or in what was noticed of the real world until
//! then. What cannot be seen is told apart by an experiment: a third run in the setting of the first. If those two
//! agree, only addresses were left to differ.

use std::fmt;
use std::time::Duration;

use crate::chain::{Around, Link};

/// How long before its report a clock was read that shows in a difference.
const RECENT: Duration = Duration::from_secs(300);

/// Less CPU time than this may be that of the thread that waits for the run.
const CPU_ELSEWHERE_US_MIN: u64 = 20;

/// The first piece in which two runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence<'a> {
    /// Its place in the chain, from 0.
    pub place: usize,
    /// The piece in the first run; `None` if that run was over.
    pub first: Option<&'a Link>,
    /// The piece in the second run.
    pub second: Option<&'a Link>,
    /// The last piece in which they agree.
    pub before: Option<&'a Link>,
}

/// What is known of two runs beside their chains.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// What a third run, in the setting of the first, came to.
    pub control: Control,
    /// The time of day when both were over, since 1970.
    pub utc: Duration,
    /// The monotonic clock then.
    pub monotonic: Duration,
}

/// What a third run, in the setting of the first, came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The same as the first, with the same addresses.
    Same,
    /// Something else, although the addresses were the same.
    Different,
    /// It had other addresses, so it says nothing.
    Unknown,
}

/// Why two runs probably differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Another thread ran beside the simulation.
    Thread(Evidence),
    /// A real file, device or pipe was read: so many calls before the piece that differs.
    Read(u64),
    /// A clock was read around libc; it shows in the piece.
    Clock(Shown),
    /// Addresses, or an order that follows from them.
    Addresses,
    /// Nothing above: addresses were not the same in any two runs, so they remain, as does [`Source::Unseen`].
    AddressesOrUnseen,
    /// Nothing above, and not addresses.
    Unseen,
}

/// What shows that another thread ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It recorded something itself.
    Recorded,
    /// It is there: so many.
    Alive(u64),
    /// It drew entropy or read clocks, so many times.
    Drew(u64),
    /// It used so many microseconds of CPU time.
    Ran(u64),
}

/// Which clock shows in a piece that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The time of day.
    Utc,
    /// The monotonic clock.
    Monotonic,
}

impl<'a> Divergence<'a> {
    /// Compares two chains; `None` if they are the same.
    pub fn between(first: &'a [Link], second: &'a [Link]) -> Option<Divergence<'a>> {
        let differ = |place: &usize| {
            let [one, other] = [first, second].map(|chain| chain.get(*place));
            one.map(what) != other.map(what)
        };
        let place = (0..first.len().max(second.len())).find(differ)?;
        let before = place.checked_sub(1).map(|before| &first[before]);
        Some(Divergence { place, first: first.get(place), second: second.get(place), before })
    }

    /// Names the likely source. What was seen comes before what is concluded.
    pub fn source(&self, circumstances: Circumstances) -> Source {
        let Circumstances { control, .. } = circumstances;
        let most = |figure: fn(&Around) -> u64| self.sides().map(|link| figure(&link.around)).max().unwrap_or(0);
        let reads = most(|around| around.reads);
        if self.sides().any(|link| link.around.from_elsewhere) {
            Source::Thread(Evidence::Recorded)
        } else if most(|around| around.passed_through) > 0 {
            Source::Thread(Evidence::Drew(most(|around| around.passed_through)))
        } else if most(|around| around.threads) > 0 {
            Source::Thread(Evidence::Alive(most(|around| around.threads)))
        } else if reads > 0 {
            Source::Read(reads)
        } else if let Some(shown) = self.clock(circumstances) {
            Source::Clock(shown)
        } else if control == Control::Same {
            Source::Addresses
        } else if most(|around| around.cpu_elsewhere_us) >= CPU_ELSEWHERE_US_MIN {
            Source::Thread(Evidence::Ran(most(|around| around.cpu_elsewhere_us)))
        } else if control == Control::Unknown {
            Source::AddressesOrUnseen
        } else {
            Source::Unseen
        }
    }

    fn sides(&self) -> impl Iterator<Item = &'a Link> {
        [self.first, self.second].into_iter().flatten()
    }

    /// The clock that shows in numbers that are not the same on both sides.
    fn clock(&self, Circumstances { utc, monotonic, .. }: Circumstances) -> Option<Shown> {
        let (first, second) = (self.first?, self.second?);
        let shows = |now: Duration| {
            numbers(&first.text)
                .zip(numbers(&second.text))
                .filter(|(one, other)| one != other)
                .any(|(one, other)| is_recent(one, now) && is_recent(other, now))
        };
        if shows(utc) {
            Some(Shown::Utc)
        } else if shows(monotonic) {
            Some(Shown::Monotonic)
        } else {
            None
        }
    }
}

/// What makes two pieces the same.
fn what(link: &Link) -> (u64, &str, &str, u64) {
    (link.at_ms, &link.host, &link.text, link.digest)
}

fn numbers(text: &str) -> impl Iterator<Item = u128> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok())
}

/// Whether a number is a reading of a clock that shows `now`, in a usual unit. Small numbers are too common to tell.
fn is_recent(number: u128, now: Duration) -> bool {
    const SMALL: u128 = 1_000_000;
    [1_000_000_000, 1_000_000, 1_000, 1].into_iter().any(|unit_ns| {
        let (latest, earliest) = (now.as_nanos() / unit_ns, now.saturating_sub(RECENT).as_nanos() / unit_ns);
        number > SMALL && (earliest..=latest).contains(&number)
    })
}

impl fmt::Display for Divergence<'_> {
    /// Three lines: where, and the two sides. A piece of both that reads the same differs in the bytes it stands for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { place, first, second, .. } = self;
        match self.sides().next() {
            Some(link) => {
                write!(f, "record {place} is the first that differs, on {} at {} ms:", link.host, link.at_ms)?
            }
            None => write!(f, "record {place} is the first that differs:")?,
        }
        for (name, side) in [("one run", first), ("another", second)] {
            match side {
                Some(Link { at_ms, host, text, digest, .. }) => {
                    write!(f, "\n  {name}  {at_ms:>7} ms  {host:<12} {text}  [{digest:016x}]")?;
                }
                None => write!(f, "\n  {name}  has nothing more")?,
            }
        }
        let answered: Vec<_> = self.sides().map(|link| link.around.answered).collect();
        if let [one, other] = answered[..]
            && one != other
        {
            write!(
                f,
                "\n  by then one had asked the simulation for entropy or the time {one} times, the other {other}"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Thread(evidence) => {
                write!(f, "a thread beside the simulation: ")?;
                match evidence {
                    Evidence::Recorded => write!(f, "it recorded this itself"),
                    Evidence::Alive(threads) => write!(f, "{threads} more than when the run began"),
                    Evidence::Drew(times) => write!(f, "it drew real entropy or read a real clock, {times} times"),
                    Evidence::Ran(us) => write!(f, "one that has ended, after {us} µs of CPU time"),
                }
            }
            Source::Read(times) => {
                write!(f, "real entropy or a file: something outside the simulation was read, {times} times by then")
            }
            Source::Clock(Shown::Utc) => {
                write!(f, "a wall clock, read around libc: the time of day shows in the record")
            }
            Source::Clock(Shown::Monotonic) => {
                write!(f, "a real clock, read around libc: the monotonic clock shows in the record")
            }
            Source::Addresses => write!(
                f,
                "addresses: with the same ones the run is the same. Usually the iteration order of a map whose keys, or \
                 whose hasher's keys, are addresses"
            ),
            Source::AddressesOrUnseen => write!(
                f,
                "addresses, which are random here in every run (the iteration order of a map whose keys or hasher use \
                 them), or entropy or a clock read around libc"
            ),
            Source::Unseen => {
                write!(f, "entropy or a clock, read around libc (the vDSO, an inline system call, an instruction)")
            }
        }
    }
}

#[cfg(test)]
mod tests;
