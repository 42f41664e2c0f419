//! Random schedules: several entities, a stream of events, overlapping transactions, every fault, and time.
//!
//! A schedule is a list of numbers, each of which picks what happens next from all that
//! could. When it ends the faults do, and everything has to come to rest.

use std::collections::{BTreeMap, BTreeSet};

use env::Core;
use graph::{EntityId, Millis, NewEvent, Operation, Patch, Refusal, TxId};
use proptest::prelude::*;

use super::{entity, refused, unknown};
use crate::commit::{
    AbortReason, Action, Answer, Commit, CommitEffect, Config, Decision, EffectId, EntityView, Failure, Input, Intent,
    Report, RequestId, Settled, Status, Submission,
};
use crate::events::{Append, Appended, Placed};

/// The transactions that clients want, each under a key of its own, as often as they like.
const WANTED: [(&str, &str); 7] =
    [("k0", "a"), ("k1", "ab"), ("k2", "b"), ("k3", "bc"), ("k4", "cda"), ("k5", "d"), ("k6", "abcd")];
/// Who writes this entity appends an event to the stream as well, by the name of its key.
const EVENTFUL: char = 'd';
/// What others append to the stream by themselves; one of them would be a transaction's.
const EVENTS: [&str; 3] = ["x", "y", "k5"];
const ENTITIES: [&str; 4] = ["a", "b", "c", "d"];
const CONFIG: Config = Config {
    decide_attempts_max: 2,
    backoff_ms: Millis(10),
    backoff_ms_max: Millis(20),
    jitter_seed: 7,
    answer_timeout_ms: Millis(25),
};

/// Who wrote an entity, oldest first.
type Writes = BTreeMap<EntityId, Vec<TxId>>;

struct Effect {
    action: Action,
    result: Option<Result<Report, Failure>>,
}

/// A coordinator, its stores and its clients.
struct World {
    core: Commit,
    incarnation: u64,
    now: Millis,
    effects: BTreeMap<EffectId, Effect>,
    log: BTreeMap<TxId, (Intent, Option<Decision>)>,
    rows: Writes,
    /// The numbers of the stream that are fixed, by transaction.
    slots: BTreeMap<TxId, u64>,
    /// The stream, in the order in which it was written: number, id and transaction.
    stream: Vec<(u64, String, Option<TxId>)>,
    markers: BTreeMap<TxId, bool>,
    writes: Writes,
    /// Requests to the graph that nobody waits for: a decide, or, without a patch, a fence.
    strays: Vec<(TxId, Option<Patch>)>,
    waiting: BTreeMap<RequestId, Option<EntityId>>,
    requests: u64,
    last: TxId,
}

impl World {
    fn new() -> World {
        let (core, _) = Commit::recover(CONFIG, 1, Vec::new()).expect("an empty log");
        World {
            core,
            incarnation: 1,
            now: Millis::ZERO,
            effects: BTreeMap::new(),
            log: BTreeMap::new(),
            rows: Writes::new(),
            slots: BTreeMap::new(),
            stream: Vec::new(),
            markers: BTreeMap::new(),
            writes: Writes::new(),
            strays: Vec::new(),
            waiting: BTreeMap::new(),
            requests: 0,
            last: TxId { incarnation: 1, serial: 1 },
        }
    }

    /// Lets happen what the number picks.
    fn happen(&mut self, pick: u16) {
        let which = usize::from(pick / 16);
        match pick % 16 {
            0..=2 => {
                let (key, entities) = WANTED[which % WANTED.len()];
                let request = self.request(None);
                self.tell(Input::Submit { request, submission: submission(key, entities) });
            }
            3 => {
                let entity = entity(ENTITIES[which % ENTITIES.len()]);
                let request = self.request(Some(entity.clone()));
                self.tell(Input::Read { request, entity });
            }
            4 if which.is_multiple_of(2) => {
                let request = self.request(None);
                let events = vec![event(EVENTS[which / 2 % EVENTS.len()])];
                self.tell(Input::Append { request, append: Append { stream: entity("s"), expected: None, events } });
            }
            4 => {
                let request = self.request(None);
                self.tell(Input::Outcome { request, tx: self.last });
            }
            5 => self.time_passes(),
            6..=8 => self.with_effect(which, World::execute),
            9..=11 => self.with_effect(which, World::report),
            12 => self.with_effect(which, World::lose),
            13 => self.with_effect(which, |world, id| world.refuse(id, pick % 32 < 16)),
            14 => self.arrive(which),
            _ if which.is_multiple_of(4) || self.core.status().halted => self.crash(),
            _ => self.now = self.now + Millis(1),
        }
    }

