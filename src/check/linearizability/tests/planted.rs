//! Small histories with a known mistake, each next to its correct twin.

use crate::check::linearizability::{Conclusion, Linearizability, Model, check, minimal_prefix};
use crate::check::models::kv::{self, Kv};
use crate::check::models::register::{Op, Register, Ret};
use crate::check::{Checker, Verdict};
use crate::history::{ClientId, History, Millis, OpId};

const BUDGET: u64 = 10_000;

/// Builds register histories; the time of each event is its index.
#[derive(Default)]
struct Recorder(History<Op<u64>, Ret<u64>>);

impl Recorder {
    fn now(&self) -> Millis {
        Millis(self.0.len() as u64)
    }

    fn invoke(&mut self, client: u64, op: Op<u64>) -> OpId {
        self.0.invoke(self.now(), ClientId(client), op)
    }

    fn ok(&mut self, id: OpId, ret: Ret<u64>) {
        self.0.ok(self.now(), id, ret).unwrap();
    }

    fn write(&mut self, client: u64, value: u64) {
        let id = self.invoke(client, Op::Write(value));
        self.ok(id, Ret::Written);
    }

    fn read(&mut self, client: u64, value: Option<u64>) {
        let id = self.invoke(client, Op::Read);
        self.ok(id, Ret::Read(value));
    }

    fn is_linearizable(&self) -> bool {
        match check(&Register::new(), &self.0, BUDGET) {
            Conclusion::Linearizable { .. } => true,
            Conclusion::Illegal(_) => false,
            Conclusion::Unknown { .. } => panic!("undecided"),
        }
    }
}

#[test]
fn a_stale_read_is_caught_and_told() {
    let mut history = Recorder::default();
    history.write(1, 7);
    history.write(1, 8);
    history.read(2, Some(7));
    history.write(1, 9);

    let Conclusion::Illegal(found) = check(&Register::new(), &history.0, BUDGET) else { panic!("not caught") };
    assert_eq!(found.order, [OpId(0), OpId(1)]);
    assert_eq!(found.state, Some(8));
    assert_eq!(found.stuck, [OpId(2)]);
    assert_eq!(found.operations, [OpId(0), OpId(1), OpId(2), OpId(3)]);
    assert_eq!(minimal_prefix(&Register::new(), &history.0, BUDGET), Some(6));
}

#[test]
fn a_fresh_read_passes() {
    let mut history = Recorder::default();
    history.write(1, 7);
    history.write(1, 8);
    history.read(2, Some(8));
    assert!(history.is_linearizable());
    assert_eq!(minimal_prefix(&Register::new(), &history.0, BUDGET), None);
}

#[test]
fn concurrent_operations_may_take_effect_in_either_order() {
    for seen in [Some(7), Some(8), None] {
        let mut history = Recorder::default();
        let write = history.invoke(1, Op::Write(8));
        let other = history.invoke(2, Op::Write(7));
        history.read(3, seen);
        history.ok(write, Ret::Written);
        history.ok(other, Ret::Written);
        assert!(history.is_linearizable(), "{seen:?}");
    }
}

#[test]
fn a_value_seen_by_two_readers_in_opposite_orders_is_caught() {
    let mut history = Recorder::default();
    let first = history.invoke(1, Op::Write(1));
    let second = history.invoke(2, Op::Write(2));
    history.read(3, Some(1));
    history.read(3, Some(2));
    history.read(4, Some(1));
    history.ok(first, Ret::Written);
    history.ok(second, Ret::Written);
    assert!(!history.is_linearizable());
}

#[test]
fn an_unknown_write_may_take_effect_late_or_never_but_not_twice() {
    let with_reads = |seen: &[Option<u64>], completion: bool| {
        let mut history = Recorder::default();
        history.write(1, 1);
        let lost = history.invoke(2, Op::Write(2));
        if completion {
            history.0.info(Millis(3), lost, "timed out").unwrap();
        }
        seen.iter().for_each(|value| history.read(3, *value));
        history.is_linearizable()
    };
    for completion in [true, false] {
        assert!(with_reads(&[Some(1), Some(1)], completion));
        assert!(with_reads(&[Some(1), Some(2), Some(2)], completion));
        assert!(!with_reads(&[Some(2), Some(1)], completion));
    }
}

