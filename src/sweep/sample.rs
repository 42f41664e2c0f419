//! A part of the points, for sweeps that take turns.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;

/// One of so many slices. Each point of a run without a crash is in exactly one of them; what follows a crash is in the
/// slice of that crash. So the sweeps of all slices together try what one sweep of everything does.
///
/// Neighbours are in different slices: every slice has something of each phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which slice, from 1 to `slices`.
    slice: u64,
    /// How many there are.
    slices: NonZero<u64>,
}

impl Sample {
    /// Whether the point with this index, counted from 0 over all points of a run, is in the slice.
    pub fn holds(self, index: u64) -> bool {
        index % self.slices == self.slice - 1
    }
}

impl FromStr for Sample {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Sample, &'static str> {
        let read = || {
            let (slice, slices) = text.split_once('/')?;
            Some(Sample { slice: slice.parse().ok()?, slices: slices.parse().ok()? })
        };
        match read() {
            Some(sample) if (1..=sample.slices.get()).contains(&sample.slice) => Ok(sample),
            Some(_) => Err("the slices are counted from 1 to their number"),
            None => Err("expected K/N, for example 3/10: the third of ten slices"),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.slice, self.slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_in_exactly_one_slice() {
        for slices in 1..=7 {
            let samples: Vec<Sample> =
                (1..=slices).map(|slice| format!("{slice}/{slices}").parse().expect("it is one")).collect();
            for index in 0..50 {
                assert_eq!(samples.iter().filter(|sample| sample.holds(index)).count(), 1, "{index} of {slices}");
            }
        }
    }

    #[test]
    fn a_slice_that_does_not_exist_is_refused() {
        for text in ["0/4", "5/4", "1/0", "0/0", "1", "1/", "/2", "-1/2", "1/2/3", "a/b"] {
            assert!(text.parse::<Sample>().is_err(), "{text}");
        }
        assert_eq!("4/4".parse::<Sample>().map(|sample| sample.to_string()), Ok("4/4".to_owned()));
    }
}