    fn request(&mut self, reads: Option<EntityId>) -> RequestId {
        self.requests += 1;
        self.waiting.insert(RequestId(self.requests), reads);
        RequestId(self.requests)
    }

    fn with_effect(&mut self, which: usize, act: impl FnOnce(&mut World, EffectId)) {
        if let Some(id) = self.effects.keys().nth(which % self.effects.len().max(1)) {
            act(self, *id);
        }
    }

    fn time_passes(&mut self) {
        if let Some(until) = self.core.poll_timeout() {
            self.now = self.now.max(until);
            self.tell(Input::Timeout);
        }
    }

    fn execute(&mut self, id: EffectId) {
        if self.effects[&id].result.is_some() {
            return;
        }
        let result = match self.effects[&id].action.clone() {
            Action::Intend(intent) => Ok(self.intend(intent)),
            Action::Decide { tx, patch } => self.decide(tx, &patch),
            Action::Fence { tx } => Ok(Report::Fenced { committed: *self.markers.entry(tx).or_insert(false) }),
            Action::Finish { tx, decision } => Ok(self.finish(tx, decision)),
            Action::Load { entity } => Ok(Report::Loaded(self.view(&entity))),
            Action::LookUp { tx } => {
                let decision = self.log.get(&tx).and_then(|(_, decision)| decision.clone());
                Ok(Report::LookedUp(decision.map(|decision| Settled { tx, decision })))
            }
            Action::Append(append) => Ok(Report::Appended(self.append(&append))),
            Action::Find { .. } | Action::Examine { .. } | Action::IntendRepair { .. } => {
                panic!("nobody asked for {id:?}")
            }
        };
        self.effects.get_mut(&id).expect("just looked at").result = Some(result);
    }

    fn intend(&mut self, intent: Intent) -> Report {
        self.last = intent.tx;
        if let Some((earlier, decision)) = self.log.values().find(|(earlier, _)| earlier.key == intent.key) {
            let decision = decision.clone().unwrap_or_else(|| panic!("{} is open", earlier.tx));
            return Report::Known(Settled { tx: earlier.tx, decision });
        }
        let keys = intent.patch.keys();
        for (other, _) in self.log.values().filter(|(_, decision)| decision.is_none()) {
            assert!(other.patch.keys().is_disjoint(&keys), "{} and {} at the same time", other.tx, intent.tx);
        }
        if let Some(id) = appended(&intent.patch) {
            if self.stream.iter().any(|(_, there, _)| *there == id) {
                let refusal = Refusal::EventExists(id.parse().expect("an id"));
                let aborted = Decision::Aborted { reason: AbortReason::Refused(refusal.clone()) };
                self.log.insert(intent.tx, (intent, Some(aborted)));
                return Report::Refused(refusal);
            }
            self.slots.insert(intent.tx, self.stream.len() as u64 + 1);
        }
        self.log.insert(intent.tx, (intent, None));
        Report::Intended
    }

    fn append(&mut self, append: &Append) -> Appended {
        let id = append.events[0].id.as_str();
        let placed = |number| Placed { stream: append.stream.clone(), first: number, last: number, position: number };
        match self.stream.iter().find(|(_, there, _)| there == id) {
            Some((number, _, None)) => Appended::Repeated(placed(*number)),
            Some((_, _, Some(_))) => Appended::EventIdReused(append.events[0].id.clone()),
            None => {
                let number = self.stream.len() as u64 + 1;
                self.stream.push((number, id.to_owned(), None));
                Appended::New(placed(number))
            }
        }
    }

    fn decide(&mut self, tx: TxId, patch: &Patch) -> Result<Report, Failure> {
        if self.markers.contains_key(&tx) {
            return Err(Failure::Constraint);
        }
        self.markers.insert(tx, true);
        write(&mut self.writes, tx, patch);
        Ok(Report::Decided)
    }

