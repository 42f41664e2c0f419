//! Every id names one entity for ever, and every canonical key one living entity.

use std::collections::{BTreeMap, BTreeSet};

use graph::{CANONICAL_KEY_PROPERTY, EntityId, Refusal, TxId};

use super::{CoordinatorRecord, key_of, media_broke, stores};
use crate::check::{Checker, Verdict, Violation};
use crate::history::{EventKind, OpId};
use crate::system::dump::Dump;
use crate::system::operation::Ret;

/// No id that the coordinator made was made twice, whatever restarted in between; what its client was told is what the
/// transaction created; ids of transactions that aborted are nowhere; both stores have the same ids; and in neither of
/// them do two living entities of one kind have one canonical key.
#[derive(Clone, Copy, Debug)]
pub struct Identity;

impl Checker<CoordinatorRecord> for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let dump = match stores(self.name(), record) {
            Ok(dump) => dump,
            Err(verdict) => return verdict,
        };
        let broke = media_broke(record);
        let mut verdict = Verdict { checked: dump.log.len() as u64, ..Verdict::default() };
        verdict.violations.extend(self.told(record, &dump));
        verdict.violations.extend(self.made(&dump));
        // A store that lost what it had acknowledged has other ids than the other one, and may have fewer keys.
        if record.settled.is_ok() && !broke && !by_hand(record) {
            verdict.violations.extend(self.alike(&dump));
        }
        for (store, text) in [("the graph", dump.graph), ("SQLite", dump.ledger)] {
            verdict.violations.extend(self.keys(store, text));
        }
        verdict
    }
}

/// Whether the plan has somebody change the graph behind the coordinator's back.
fn by_hand(record: &CoordinatorRecord) -> bool {
    record.plan.system.get("graph_hides").is_some()
}

impl Identity {
    /// What clients were told: an id belongs to one request, and to what its transaction created.
    fn told(&self, record: &CoordinatorRecord, dump: &Dump<'_>) -> Vec<Violation> {
        let created: BTreeSet<(&EntityId, TxId)> =
            dump.events.iter().map(|event| (&event.resource, event.tx)).collect();
        let log: BTreeMap<&str, TxId> = dump.log.iter().map(|line| (line.key.as_str(), line.tx)).collect();
        let mut owners: BTreeMap<&EntityId, OpId> = BTreeMap::new();
        let mut violations = Vec::new();
        for (index, event) in record.history.events().iter().enumerate() {
            let at = |key| Violation::new(self.name(), key).at_step(index as u64).about([event.op]);
            match &event.kind {
                EventKind::Ok(Ret::Committed { created: ids, .. }) => {
                    for id in ids.values() {
                        if let Some(owner) = owners.insert(id, event.op) {
                            violations.push(
                                at("an id was given out twice")
                                    .expected(format!("an id for {} that nobody had before", event.op))
                                    .actual(format!("{id}, which {owner} was given")),
                            );
                        }
                        // What the log has lost is durability's business.
                        let Some(tx) = log.get(key_of(event.op).as_str()) else { continue };
                        if !created.contains(&(id, *tx)) {
                            violations.push(
                                at("an id that was told is not what was created")
                                    .expected(format!("{id} among what {tx} created"))
                                    .actual("no event of it by that transaction"),
                            );
                        }
                    }
                }
                // Clients cannot ask for an id of this form: that it was taken is the coordinator's doing.
                EventKind::Ok(Ret::Refused { tx, refusal: Refusal::EntityExists(id) })
                    if id.generated_by().is_some() =>
                {
                    violations.push(
                        at("an id was given out twice")
                            .expected(format!("ids for {tx} that nobody had before"))
                            .actual(format!("{id}, which exists already")),
                    );
                }
                _ => {}
            }
        }
        violations
    }