#[test]
fn an_unknown_write_cannot_take_effect_before_its_invocation() {
    let mut history = Recorder::default();
    history.read(3, Some(2));
    history.invoke(2, Op::Write(2));
    assert!(!history.is_linearizable());
}

#[test]
fn a_failed_write_must_not_be_seen() {
    for (seen, expected) in [(Some(1), true), (Some(2), false)] {
        let mut history = Recorder::default();
        history.write(1, 1);
        let failed = history.invoke(2, Op::Write(2));
        history.0.fail(Millis(3), failed, "refused").unwrap();
        history.read(3, seen);
        assert_eq!(history.is_linearizable(), expected);
    }
}

#[test]
fn only_the_smallest_illegal_part_is_reported() {
    let mut history = History::new();
    let mut run = |client, op, ret| {
        let at = Millis(history.len() as u64);
        let id = history.invoke(at, ClientId(client), op);
        history.ok(at, id, ret).unwrap();
    };
    let put = |key: &str, value: &str| kv::Op::Put { key: key.into(), value: value.into() };
    let get = |key: &str| kv::Op::Get { key: key.into() };
    for value in ["1", "2", "3"] {
        run(0, put("large", value), kv::Ret::Done);
    }
    run(1, get("large"), kv::Ret::Value("1".into()));
    run(0, put("small", "1"), kv::Ret::Done);
    run(1, get("small"), kv::Ret::Value("0".into()));
    run(0, put("clean", "1"), kv::Ret::Done);

    let Conclusion::Illegal(found) = check(&Kv, &history, BUDGET) else { panic!("not caught") };
    assert_eq!(found.keys, ["small"]);
    assert_eq!(found.operations, [OpId(4), OpId(5)]);
    assert_eq!(found.stuck, [OpId(5)]);
}

/// Many writes that overlap, then a read of a value nobody wrote: every subset of the writes is a configuration.
fn hard_history() -> Recorder {
    let mut history = Recorder::default();
    let writes: Vec<_> = (0..10).map(|value| history.invoke(value, Op::Write(value))).collect();
    writes.into_iter().for_each(|id| history.ok(id, Ret::Written));
    history.read(11, Some(99));
    history
}

#[test]
fn a_budget_too_small_is_neither_a_pass_nor_a_failure() {
    let history = hard_history();
    let Conclusion::Unknown { operations, explored, .. } = check(&Register::new(), &history.0, 100) else {
        panic!("decided within 100 steps");
    };
    assert_eq!((operations, explored), (11, 100));
    assert_eq!(minimal_prefix(&Register::new(), &history.0, 100), None);
}

#[test]
fn a_configuration_is_entered_once() {
    let Conclusion::Illegal(found) = check(&Register::new(), &hard_history().0, u64::MAX) else {
        panic!("not caught");
    };
    // A configuration is a subset and, unless it is empty, its last write: each steps the writes outside the subset,
    // and the full ones the read. Without the memo there would be 10! orders.
    let subsets: u64 = (0..=10).map(|size| binomial(10, size) * size.max(1) * (10 - size)).sum();
    assert_eq!(found.explored, subsets + 10);
}

fn binomial(n: u64, k: u64) -> u64 {
    (0..k).fold(1, |product, i| product * (n - i) / (i + 1))
}

#[test]
fn an_unknown_operation_without_effect_is_not_placed() {
    let mut history = Recorder::default();
    for _ in 0..10 {
        history.invoke(1, Op::Read);
    }
    history.read(2, Some(9));
    let Conclusion::Illegal(found) = check(&Register::new(), &history.0, BUDGET) else { panic!("not caught") };
    // Each operation is stepped once, from the initial state; no subset of the unknown reads is a configuration.
    assert_eq!(found.explored, 11);
}

