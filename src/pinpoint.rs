//! When did a failure become inevitable?
//!
//! A run is kept up to a moment, and all chance after it drawn anew ([`Reseed`]), many times: the share of those runs that
//! still fail in the same way is how likely the failure had become by then. Where the share jumps, what happened at that
//! moment decided.

use crate::plan::{Plan, Reseed};
use crate::report::{Curve, CurvePoint, Moment, Timeline};

/// A share that rises by less than one in so many of the runs at once does not jump.
const JUMP_ONE_IN: u64 = 4;

/// How much of an event's text a line has room for.
const TEXT_CHARS_MAX: usize = 100;

/// The times up to `event` at which something happened but messages, disk operations, changes of stores and lines of a
/// log. Never more than `most`: then they are spread evenly.
pub fn moments(timeline: &Timeline, event: usize, most: usize) -> Vec<u64> {
    let events = &timeline.events;
    let told = (0..timeline.len()).take(event + 1).filter(|event| rank(events.kind[*event]).is_some());
    let mut times: Vec<u64> = told.map(|event| events.at_ms[event]).collect();
    times.dedup();
    spread(&times, most)
}

/// What matters most first; `None` for what is not told.
fn rank(moment: Moment) -> Option<u8> {
    match moment {
        Moment::Fault => Some(0),
        Moment::Mark => Some(1),
        Moment::Ok | Moment::Fail | Moment::Info => Some(2),
        Moment::Effect => Some(3),
        Moment::Input => Some(4),
        Moment::Invoke => Some(5),
        Moment::Sent | Moment::Delivered | Moment::Lost | Moment::Disk | Moment::Log | Moment::Change => None,
    }
}

fn spread(times: &[u64], most: usize) -> Vec<u64> {
    let step = |n: usize| n * (times.len() - 1) / (most - 1).max(1);
    if times.len() <= most { times.to_vec() } else { (0..most).map(|n| times[step(n)]).collect() }
}

/// What happened at a time: of several things the one that matters most, and a line about it.
pub fn describe(timeline: &Timeline, at_ms: u64) -> Option<(usize, String)> {
    let events = &timeline.events;
    let here = (0..timeline.len()).filter(|event| events.at_ms[*event] == at_ms);
    let (_, event) = here.filter_map(|event| Some((rank(events.kind[event])?, event))).min()?;
    let text: String = timeline.texts[events.text[event]].chars().take(TEXT_CHARS_MAX).collect();
    Some((event, format!("{} {text}", timeline.lanes[events.lane[event]].name)))
}

/// Plans that are the same up to a time, that included, and differ by chance from there on. `None` keeps nothing.
pub fn futures<Op: Clone>(plan: &Plan<Op>, kept_ms: Option<u64>, count: u64) -> Vec<Plan<Op>> {
    let at_ms = kept_ms.map_or(0, |kept| kept + 1);
    let future = |seed| Plan { reseed: Some(Reseed { at_ms, seed }), ..plan.clone() };
    (0..count).map(future).collect()
}

/// The place of the point at which the share rises most, if that is a jump.
pub fn jump(points: &[CurvePoint], runs: u64) -> Option<usize> {
    let (rise, place) = rises(points).max_by_key(|(rise, place)| (*rise, std::cmp::Reverse(*place)))?;
    (rise * JUMP_ONE_IN >= runs).then_some(place)
}

fn rises(points: &[CurvePoint]) -> impl Iterator<Item = (u64, usize)> {
    points.windows(2).zip(1..).map(|(pair, place)| (pair[1].failed.saturating_sub(pair[0].failed), place))
}

/// The moments between the point at which the share rises most and the one before it: where to look closer.
pub fn between(points: &[CurvePoint], timeline: &Timeline, event: usize, most: usize) -> Vec<u64> {
    let Some((rise, place)) = rises(points).max_by_key(|(rise, place)| (*rise, std::cmp::Reverse(*place))) else {
        return Vec::new();
    };
    if rise == 0 {
        return Vec::new();
    }
    let (from, to) = (points[place - 1].at_ms, points[place].at_ms);
    let inside = moments(timeline, event, usize::MAX).into_iter().filter(|at_ms| (from + 1..to).contains(at_ms));
    spread(&inside.collect::<Vec<_>>(), most)
}

/// The curve as one line of text, a character a point.
pub fn sparkline(curve: &Curve) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |point: &CurvePoint| BARS[(point.failed * 7).div_ceil(curve.runs.max(1)).min(7) as usize];
    curve.points.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(failed: &[u64]) -> Vec<CurvePoint> {
        let point =
            |(at_ms, failed): (u64, &u64)| CurvePoint { at_ms, event: None, failed: *failed, text: String::new() };
        (0..).step_by(10).zip(failed).map(point).collect()
    }

    /// A timeline of one lane with these events.
    fn timeline(events: &[(u64, Moment, &str)]) -> Timeline {
        let mut timeline = Timeline::default();
        timeline.lanes.push(crate::report::Lane { name: "a".to_owned(), kind: crate::report::LaneKind::Host });
        for (place, (at_ms, kind, text)) in events.iter().enumerate() {
            let columns = &mut timeline.events;
            columns.at_ms.push(*at_ms);
            columns.lane.push(0);
            columns.kind.push(*kind);
            columns.text.push(place);
            columns.message.push(0);
            timeline.texts.push((*text).to_owned());
        }
        timeline
    }

    #[test]
    fn the_jump_is_the_first_of_the_highest_steps() {
        assert_eq!(jump(&points(&[2, 3, 9, 10]), 10), Some(2));
        assert_eq!(jump(&points(&[0, 5, 5, 10]), 10), Some(1));
        assert_eq!(jump(&points(&[4, 5, 6, 7]), 10), None, "it grows, and does not jump");
        assert_eq!(jump(&points(&[10, 10, 10]), 10), None, "it was inevitable from the start");
        assert_eq!(jump(&points(&[10]), 10), None);
    }

    #[test]
    fn moments_are_those_at_which_something_was_decided() {
        let events = [
            (1, Moment::Disk, "w"),
            (5, Moment::Input, "i"),
            (5, Moment::Mark, "m"),
            (6, Moment::Sent, "s"),
            (9, Moment::Fault, "f"),
            (12, Moment::Ok, "o"),
        ];
        let timeline = timeline(&events);
        assert_eq!(moments(&timeline, 5, 10), [5, 9, 12]);
        assert_eq!(moments(&timeline, 4, 10), [5, 9], "what follows the failure did not lead to it");
        assert_eq!(moments(&timeline, 5, 2), [5, 12]);
        assert_eq!(describe(&timeline, 5), Some((2, "a m".to_owned())), "a decision matters more than what led to it");
        assert_eq!(describe(&timeline, 6), None);
        let coarse =
            [(0, 0), (12, 8)].map(|(at_ms, failed)| CurvePoint { at_ms, event: None, failed, text: String::new() });
        assert_eq!(between(&coarse, &timeline, 5, 10), [5, 9]);
        assert_eq!(between(&points(&[3, 3]), &timeline, 5, 10), [] as [u64; 0]);
    }

    #[test]
    fn the_line_shows_the_shares() {
        let curve = Curve { runs: 8, points: points(&[0, 1, 4, 8]), jump: None };
        assert_eq!(sparkline(&curve), "▁▂▅█");
    }
}
