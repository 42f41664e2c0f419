//! Whatever happens, the numbers are those of the record.

use graph::{Content, Properties, Refusal, Subject};
use proptest::prelude::*;

use super::*;
use crate::commit::{Action, Answer, Decision, Settled};
use crate::events::{Append, Appended, Placed};
use crate::reconcile::{Evidence, Held, Logged, Order, Policy};

/// What comes next: a request, the end of an effect that is under way, or time.
#[derive(Clone, Debug)]
enum Event {
    Submit {
        key: usize,
        entity: usize,
    },
    Read {
        entity: usize,
    },
    Outcome {
        serial: u64,
    },
    Examine {
        entity: usize,
    },
    Repair {
        entity: usize,
    },
    /// Which effect of those under way, and how it ends.
    End {
        which: prop::sample::Index,
        how: usize,
    },
    Append {
        entity: usize,
    },
    Wait {
        ms: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..4_usize, 0..3_usize).prop_map(|(key, entity)| Event::Submit { key, entity }),
        1 => (0..3_usize).prop_map(|entity| Event::Read { entity }),
        1 => (1..6_u64).prop_map(|serial| Event::Outcome { serial }),
        1 => (0..3_usize).prop_map(|entity| Event::Examine { entity }),
        1 => (0..3_usize).prop_map(|entity| Event::Repair { entity }),
        1 => (0..3_usize).prop_map(|entity| Event::Append { entity }),
        8 => (any::<prop::sample::Index>(), 0..4_usize).prop_map(|(which, how)| Event::End { which, how }),
        2 => (1..12_000_u64).prop_map(|ms| Event::Wait { ms }),
    ]
}

/// An input that ends the effect, one of those that executors give.
fn end(effect: EffectId, action: &Action, how: usize) -> Input {
    let done = |report| Input::Done { effect, report };
    let failed = |failure| Input::Failed { effect, failure };
    let retryable = Failure::Refused { reason: "later".to_owned(), retryable: true };
    match (action, how) {
        (Action::Intend(_), 0 | 1) => done(Report::Intended),
        (Action::Intend(intent), 2) => done(Report::Refused(Refusal::EntityExists(
            intent.patch.operations[0].keys().next().expect("a key").clone(),
        ))),
        (Action::IntendRepair { .. }, 0 | 1) => done(Report::Intended),
        (Action::IntendRepair { .. }, _) => done(Report::Refused(Refusal::NoSuchEntity(entity("e0")))),
        (Action::Examine { .. }, 0) => failed(lost()),
        (Action::Examine { subject }, 1) => done(Report::Examined(Box::new(apart(subject.clone(), Logged::Never)))),
        (Action::Examine { subject }, 2) => {
            done(Report::Examined(Box::new(apart(subject.clone(), Logged::Unreadable("torn".to_owned())))))
        }
        (Action::Examine { subject }, _) => {
            let agreed = Evidence { graph: Held::Absent, ..apart(subject.clone(), Logged::Never) };
            done(Report::Examined(Box::new(agreed)))
        }
        (Action::Intend(_), _) => {
            done(Report::Known(Settled { tx: TxId { incarnation: 1, serial: 1 }, decision: Decision::Committed }))
        }
        (Action::Find { .. }, _) => done(Report::Found(None)),
        (Action::Decide { .. }, 0) => done(Report::Decided),
        (Action::Decide { .. }, 1) => failed(lost()),
        (Action::Decide { .. }, 2) => failed(no()),
        (Action::Decide { .. }, _) => failed(retryable),
        (Action::Fence { .. }, 0 | 1) => done(Report::Fenced { committed: how == 0 }),
        (Action::Fence { .. }, _) => failed(lost()),
        (Action::Finish { .. }, _) => done(Report::Finished),
        (Action::Load { .. }, 0) => failed(lost()),
        (Action::Load { .. }, _) => done(Report::Loaded(None)),
        (Action::LookUp { .. }, 0) => failed(no()),
        (Action::LookUp { .. }, _) => done(Report::LookedUp(None)),
        (Action::Append(_), 0) => failed(no()),
        (Action::Append(append), 1) => done(Report::Appended(Appended::EventIdReused(append.events[0].id.clone()))),
        (Action::Append(_), 2) => done(Report::Appended(Appended::VersionConflict { actual: 1 })),
        (Action::Append(append), _) => {
            let placed = Placed { stream: append.stream.clone(), first: 1, last: 1, position: 1 };
            done(Report::Appended(Appended::New(placed)))
        }
    }
}

fn subject(which: usize) -> Subject {
    Subject::Entity(entity(&format!("e{which}")))
}

/// The graph has something that SQLite does not have.
fn apart(subject: Subject, log: Logged) -> Evidence {
    let content = Content { kind: "thing".parse().expect("a kind"), key: None, properties: Properties::new() };
    Evidence {
        subject,
        graph: Held::Present(content),
        sql: None,
        log,
        linked: false,
        loose: false,
        rivals: Vec::new(),
        unaccounted: Vec::new(),
    }
}