#[test]
fn the_order_of_a_counterexample_has_no_needless_unknown_operations() {
    let mut history = Recorder::default();
    history.write(1, 1);
    history.invoke(2, Op::Write(2));
    history.read(3, Some(9));
    let Conclusion::Illegal(found) = check(&Register::new(), &history.0, BUDGET) else { panic!("not caught") };
    assert_eq!((found.order, found.state), (vec![OpId(0)], Some(1)));
    assert_eq!(found.operations, [OpId(0), OpId(1), OpId(2)]);
}

#[test]
fn a_long_history_is_checked_without_recursion() {
    let mut history = Recorder::default();
    for value in 0..5_000 {
        history.write(value % 3, value);
        history.read(4, Some(value));
    }
    let checked = check(&Register::new(), &history.0, 10_000);
    assert_eq!(checked, Conclusion::Linearizable { partitions: 1, operations: 10_000, explored: 10_000 });
}

#[test]
fn a_state_that_comes_back_later_is_another_configuration() {
    let mut history = Recorder::default();
    (0..200).for_each(|_| history.read(1, None));
    assert!(history.is_linearizable());
}

fn verdict<M: Model<Op = Op<u64>, Ret = Ret<u64>>>(model: M, history: &Recorder, budget: u64) -> Verdict {
    Linearizability { model, budget }.check(&history.0)
}

#[test]
fn the_checker_reports_what_a_reader_needs() {
    let mut history = Recorder::default();
    history.write(1, 7);
    history.write(1, 8);
    history.read(2, Some(7));
    let found = verdict(Register::new(), &history, BUDGET);
    assert_eq!(found.checked, 3);
    let [violation] = &found.violations[..] else { panic!("{found:?}") };
    assert_eq!(
        violation.to_string(),
        format!(
            "\
linearizability violated at step 5 [{}]
  expected: an order that explains the 3 operations on key ()
  actual:   after the longest order, in state Some(8), no operation can have answered as it did
  the longest order that explains what was answered (2 operations):
    op 0 of client 1 (0 ms to 1 ms): Write(7) -> Written
    op 1 of client 1 (2 ms to 3 ms): Write(8) -> Written
  one of these had to come next:
    op 2 of client 2 (4 ms to 5 ms): Read -> Read(Some(7))
  the history is illegal since event 5:
          5 ms  client 2   op 2     ok      Read(Some(7))
",
            violation.fingerprint()
        )
    );
}

#[test]
fn the_checker_fingerprints_the_kind_of_mistake() {
    let stale_read = |value| {
        let mut history = Recorder::default();
        (0..=value).for_each(|value| history.write(1, value));
        history.read(2, Some(value - 1));
        verdict(Register::new(), &history, BUDGET).violations[0].fingerprint()
    };
    let mut wrong_cas = Recorder::default();
    let cas = wrong_cas.invoke(1, Op::Cas { from: 1, to: 2 });
    wrong_cas.ok(cas, Ret::Cas(true));
    let wrong_cas = verdict(Register::new(), &wrong_cas, BUDGET).violations[0].fingerprint();

    assert_eq!(stale_read(1), stale_read(30));
    assert_ne!(stale_read(1), wrong_cas);
}

#[test]
fn the_checker_shows_the_end_of_a_long_order() {
    let mut history = Recorder::default();
    (0..30).for_each(|value| history.write(1, value));
    history.read(2, Some(0));
    let found = verdict(Register::new(), &history, BUDGET);
    let details = &found.violations[0].details;
    assert_eq!(details[1], "  … 10 earlier");
    assert_eq!(details[2], "  op 10 of client 1 (20 ms to 21 ms): Write(10) -> Written");
    assert!(details[21].contains("op 29"), "{details:?}");
}

#[test]
fn the_checker_passes_a_clean_history_and_tells_a_vacuous_one() {
    let mut history = Recorder::default();
    history.write(1, 7);
    history.read(2, Some(7));
    assert!(verdict(Register::new(), &history, BUDGET).holds());

    let mut unanswered = Recorder::default();
    unanswered.invoke(1, Op::Write(7));
    assert!(verdict(Register::new(), &unanswered, BUDGET).is_vacuous());
}

#[test]
fn the_checker_does_not_pass_what_it_could_not_decide() {
    let found = verdict(Register::new(), &hard_history(), 100);
    assert_eq!(found.violations[0].key, "undecided");
}
