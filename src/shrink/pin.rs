//! A plan in which nothing waits for what stands before it.
//!
//! A client asks for the next thing when it was told of the last one. So an operation that is taken out of a plan draws all
//! that follow it to other times, and a failure that is a matter of time is gone with whatever is taken away. With each
//! operation at the time at which it was asked for, the run is the same, and what is left of it stays where it was.

use crate::history::{EventKind, History};
use crate::plan::Plan;

/// The plan with each operation at the time at which a run of it asked for it.
pub fn pinned<Op: Clone, Asked, Told>(plan: &Plan<Op>, history: &History<Asked, Told>) -> Plan<Op> {
    let mut plan = plan.clone();
    let mut steps: Vec<_> = plan.clients.iter_mut().map(|client| client.steps.iter_mut()).collect();
    for event in history.events().iter().filter(|event| matches!(event.kind, EventKind::Invoke(_))) {
        // Clients are numbered as in the plan, and ask for one thing after the other.
        let client = usize::try_from(event.client.0).ok().and_then(|place| steps.get_mut(place));
        if let Some(step) = client.and_then(Iterator::next) {
            step.at_ms = step.at_ms.max(event.at.0);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{ClientId, Millis};
    use crate::plan::fake::{Op, plan};
    use crate::plan::{Client, ClientStep};

    #[test]
    fn each_operation_is_where_it_was_asked_for() {
        let client = |name: &str, times: &[u64]| Client {
            name: name.to_owned(),
            steps: times.iter().map(|at_ms| ClientStep { at_ms: *at_ms, op: Op::Stop }).collect(),
        };
        let plan = Plan { clients: vec![client("c1", &[0, 0, 50]), client("c2", &[300])], ..plan() };
        let mut history: History<(), ()> = History::new();
        let mut asked = |at_ms, client| {
            let op = history.invoke(Millis(at_ms), ClientId(client), ());
            history.ok(Millis(at_ms + 1), op, ()).expect("it was invoked");
        };
        asked(3, 0);
        asked(20, 0);
        asked(301, 1);
        let pinned = pinned(&plan, &history);
        let times = |client: usize| pinned.clients[client].steps.iter().map(|step| step.at_ms).collect::<Vec<_>>();
        // The last was never asked for.
        assert_eq!((times(0), times(1)), (vec![3, 20, 50], vec![301]));
    }
}
