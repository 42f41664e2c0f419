use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::check::Checker;

use super::*;

type Tx = Transaction<&'static str>;

/// A transaction; without [`during`] all overlap, and real time orders nothing.
fn tx(id: u64, reads: &[(&'static str, u64)], writes: &[(&'static str, u64)]) -> Tx {
    let versions = |list: &[(&'static str, u64)]| list.iter().map(|(key, version)| (*key, Version(*version))).collect();
    Tx { id: OpId(id), reads: versions(reads), writes: versions(writes), invoked: id as usize, completed: Some(100) }
}

impl Tx {
    fn during(mut self, invoked: usize, completed: usize) -> Self {
        (self.invoked, self.completed) = (invoked, Some(completed));
        self
    }
}

/// The class of the only anomaly, and its cycle as `from kind to` triples.
fn cycle(transactions: &[Tx]) -> (Class, Vec<(u64, EdgeKind, u64)>) {
    match &check(transactions)[..] {
        [Anomaly::Cycle { class, edges }] => {
            (*class, edges.iter().map(|edge| (edge.from.0, edge.kind, edge.to.0)).collect())
        }
        other => panic!("expected one cycle, found {other:?}"),
    }
}

#[test]
fn g0_two_writers_in_opposite_orders() {
    let found = cycle(&[tx(1, &[], &[("x", 1), ("y", 2)]), tx(2, &[], &[("x", 2), ("y", 1)])]);
    assert_eq!(found, (Class::G0, vec![(1, EdgeKind::Ww, 2), (2, EdgeKind::Ww, 1)]));
}

#[test]
fn g1c_two_that_read_each_other() {
    let found = cycle(&[tx(1, &[("y", 1)], &[("x", 1)]), tx(2, &[("x", 1)], &[("y", 1)])]);
    assert_eq!(found, (Class::G1c, vec![(1, EdgeKind::Wr, 2), (2, EdgeKind::Wr, 1)]));
}

#[test]
fn g_single_a_reader_sees_half_of_a_transaction() {
    let found = cycle(&[tx(1, &[], &[("x", 1), ("y", 1)]), tx(2, &[("x", 1), ("y", 0)], &[])]);
    assert_eq!(found, (Class::GSingle, vec![(1, EdgeKind::Wr, 2), (2, EdgeKind::Rw, 1)]));
}

#[test]
fn g_single_a_lost_update() {
    let found = cycle(&[tx(1, &[("x", 0)], &[("x", 1)]), tx(2, &[("x", 0)], &[("x", 2)])]);
    assert_eq!(found, (Class::GSingle, vec![(1, EdgeKind::Ww, 2), (2, EdgeKind::Rw, 1)]));
}

#[test]
fn g2_write_skew() {
    let found = cycle(&[tx(1, &[("x", 0), ("y", 0)], &[("x", 1)]), tx(2, &[("x", 0), ("y", 0)], &[("y", 1)])]);
    assert_eq!(found, (Class::G2, vec![(1, EdgeKind::Rw, 2), (2, EdgeKind::Rw, 1)]));
}

#[test]
fn real_time_a_stale_read() {
    let stale = [tx(1, &[], &[("x", 1)]).during(0, 1), tx(2, &[("x", 0)], &[]).during(2, 3)];
    assert_eq!(cycle(&stale), (Class::RealTime, vec![(1, EdgeKind::Rt, 2), (2, EdgeKind::Rw, 1)]));

    let overlapping = [tx(1, &[], &[("x", 1)]).during(0, 2), tx(2, &[("x", 0)], &[]).during(1, 3)];
    assert_eq!(check(&overlapping), []);
}

#[test]
fn a_transaction_of_unknown_completion_precedes_nothing_in_real_time() {
    let mut write = tx(1, &[], &[("x", 1)]).during(0, 1);
    write.completed = None;
    assert_eq!(check(&[write, tx(2, &[("x", 0)], &[]).during(2, 3)]), []);
}

#[test]
fn a_clean_execution_passes() {
    assert_eq!(
        check(&[
            tx(1, &[("x", 0)], &[("x", 1), ("y", 1)]).during(0, 1),
            tx(2, &[("x", 1), ("y", 1)], &[("y", 5)]).during(2, 5),
            tx(3, &[("x", 1), ("y", 1)], &[]).during(3, 4),
            tx(4, &[("x", 1), ("y", 5)], &[]).during(6, 7),
        ]),
        []
    );
}

#[test]
fn the_worst_kind_of_cycle_is_reported_even_when_a_milder_one_is_shorter() {
    let found = cycle(&[
        // G0 over three transactions.
        tx(1, &[], &[("a", 1), ("c", 2)]),
        tx(2, &[], &[("a", 2), ("b", 1)]),
        tx(3, &[], &[("b", 2), ("c", 1)]),
        // G2 over two.
        tx(4, &[("x", 0)], &[("y", 1)]),
        tx(5, &[("y", 0)], &[("x", 1)]),
    ]);
    assert_eq!((found.0, found.1.len()), (Class::G0, 3));
}

#[test]
fn of_two_cycles_of_a_kind_the_shorter_is_reported() {
    let mut transactions = vec![
        tx(1, &[], &[("a", 1), ("c", 2)]),
        tx(2, &[], &[("a", 2), ("b", 1)]),
        tx(3, &[], &[("b", 2), ("c", 1)]),
        tx(4, &[], &[("x", 1), ("y", 2)]),
        tx(5, &[], &[("x", 2), ("y", 1)]),
    ];
    for _ in 0..2 {
        assert_eq!(cycle(&transactions).1.len(), 2);
        transactions.reverse();
    }
}

#[test]
fn the_witness_skips_what_real_time_implies() {
    // A stale read long after the write, with many transactions between.
    let mut transactions = vec![tx(0, &[], &[("x", 1)]).during(0, 1)];
    transactions.extend((1..500).map(|i| tx(i, &[], &[]).during(2 * i as usize, 2 * i as usize + 1)));
    transactions.push(tx(500, &[("x", 0)], &[]).during(1000, 1001));
    assert_eq!(cycle(&transactions), (Class::RealTime, vec![(0, EdgeKind::Rt, 500), (500, EdgeKind::Rw, 0)]));
}

#[test]
fn a_version_installed_twice_is_reported() {
    let found = check(&[tx(1, &[], &[("x", 1)]), tx(2, &[], &[("x", 1)])]);
    assert_eq!(found, [Anomaly::DuplicateVersion { key: "x", version: Version(1), writers: vec![OpId(1), OpId(2)] }]);
    assert!(matches!(check(&[tx(1, &[], &[("x", 0)])])[..], [Anomaly::DuplicateVersion { .. }]));
}

#[test]
fn a_read_of_a_version_nobody_installed_is_reported() {
    let found = check(&[tx(1, &[], &[("x", 1)]), tx(2, &[("x", 2)], &[]), tx(3, &[("z", 1)], &[])]);
    assert_eq!(
        found,
        [
            Anomaly::PhantomVersion { key: "x", version: Version(2), reader: OpId(2) },
            Anomaly::PhantomVersion { key: "z", version: Version(1), reader: OpId(3) },
        ]
    );
}

#[test]
fn the_checker_tells_each_step_of_the_cycle() {
    let stale = [tx(1, &[], &[("x", 1)]).during(0, 1), tx(2, &[("x", 0)], &[]).during(2, 3)];
    let verdict = StrictSerializability.check(&stale[..]);
    assert_eq!(verdict.checked, 2);
    let [violation] = &verdict.violations[..] else { panic!("{verdict:?}") };
    assert_eq!(violation.key, "real-time");
    assert_eq!(
        violation.details,
        [
            "op 1 -rt-> op 2: op 1 was completed before op 2 was invoked",
            r#"op 2 -rw-> op 1: op 2 read an older version than version 1 of "x", which op 1 installed"#,
        ]
    );
    assert!(StrictSerializability.check(&stale[..1]).holds());
    assert!(Checker::<[Tx]>::check(&StrictSerializability, &[]).is_vacuous());
}

/// Runs transactions one after another, each over an interval that holds its turn. `plan` has for each transaction the
/// keys it reads, those it writes, and how far its interval reaches.
fn serial(plan: &[(Vec<u8>, Vec<u8>, usize, usize)]) -> Vec<Transaction<u8>> {
    let mut current: BTreeMap<u8, Version> = BTreeMap::new();
    plan.iter()
        .enumerate()
        .map(|(index, (reads, writes, before, after))| {
            let reads = reads.iter().map(|key| (*key, *current.entry(*key).or_insert(Version::INITIAL))).collect();
            let writes = writes.iter().map(|key| {
                let version = current.entry(*key).or_insert(Version::INITIAL);
                version.0 += 3;
                (*key, *version)
            });
            let writes = writes.collect();
            let turn = 10 + 2 * index;
            Transaction {
                id: OpId(index as u64),
                reads,
                writes,
                invoked: turn - before,
                completed: Some(turn + 1 + after),
            }
        })
        .collect()
}

fn plan(len: usize) -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>, usize, usize)>> {
    let keys = || prop::collection::vec(0..4u8, 0..3);
    prop::collection::vec((keys(), keys(), 0..8usize, 0..8usize), 1..=len)
}

/// Up to five transactions over two keys: each key's versions go to its writers in a random order, and each read
/// sees a random version of another transaction, or the initial one.
fn arbitrary() -> impl Strategy<Value = Vec<Transaction<u8>>> {
    let access = || prop::collection::vec((0..2u8, any::<Index>()), 0..3);
    let call = (access(), prop::collection::btree_set(0..2u8, 0..3), 0..8usize, prop::option::of(1..6usize));
    (prop::collection::vec(call, 1..=5), any::<[u64; 2]>()).prop_map(|(calls, orders)| {
        let mut versions: BTreeMap<(usize, u8), Version> = BTreeMap::new();
        for key in 0..2u8 {
            let mut writers: Vec<_> = (0..calls.len()).filter(|index| calls[*index].1.contains(&key)).collect();
            writers.sort_by_key(|index| orders[usize::from(key)].rotate_left(13 * *index as u32));
            versions.extend(writers.into_iter().zip(1..).map(|(index, version)| ((index, key), Version(version))));
        }
        let read = |reader: usize, key: u8, index: &Index| {
            let others = versions.iter().filter(|((writer, of), _)| *writer != reader && *of == key);
            let seen: Vec<_> = others.map(|(_, version)| *version).chain([Version::INITIAL]).collect();
            (key, seen[index.index(seen.len())])
        };
        calls
            .iter()
            .enumerate()
            .map(|(index, (reads, writes, invoked, length))| Transaction {
                id: OpId(index as u64),
                reads: reads.iter().map(|(key, seen)| read(index, *key, seen)).collect(),
                writes: writes.iter().map(|key| (*key, versions[&(index, *key)])).collect(),
                invoked: *invoked,
                completed: length.map(|length| invoked + length),
            })
            .collect()
    })
}

/// Strictly serializable by definition: run in some order that keeps to real time, every read sees the current version
/// and every write installs a later one.
fn brute_force(transactions: &[Transaction<u8>], done: &mut Vec<usize>) -> bool {
    if done.len() == transactions.len() {
        let mut current: BTreeMap<u8, Version> = BTreeMap::new();
        return done.iter().map(|index| &transactions[*index]).all(|tx| {
            let now = |key| current.get(key).copied().unwrap_or(Version::INITIAL);
            let fits = tx.reads.iter().all(|(key, seen)| now(key) == *seen)
                && tx.writes.iter().all(|(key, installed)| now(key) < *installed);
            current.extend(tx.writes.iter().copied());
            fits
        });
    }
    (0..transactions.len()).any(|next| {
        let waits = (0..transactions.len()).any(|other| {
            !done.contains(&other) && transactions[other].completed.is_some_and(|end| end < transactions[next].invoked)
        });
        if done.contains(&next) || waits {
            return false;
        }
        done.push(next);
        let found = brute_force(transactions, done);
        done.pop();
        found
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_graph_agrees_with_the_definition(transactions in arbitrary()) {
        let anomalies = check(&transactions);
        prop_assert_eq!(anomalies.is_empty(), brute_force(&transactions, &mut vec![]), "{:?}", anomalies);
    }

    #[test]
    fn a_cycle_closes(transactions in arbitrary()) {
        for anomaly in check(&transactions) {
            let Anomaly::Cycle { edges, .. } = anomaly else { panic!("{anomaly:?}") };
            prop_assert!(edges.len() >= 2);
            for (edge, next) in edges.iter().zip(edges.iter().cycle().skip(1)) {
                prop_assert_eq!(edge.to, next.from);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn serial_executions_pass(plan in plan(40)) {
        prop_assert_eq!(check(&serial(&plan)), []);
    }

    #[test]
    fn one_stale_read_at_the_end_of_a_serial_execution_is_caught(plan in plan(40), key in 0..4u8) {
        let mut transactions = serial(&plan);
        let is_written = transactions.iter().any(|tx| tx.writes.iter().any(|(written, _)| *written == key));
        transactions.push(Transaction {
            id: OpId(1_000),
            reads: vec![(key, Version::INITIAL)],
            writes: vec![],
            invoked: 1_000,
            completed: Some(1_001),
        });
        prop_assert_eq!(check(&transactions).is_empty(), !is_written);
    }
}