    fn finish(&mut self, tx: TxId, decision: Decision) -> Report {
        let (intent, outcome) = self.log.get_mut(&tx).expect("it was begun");
        assert_eq!(*outcome, None, "{tx} is finished twice");
        if decision == Decision::Committed {
            write(&mut self.rows, tx, &intent.patch);
            if let Some(id) = appended(&intent.patch) {
                self.stream.push((self.slots[&tx], id, Some(tx)));
            }
        }
        *outcome = Some(decision);
        Report::Finished
    }

    fn view(&self, entity: &EntityId) -> Option<EntityView> {
        let tx = *self.writes.get(entity)?.last()?;
        let version = self.writes[entity].len() as u64;
        let kind = "thing".parse().expect("a kind");
        Some(EntityView { id: entity.clone(), kind, key: None, properties: [].into(), links: Vec::new(), version, tx })
    }

    fn report(&mut self, id: EffectId) {
        let Some(result) = self.effects[&id].result.clone() else { return };
        self.effects.remove(&id);
        self.tell(match result {
            Ok(report) => Input::Done { effect: id, report },
            Err(failure) => Input::Failed { effect: id, failure },
        });
    }

    fn lose(&mut self, id: EffectId) {
        self.drop_effect(id);
        self.tell(Input::Failed { effect: id, failure: unknown() });
    }

    fn refuse(&mut self, id: EffectId, retryable: bool) {
        if self.effects[&id].result.is_none() {
            self.effects.remove(&id);
            self.tell(Input::Failed { effect: id, failure: refused(retryable) });
        }
    }

    /// Nobody waits for the effect any more; what the graph was sent is still on its way.
    fn drop_effect(&mut self, id: EffectId) {
        match self.effects.remove(&id) {
            Some(Effect { action: Action::Decide { tx, patch }, result: None }) => self.strays.push((tx, Some(patch))),
            Some(Effect { action: Action::Fence { tx }, result: None }) => self.strays.push((tx, None)),
            _ => {}
        }
    }

    fn arrive(&mut self, which: usize) {
        if self.strays.is_empty() {
            return;
        }
        match self.strays.remove(which % self.strays.len()) {
            // Nobody hears what came of it.
            (tx, Some(patch)) => drop(self.decide(tx, &patch)),
            (tx, None) => drop(self.markers.entry(tx).or_insert(false)),
        }
    }

    fn crash(&mut self) {
        for id in self.effects.keys().copied().collect::<Vec<_>>() {
            self.drop_effect(id);
        }
        self.waiting.clear();
        self.incarnation += 1;
        self.now = Millis::ZERO;
        let open = self.log.values().filter(|(_, decision)| decision.is_none());
        let intents = open.map(|(intent, _)| intent.clone()).collect();
        let (core, step) = Commit::recover(CONFIG, self.incarnation, intents).expect("locks prevent conflicts");
        self.core = core;
        self.carry_out(step.effects);
    }

    fn tell(&mut self, input: Input) {
        let step = self.core.handle(self.now, input);
        self.carry_out(step.effects);
    }

    fn carry_out(&mut self, effects: Vec<CommitEffect>) {
        for effect in effects {
            match effect {
                CommitEffect::Do { id, action } => {
                    let before = self.effects.insert(id, Effect { action, result: None });
                    assert!(before.is_none(), "{id:?} was asked for twice");
                }
                CommitEffect::Reply { request, answer } => self.answer(request, answer),
                CommitEffect::Halt { .. } => assert!(self.core.status().halted),
            }
        }
    }