/// What a step has under way.
fn actions(step: &Step<CommitEffect, Mark>) -> impl Iterator<Item = (EffectId, Action)> + '_ {
    step.effects.iter().filter_map(|effect| match effect {
        CommitEffect::Do { id, action } => Some((*id, action.clone())),
        CommitEffect::Reply { .. } | CommitEffect::Halt { .. } => None,
    })
}

proptest! {
    #[test]
    fn the_numbers_are_those_of_the_record(
        lefts in 0..3_u64,
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut bench = Bench::new((1..=lefts).map(left).collect());
        let mut now = Millis::ZERO;
        let mut asked = 0;
        let (mut pending, mut seen) = (Vec::new(), 0);
        let mut reviews_ended = 0;
        for event in events {
            now = now + Millis(1);
            pending.extend(bench.record[seen..].iter().flat_map(actions));
            seen = bench.record.len();
            match event {
                Event::Submit { key, entity } => {
                    asked += 1;
                    // Each key has an entity of its own but one, which is used for all.
                    let id = if key == 0 { entity } else { key };
                    bench.submit(now, &format!("k{key}"), &format!("e{id}"));
                }
                Event::Read { entity: which } => {
                    asked += 1;
                    let request = bench.request();
                    bench.tell(now, Input::Read { request, entity: entity(&format!("e{which}")) });
                }
                Event::Outcome { serial } => {
                    asked += 1;
                    let request = bench.request();
                    bench.tell(now, Input::Outcome { request, tx: tx(serial) });
                }
                Event::Examine { entity } => {
                    asked += 1;
                    let request = bench.request();
                    bench.tell(now, Input::Examine { request, subject: subject(entity) });
                }
                Event::Repair { entity } => {
                    asked += 1;
                    let request = bench.request();
                    let order = Order::Policy(Policy::Log);
                    bench.tell(now, Input::Repair { request, subject: subject(entity), order });
                }
                Event::Append { entity: which } => {
                    asked += 1;
                    let request = bench.request();
                    let event = r#"{"id":"a","type":"noted","userId":"ann","version":1}"#;
                    let events = vec![serde_json::from_str(event).expect("an event")];
                    let append = Append { stream: entity(&format!("e{which}")), expected: None, events };
                    bench.tell(now, Input::Append { request, append });
                }
                Event::End { which, how } => {
                    if pending.is_empty() { continue }
                    let (effect, action) = pending.swap_remove(which.index(pending.len()));
                    if matches!(effect, EffectId::Review(_)) && !bench.core.status().halted {
                        reviews_ended += 1;
                    }
                    bench.tell(now, end(effect, &action, how));
                }
                Event::Wait { ms } => {
                    now = now + Millis(ms);
                    if bench.core.poll_timeout().is_some_and(|due| due <= now) {
                        bench.tell(now, Input::Timeout);
                    }
                }
            }
        }
        prop_assert_eq!(bench.metrics.decisions().len(), Mark::NAMES.len(), "a mark has a name of its own");
        let marks: Vec<&Mark> = bench.record.iter().flat_map(|step| &step.marks).collect();
        for (name, count) in bench.metrics.decisions() {
            prop_assert_eq!(*count, marks.iter().filter(|mark| mark.name() == *name).count() as u64, "{}", name);
        }
        let over = |mark: &&&Mark| matches!(mark, Mark::Committed(_) | Mark::Aborted(_));
        let settled: u64 = bench.metrics.settled().values().sum();
        prop_assert_eq!(settled, marks.iter().filter(over).count() as u64);

        let effects = || bench.record.iter().flat_map(|step| &step.effects);
        let replies = effects().filter(|effect| matches!(effect, CommitEffect::Reply { .. })).count() as u64;
        let answered: u64 = bench.metrics.answers().values().sum();
        prop_assert_eq!(answered, replies);
        prop_assert_eq!(answered + bench.metrics.requests.len() as u64, asked);
        let successes = effects().filter(|effect| {
            let CommitEffect::Reply { answer: Answer::Settled(settled), .. } = effect else { return false };
            settled.decision == Decision::Committed
        });
        let of = |name| bench.answers(RequestKind::Transaction).get(name).copied().unwrap_or(0);
        prop_assert!(of("committed") <= bench.metrics.settled()["committed"]);
        prop_assert!(of("committed") <= successes.count() as u64);

        // Without an outcome, intent durable: exactly those that the core holds beyond the intent. A
        // repair that still looks at what differs has no intent yet.
        let begun = bench.record.iter().flat_map(actions);
        let reviewing = begun.filter(|(effect, _)| matches!(effect, EffectId::Review(_))).count() as u64 - reviews_ended;
        let status = bench.core.status();
        let (doubt, _) = bench.metrics.doubt(now);
        let intending = bench.metrics.open.values().filter(|open| open.in_doubt.is_none()).count() as u64;
        prop_assert_eq!(doubt + intending + reviewing, status.open);
        prop_assert_eq!(bench.metrics.recovering(), status.recovering);
        prop_assert_eq!(bench.metrics.halted(), status.halted);
    }
}
