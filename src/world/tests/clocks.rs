//! Clocks that are wrong.

use super::*;
use crate::world::EPOCH_MS;

fn skew(by_ms: i64, for_ms: u64) -> Fault {
    Fault::ClockSkew { host: "server".to_owned(), by_ms, for_ms }
}

fn drift(ppm: i64, for_ms: u64) -> Fault {
    Fault::ClockDrift { host: "server".to_owned(), ppm, for_ms }
}

/// How far the server's clock was ahead of the history's at each look at it: by what it is told, and by what a
/// library reads.
fn errors_ms(at_ms: &[u64], faults: Vec<PlannedFault>) -> (Vec<i64>, Record) {
    let steps: Vec<_> = at_ms.iter().map(|ms| (*ms, Op::Draw)).collect();
    let record = ran(&with_faults(plan(&[&steps]), faults));
    let mut errors = Vec::new();
    for event in record.history.events() {
        let EventKind::Ok(Ret::Drawn(drawn)) = &event.kind else { continue };
        let mut times = drawn.rsplit(' ').map(|time| time.parse::<i64>().expect("a time"));
        let (told, read) = (times.next().unwrap(), times.next().unwrap());
        assert_eq!(told, read, "a library sees the same clock");
        let right = EPOCH_MS as i64 + event.at.0 as i64;
        // Answers take some milliseconds.
        errors.push((told - right + 5).div_euclid(10) * 10);
    }
    (errors, record)
}

#[test]
fn a_skewed_clock_jumps_and_jumps_back() {
    for by_ms in [60_000, -60_000] {
        let (errors, record) = errors_ms(&[100, 300, 500, 700], vec![at_ms(200, skew(by_ms, 400))]);
        assert_eq!(errors, [0, by_ms, by_ms, 0]);
        assert_eq!(fired(&record, "clock_skew"), 1);
    }
}

#[test]
fn a_drifting_clock_gains_or_loses_with_time() {
    for ppm in [500_000, -500_000] {
        let (errors, record) = errors_ms(&[200, 600, 1_000, 1_400], vec![at_ms(200, drift(ppm, 1_000))]);
        let half = |ms: i64| ms * ppm.signum() / 2;
        let near =
            errors.iter().zip([half(0), half(400), half(800), 0]).all(|(error, want)| (error - want).abs() <= 10);
        assert!(near, "{ppm}: {errors:?}");
        assert_eq!(fired(&record, "clock_drift"), 1);
    }
}

#[test]
fn errors_add_up() {
    let (errors, _) = errors_ms(&[300], vec![at_ms(100, skew(5_000, 800)), at_ms(200, skew(-2_000, 800))]);
    assert_eq!(errors, [3_000]);
}

#[test]
fn there_is_no_time_before_the_epoch() {
    let (_, record) = errors_ms(&[], Vec::new());
    assert!(record.faults.is_empty());
    let steps = [(300, Op::Draw)];
    let record = ran(&with_faults(plan(&[&steps]), vec![at_ms(200, skew(i64::MIN, 500))]));
    assert!(record.history.to_string().contains(" 0 0"), "{}", record.history);
}

#[test]
fn a_wrong_clock_that_nobody_reads_has_not_taken_effect_and_timers_are_right() {
    let wrong = vec![at_ms(0, skew(1 << 40, 4_000)), at_ms(0, drift(900_000, 4_000))];
    let (right, wrong) = (ran(&appends(3)), ran(&with_faults(appends(3), wrong)));
    assert!(wrong.faults.is_empty());
    assert_eq!(durations_ms(&right), durations_ms(&wrong));
}