    /// What the stores hold: an id that was made is there by the transaction that is in it, which committed, and by no
    /// other before or after.
    fn made(&self, dump: &Dump<'_>) -> Vec<Violation> {
        let aborted: BTreeSet<TxId> =
            dump.log.iter().filter(|line| line.state == "aborted").map(|line| line.tx).collect();
        let mut first: BTreeMap<&EntityId, TxId> = BTreeMap::new();
        for event in &dump.events {
            first.entry(&event.resource).or_insert(event.tx);
        }
        let present = ids(dump.graph).into_iter().chain(ids(dump.ledger));
        let named: BTreeSet<EntityId> = present.chain(first.keys().map(|id| (*id).clone())).collect();
        let wrong = |id: &EntityId| {
            let (tx, _) = id.generated_by()?;
            let creator = first.get(id);
            if aborted.contains(&tx) {
                let expected = format!("no trace of {id}: {tx} aborted");
                return Some(("an id of an aborted transaction was used", expected, format!("created by {creator:?}")));
            }
            let other = creator.filter(|creator| **creator != tx)?;
            let expected = format!("{id} created by {tx}, whose name it has");
            Some(("an id was made by another transaction", expected, format!("created by {other}")))
        };
        let violations = named
            .iter()
            .filter_map(wrong)
            .map(|(key, expected, actual)| Violation::new(self.name(), key).expected(expected).actual(actual));
        violations.collect()
    }

    /// The same ids in both stores.
    fn alike(&self, dump: &Dump<'_>) -> Option<Violation> {
        let (graph, ledger) = (ids(dump.graph), ids(dump.ledger));
        let difference: Vec<&EntityId> = graph.symmetric_difference(&ledger).collect();
        (!difference.is_empty()).then(|| {
            Violation::new(self.name(), "the stores have different ids")
                .expected("the same ids in the graph and in SQLite")
                .actual(format!("{difference:?} in one of them"))
        })
    }

    fn keys(&self, store: &str, text: &str) -> Vec<Violation> {
        let mut holders: BTreeMap<&str, &str> = BTreeMap::new();
        let twice = text.lines().filter_map(|line| Some((canonical(line)?, line))).filter_map(|(key, line)| {
            let other = holders.insert(key, line)?;
            Some(
                Violation::new(self.name(), "two entities have one canonical key")
                    .expected(format!("one entity at most with the key {key} in {store}"))
                    .actual(format!("{other} and {line}")),
            )
        });
        twice.collect()
    }
}

/// The ids in a dump that are ids.
fn ids(text: &str) -> BTreeSet<EntityId> {
    let node = |line: &str| line.strip_prefix("node ")?.split(' ').next()?.parse().ok();
    text.lines().filter_map(node).collect()
}

/// The canonical key in the line of a node, as it is written there.
fn canonical(line: &str) -> Option<&str> {
    let name = format!("\"{CANONICAL_KEY_PROPERTY}\":\"");
    let start = line.find(&name)? + name.len();
    let value = &line[start..];
    let mut escaped = false;
    let end = value.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(&value[..end])
}

#[cfg(test)]
mod tests {
    use graph::{CanonicalKey, Kind, Operation, Patch, Snapshot};

    use super::super::fixture::{CASTS, Run, caught, passed};
    use super::*;

    fn label() -> EntityId {
        EntityId::new("_:new").unwrap()
    }

    fn keyed(run: &Run, id: &EntityId) -> Operation {
        let Operation::Create { kind, properties, .. } = run.create(id, 7) else { panic!("it creates") };
        Operation::Create { id: id.clone(), kind, key: Some(CanonicalKey::new("isbn:1").unwrap()), properties }
    }

    /// A transaction that has an id made, and is told.
    fn made(run: &mut Run) -> (OpId, EntityId) {
        let op = run.commit(vec![run.create(&label(), 7)]);
        let line = run.log.last().unwrap();
        (op, EntityId::generated(line.tx, 0))
    }

    #[test]
    fn ids_made_by_several_transactions_pass() {
        passed(&Identity, |run| {
            made(run);
            made(run);
            let op = run.submit(vec![run.create(&label(), 8), run.create(&run.alice, 8)]);
            let tx = run.abort(op);
            run.ok(op, Ret::Refused { tx, refusal: Refusal::EntityExists(run.alice.clone()) });
        });
    }