    fn answer(&mut self, request: RequestId, answer: Answer) {
        let read = self.waiting.remove(&request).unwrap_or_else(|| panic!("{request:?} did not wait for {answer:?}"));
        match answer {
            Answer::Settled(Settled { tx, decision }) => {
                assert_eq!(self.log[&tx].1.as_ref(), Some(&decision), "{tx} was answered before it was durable");
            }
            Answer::Entity(view) => {
                let entity = read.expect("only readers are told of entities");
                let rows = self.rows.get(&entity).map_or(&[][..], Vec::as_slice);
                assert_eq!(view.map(|view| view.tx), rows.last().copied(), "{entity} was read torn");
            }
            Answer::Appended(Appended::New(placed) | Appended::Repeated(placed)) => {
                let there = &self.stream[usize::try_from(placed.first).expect("few events") - 1];
                assert!(there.0 == placed.first && there.2.is_none(), "{placed:?} is {there:?}");
            }
            Answer::Appended(Appended::VersionConflict { .. }) => panic!("nobody expected a version"),
            Answer::Appended(Appended::EventIdReused(_)) => {}
            Answer::Appended(Appended::Damaged(_)) => panic!("nothing damages events"),
            Answer::NoSuchTransaction(_) | Answer::Unknown(_) | Answer::Rejected(_) => {}
            Answer::KeyReused(_) | Answer::Status(_) | Answer::Examined(_) | Answer::Reviewed(_) => {
                panic!("nobody asked for {answer:?}")
            }
        }
    }

    /// No more faults: everything ends, or nothing moves any more, which is a defect.
    fn come_to_rest(&mut self) {
        for _ in 0..10_000 {
            if self.core.status().halted {
                self.crash();
            } else if let Some(id) = self.effects.keys().next().copied() {
                self.execute(id);
                self.report(id);
            } else if self.core.poll_timeout().is_some() {
                self.time_passes();
            } else {
                break;
            }
        }
        assert_eq!(self.core.status(), Status::default());
        assert!(self.core.locks.is_empty() && self.effects.is_empty() && self.waiting.is_empty());
        self.check_the_stores();
        while !self.strays.is_empty() {
            self.arrive(0);
        }
        self.check_the_stores();
    }

    fn check_the_stores(&self) {
        assert_eq!(self.writes, self.rows, "the stores differ");
        let numbers = self.stream.iter().map(|(number, ..)| *number);
        assert!(numbers.eq(1..=self.stream.len() as u64), "{:?}", self.stream);
        let ids: BTreeSet<_> = self.stream.iter().map(|(_, id, _)| id).collect();
        assert_eq!(ids.len(), self.stream.len(), "{:?}", self.stream);
        let mut keys = BTreeSet::new();
        for (tx, (intent, decision)) in &self.log {
            let decision = decision.as_ref().unwrap_or_else(|| panic!("{tx} has no outcome"));
            assert!(keys.insert(&intent.key), "two transactions under {}", intent.key);
            let expected = usize::from(*decision == Decision::Committed);
            let events = self.stream.iter().filter(|(_, _, by)| by.as_ref() == Some(tx)).count();
            assert_eq!(events, expected.min(appended(&intent.patch).iter().count()), "{tx} in the stream");
            for entity in intent.patch.keys() {
                let times = self.writes.get(&entity).into_iter().flatten().filter(|by| *by == tx).count();
                assert_eq!(times, expected, "{tx} on {entity}");
            }
        }
    }
}

fn event(id: &str) -> NewEvent {
    let text = format!(r#"{{"id":"{id}","type":"noted","userId":"ann","version":1}}"#);
    serde_json::from_str(&text).expect("an event")
}

fn submission(key: &str, entities: &str) -> Submission {
    let mut submission = super::submission(key, entities);
    if entities.contains(EVENTFUL) {
        let append = Operation::Append { resource: Some(entity("s")), event: event(key) };
        submission.patch.operations.push(append);
    }
    submission
}

/// The id of the event that a transaction appends.
fn appended(patch: &Patch) -> Option<String> {
    patch.operations.iter().find_map(|operation| match operation {
        Operation::Append { event, .. } => Some(event.id.as_str().to_owned()),
        _ => None,
    })
}

fn write(writes: &mut Writes, tx: TxId, patch: &Patch) {
    for entity in patch.keys() {
        writes.entry(entity).or_default().push(tx);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_schedule_comes_to_rest_with_both_stores_agreeing(
        picks in proptest::collection::vec(any::<u16>(), 0..250),
    ) {
        let mut world = World::new();
        for pick in picks {
            world.happen(pick);
        }
        world.come_to_rest();
    }
}
