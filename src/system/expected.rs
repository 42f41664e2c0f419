//! What the stores should hold after a run: what the transactions leave behind that were decided in it, and what the
//! projection makes of the log.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Operation, Patch, Snapshot, TxId};

use super::check::CoordinatorRecord;
use super::dump::{Dump, GRAPH, LEDGER, PROJECTION, STORED_EVENTS};
use super::key;
use super::operation::{Op, Ret};
use super::projection::log::Stored;
use crate::history::{Event, EventKind};

/// The dumps of the stores as they should be, or none where they cannot be read.
pub fn dumps(record: &CoordinatorRecord) -> BTreeMap<String, String> {
    let mut expected = both(record);
    expected.extend(projection(record).map(|graph| (PROJECTION.to_owned(), graph)));
    expected
}

/// What the reference fold makes of the log; none where there is no projection, or a log that cannot be read.
fn projection(record: &CoordinatorRecord) -> Option<String> {
    let lines = record.dumps.get(PROJECTION).and(record.dumps.get(STORED_EVENTS))?.lines();
    let events: Result<Vec<_>, String> = lines.map(|line| Ok(line.parse::<Stored>()?.event)).collect();
    Some(reference_fold::fold(&events.ok()?).graph.to_string())
}

/// Both stores of the coordinator. Where nobody sent a transaction nothing is expected of them.
///
/// A transaction counts as committed when its client was told so, or the log or a marker says so: where those disagree,
/// what is missing somewhere shows as missing. Conflicting transactions hold their locks one after the other from before
/// they are written to the log, so the log's order is theirs.
fn both(record: &CoordinatorRecord) -> BTreeMap<String, String> {
    let is_submitted = |event: &Event<Op, Ret>| matches!(event.kind, EventKind::Invoke(Op::Submit { .. }));
    if !record.history.events().iter().any(is_submitted) {
        return BTreeMap::new();
    }
    let Ok(dump) = Dump::read(&record.dumps) else { return BTreeMap::new() };
    let snapshot = snapshot(record, &dump).to_string();
    BTreeMap::from([(GRAPH.to_owned(), snapshot.clone()), (LEDGER.to_owned(), snapshot)])
}

fn snapshot(record: &CoordinatorRecord, dump: &Dump<'_>) -> Snapshot {
    let marked = dump.markers.iter().filter(|marker| marker.state == "committed").map(|marker| marker.tx);
    let logged = dump.log.iter().filter(|line| line.state == "committed").map(|line| line.tx);
    let mut committed: BTreeSet<TxId> = marked.chain(logged).collect();
    let mut told = Vec::new();
    let mut asked: BTreeMap<String, &Vec<Operation>> = BTreeMap::new();
    for event in record.history.events() {
        match &event.kind {
            EventKind::Invoke(Op::Submit { operations, .. }) => drop(asked.insert(key(event.op.0), operations)),
            EventKind::Ok(Ret::Committed { tx, .. }) => {
                committed.insert(*tx);
                told.push((*tx, key(event.op.0)));
            }
            _ => {}
        }
    }
    let logged = dump.log.iter().map(|line| (line.tx, line.key.clone()));
    // Of what a client was told and the log does not know.
    let lost = told.into_iter().filter(|(tx, _)| dump.log.iter().all(|line| line.tx != *tx));
    let mut snapshot = Snapshot::default();
    for (tx, key) in logged.filter(|(tx, _)| committed.contains(tx)).chain(lost) {
        let Some(operations) = asked.get(&key) else { continue };
        let patch = Patch { operations: (*operations).clone() };
        // What does not fit should not have committed: it is left out, and shows as what nobody should have written.
        let _ = patch.resolved(tx).apply(&mut snapshot);
    }
    snapshot
}

#[cfg(test)]
mod tests {
    use super::super::check::fixture::{CASTS, Run};
    use super::*;

    #[test]
    fn sound_stores_hold_what_they_should() {
        for cast in CASTS {
            let record = Run::sound(cast).record();
            let expected = dumps(&record);
            assert_eq!(expected.len(), 2);
            for (store, expected) in expected {
                assert_eq!(record.dumps[&store], expected, "{store}");
            }
        }
    }

    #[test]
    fn a_write_that_one_store_lacks_is_expected_there() {
        let mut run = Run::sound(CASTS[0]);
        let graph = run.record().dumps[GRAPH].clone();
        run.commit(vec![run.update(&run.alice, 7)]);
        let mut record = run.record();
        record.dumps.insert(GRAPH.to_owned(), graph.clone());
        let expected = dumps(&record);
        assert_ne!(expected[GRAPH], graph);
        assert_eq!(expected[LEDGER], record.dumps[LEDGER]);
    }

    #[test]
    fn what_a_client_was_told_is_expected_although_the_log_lost_it() {
        let mut run = Run::sound(CASTS[0]);
        run.commit(vec![run.update(&run.alice, 7)]);
        let whole = run.record().dumps[GRAPH].clone();
        run.log.pop();
        assert_eq!(dumps(&run.record())[GRAPH], whole);
    }
}
