//! Linearizability as a [`Checker`], with a report a person can follow.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::check::{Checker, Verdict, Violation};
use crate::history::{History, OpId, Operation, Outcome};

use super::{Conclusion, Counterexample, Model, check, minimal_prefix};

/// How many operations of a list a report shows.
const SHOWN_MAX: usize = 20;

/// Checks histories against `M`. Counts the operations whose answer had to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Linearizability<M> {
    /// What the clients were promised.
    pub model: M,
    /// How many times the model may be stepped for each part of the history that is checked apart.
    pub budget: u64,
}

impl<M> Checker<History<M::Op, M::Ret>> for Linearizability<M>
where
    M: Model,
    M::Op: Debug,
    M::Ret: Debug,
{
    fn name(&self) -> &'static str {
        "linearizability"
    }

    fn check(&self, history: &History<M::Op, M::Ret>) -> Verdict {
        let answered = history.operations().iter().filter(|o| matches!(o.outcome, Outcome::Ok(_))).count();
        let violations = match check(&self.model, history, self.budget) {
            Conclusion::Linearizable { .. } => vec![],
            Conclusion::Illegal(counterexample) => vec![self.illegal(history, &counterexample)],
            Conclusion::Unknown { keys, operations, .. } => vec![
                Violation::new(self.name(), "undecided")
                    .expected(format!("a decision within {} steps of the model", self.budget))
                    .actual(format!("none for the {operations} operations on {}", on(&keys))),
            ],
        };
        Verdict { violations, checked: answered as u64 }
    }
}

impl<M: Model> Linearizability<M>
where
    M::Op: Debug,
    M::Ret: Debug,
{
    fn illegal(&self, history: &History<M::Op, M::Ret>, found: &Counterexample<M::Key, M::State>) -> Violation {
        let operations: BTreeMap<OpId, _> = history.operations().into_iter().map(|o| (o.id, o)).collect();
        let lines = |ids: &[OpId]| -> Vec<String> {
            let hidden = ids.len().saturating_sub(SHOWN_MAX);
            let head = (hidden > 0).then(|| format!("  … {hidden} earlier"));
            head.into_iter().chain(ids[hidden..].iter().map(|id| format!("  {}", line(&operations[id])))).collect()
        };
        let prefix = minimal_prefix(&self.model, history, self.budget).unwrap_or(history.len());
        let exposed = &history.events()[prefix - 1];

        Violation::new(self.name(), kind(operations[&exposed.op].op))
            .at_step((prefix - 1) as u64)
            .about(found.stuck.iter().copied().chain([exposed.op]).collect::<BTreeSet<_>>())
            .explained(found.order.iter().copied())
            .expected(format!(
                "an order that explains the {} operations on {}",
                found.operations.len(),
                on(&found.keys)
            ))
            .actual(format!(
                "after the longest order, in state {:?}, no operation can have answered as it did",
                found.state
            ))
            .details([format!("the longest order that explains what was answered ({} operations):", found.order.len())])
            .details(lines(&found.order))
            .details(["one of these had to come next:".to_owned()])
            .details(lines(&found.stuck))
            .details([format!("the history is illegal since event {}:", prefix - 1), format!("  {exposed}")])
    }
}

/// The kind of an operation, without its arguments: what two failures of one cause have in common.
fn kind(op: &impl Debug) -> String {
    let text = format!("{op:?}");
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
}

fn on<Key: Debug>(keys: &[Key]) -> String {
    match keys {
        [] => "the whole object".to_owned(),
        [key] => format!("key {key:?}"),
        keys => format!("keys {keys:?}"),
    }
}

fn line<Op: Debug, Ret: Debug>(operation: &Operation<&Op, &Ret>) -> String {
    let Operation { id, client, op, invoked, completed, outcome } = operation;
    let ret = match outcome {
        Outcome::Ok(ret) => format!("{ret:?}"),
        Outcome::Fail => "failed".to_owned(),
        Outcome::Info => "unknown".to_owned(),
    };
    let end = completed.map_or("…".to_owned(), |moment| moment.at.to_string());
    format!("{id} of {client} ({} to {end}): {op:?} -> {ret}", invoked.at)
}