    #[test]
    fn an_id_that_two_requests_were_told_is_caught() {
        let mut run = Run::sound(CASTS[0]);
        let (_, id) = made(&mut run);
        let op = run.submit(vec![run.create(&label(), 8)]);
        let tx = run.land(op);
        run.ok(op, Ret::Committed { tx, created: [(label(), id)].into() });
        let keys: Vec<_> = Identity.check(&run.record()).violations.into_iter().map(|v| v.key.to_string()).collect();
        assert_eq!(keys, ["an id was given out twice", "an id that was told is not what was created"]);
    }

    #[test]
    fn an_id_that_was_taken_when_it_was_made_is_caught() {
        caught(&Identity, "an id was given out twice", |run| {
            let (_, id) = made(run);
            let op = run.submit(vec![run.create(&label(), 8)]);
            let tx = run.abort(op);
            run.ok(op, Ret::Refused { tx, refusal: Refusal::EntityExists(id) });
        });
    }

    #[test]
    fn an_id_that_was_made_before_is_caught_even_if_its_entity_is_gone() {
        caught(&Identity, "an id was made by another transaction", |run| {
            let (_, id) = made(run);
            let stranger = run.log[0].tx;
            let event = run.events.iter_mut().find(|event| event.resource == id).unwrap();
            event.tx = stranger;
            run.history = Run::sound(CASTS[0]).history;
        });
    }

    #[test]
    fn an_id_of_an_aborted_transaction_is_caught() {
        caught(&Identity, "an id of an aborted transaction was used", |run| {
            let op = run.submit(vec![run.create(&label(), 7)]);
            run.land(op);
            run.info(op);
            run.log.last_mut().unwrap().state = "aborted".to_owned();
        });
    }

    #[test]
    fn another_id_than_was_created_is_caught() {
        caught(&Identity, "an id that was told is not what was created", |run| {
            let op = run.submit(vec![run.create(&label(), 7)]);
            let tx = run.land(op);
            run.ok(op, Ret::Committed { tx, created: [(label(), EntityId::generated(tx, 9))].into() });
        });
    }

    #[test]
    fn other_ids_in_one_store_are_caught_at_rest_and_where_nothing_was_lost() {
        let differ = |run: &mut Run| run.ledger = Snapshot::default();
        caught(&Identity, "the stores have different ids", differ);
        passed(&Identity, |run| {
            differ(run);
            run.settled = Err("not settled".to_owned());
        });
    }

    #[test]
    fn two_living_entities_with_one_key_are_caught_in_either_store() {
        let twice = |run: &Run| {
            let mut graph = run.graph.clone();
            for id in ["x", "y"].map(|id| EntityId::new(id).unwrap()) {
                let mut alone = Snapshot::default();
                Patch { operations: vec![keyed(run, &id)] }.apply(&mut alone).unwrap();
                graph = Snapshot::new([graph.nodes(), alone.nodes()].concat(), graph.edges().to_vec());
            }
            graph
        };
        let key = "two entities have one canonical key";
        for in_graph in [true, false] {
            caught(&Identity, key, |run| {
                let graph = twice(run);
                *(if in_graph { &mut run.graph } else { &mut run.ledger }) = graph;
                run.settled = Err("not settled".to_owned());
            });
        }
    }

    #[test]
    fn a_key_that_passes_on_has_one_entity_at_a_time() {
        passed(&Identity, |run| {
            let ids = ["x", "y"].map(|id| EntityId::new(id).unwrap());
            run.commit(vec![keyed(run, &ids[0])]);
            run.commit(vec![Operation::Delete { id: ids[0].clone() }, keyed(run, &ids[1])]);
        });
    }

    #[test]
    fn a_key_is_read_from_a_line_with_its_quotes() {
        let (kind, key): (Kind, _) = ("book".parse().unwrap(), CanonicalKey::new("a\"b\\ c").unwrap());
        let node = graph::Node::entity(&label(), &kind, &[].into()).with_key(&kind, Some(&key));
        assert_eq!(canonical(&node.to_string()), Some(r#"book a\"b\\ c"#));
        assert_eq!(canonical("node a :Entity {\"kind\":\"book\"}"), None);
    }
}
