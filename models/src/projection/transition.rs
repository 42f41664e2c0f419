//! What each action does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use env::Core;
use graph::{EntityId, Millis};
use projection::event::{Content, Event, Payload};
use projection::fold;
use projection::lanes::{
    Action as Asked, EffectId, Failure, Input, LanesEffect, Listing, Mark, Report, RequestId, Scope, Write,
};
use projection::log::Fed;

use super::action::Action;
use super::flaw::Flaw;
use super::graph::Graph;
use super::state::{Effect, Process, State};
use super::{Pace, ProjectionModel, log, name, started};

/// No time passes in the model.
const NOW: Millis = Millis::ZERO;

impl ProjectionModel {
    pub(super) fn apply(&self, state: &mut State, action: &Action) {
        match action {
            Action::Deliver(at) => {
                state.left.deliveries -= 1;
                self.tell(state, Input::Deliver { events: vec![self.log[*at].clone()] });
            }
            Action::Execute(effect) => {
                let id = find(state, effect);
                let action = process(state).effects[&id].action.clone();
                if matches!(*action, Asked::Apply { .. }) {
                    let result = self.execute(state, &action);
                    process(state).effects.get_mut(&id).expect("just looked at").result = Some(result);
                } else {
                    self.execute_and_report(state, id);
                }
            }
            Action::Report(effect) => {
                let id = find(state, effect);
                let result = process(state).effects.remove(&id).expect("just looked at").result;
                self.report(state, id, result.expect("it was executed"));
            }
            Action::Lose(effect) => {
                state.left.losses -= 1;
                let id = find(state, effect);
                let lost = process(state).effects.remove(&id).expect("just looked at");
                stray(state, lost);
                self.report(state, id, Err(Failure::Unknown { reason: String::new() }));
            }
            Action::Arrive(at) => {
                let writes = state.strays.remove(*at);
                match self.write(state, &writes) {
                    Ok(_) => state.seen.stray_landed = true,
                    Err(_) => state.seen.stray_refused = true,
                }
            }
            Action::Rebuild => {
                state.left.rebuilds -= 1;
                state.rebuilds += 1;
                let request = RequestId(u64::from(state.rebuilds));
                self.tell(state, Input::Rebuild { request, scope: Scope::All });
            }
            Action::Crash => {
                state.left.crashes -= 1;
                for (_, effect) in state.process.take().expect("it was running").effects {
                    stray(state, effect);
                }
            }
            Action::Restart => self.restart(state),
        }
    }

    pub(super) fn restart(&self, state: &mut State) {
        let (core, effects) = started(self.config);
        state.process = Some(Process { core, effects: BTreeMap::new() });
        self.carry_out(state, effects);
        // Whatever it is told before it has read this, it would only keep.
        for first in [EffectId::Open, EffectId::List(Listing::Parked)] {
            self.execute_and_report(state, first);
        }
    }

    fn execute_and_report(&self, state: &mut State, id: EffectId) {
        let action = process(state).effects.remove(&id).expect("it was asked for").action;
        let result = self.execute(state, &action);
        self.report(state, id, result);
    }

    fn report(&self, state: &mut State, effect: EffectId, result: Result<Report, Failure>) {
        let input = match result {
            Ok(report) => Input::Done { effect, report },
            Err(failure) => Input::Failed { effect, failure },
        };
        self.tell(state, input);
    }

    fn tell(&self, state: &mut State, input: Input) {
        let step = Arc::make_mut(&mut process(state).core).handle(NOW, input);
        for mark in &step.marks {
            state.seen.duplicate |= matches!(mark, Mark::Duplicate(_));
            state.seen.resumed |= matches!(mark, Mark::Resumed(_));
        }
        self.carry_out(state, step.effects);
    }

    fn carry_out(&self, state: &mut State, effects: Vec<LanesEffect>) {
        for effect in effects {
            match effect {
                LanesEffect::Do { id, action } => {
                    let effect = Effect { action: Arc::new(action), result: None };
                    let before = process(state).effects.insert(id.clone(), effect);
                    assert_eq!(before, None, "{id:?} was asked for twice");
                }
                LanesEffect::Reply { .. } => {}
                LanesEffect::Halt { reason } => panic!("the lanes stop: {reason}"),
            }
        }
    }

    fn execute(&self, state: &mut State, action: &Asked) -> Result<Report, Failure> {
        Ok(match action {
            Asked::Open => Report::Opened(state.graph.projection.clone()),
            Asked::Load { wants } => Report::Loaded(wants.iter().map(|want| state.graph.load(want)).collect()),
            Asked::Apply { since, writes } => {
                assert_eq!(*since, state.graph.projection.since, "there is one log");
                return self.write(state, writes);
            }
            Asked::Fetch { resource, after, limit } => {
                let mut events = self.stream(resource, *after);
                let more = events.len() > *limit;
                events.truncate(*limit);
                Report::Fetched { events, more }
            }
            Asked::Feed { after, limit } => {
                let all = (1..).zip(self.log.iter().cloned());
                let events: Vec<(u64, Arc<Event>)> = all.filter(|(at, _)| at > after).take(*limit).collect();
                let through = events.last().map_or(*after, |(at, _)| *at);
                let (log, last) = (log(), self.log.len() as u64);
                Report::Fed(Fed { log, events, unread: Vec::new(), through, last })
            }
            Asked::Checkpoint { since, position } => {
                let projection = &mut Arc::make_mut(&mut state.graph).projection;
                assert_eq!(*since, projection.since, "there is one log");
                projection.position = projection.position.max(*position);
                Report::Checkpointed { since: *since }
            }
            Asked::Turn { .. } => panic!("there is one log"),
            Asked::List { listing, after, .. } => {
                let of_the_log = self.log.iter().map(|event| event.position.resource.clone());
                let of_the_graph = state.graph.marks.keys().chain(state.graph.nodes.keys()).cloned();
                let all: BTreeSet<EntityId> = match listing {
                    Listing::Parked => BTreeSet::new(),
                    Listing::Log => of_the_log.collect(),
                    Listing::Graph => of_the_graph.collect(),
                };
                let behind = all.into_iter().filter(|resource| after.as_ref().is_none_or(|after| resource > after));
                Report::Listed { resources: behind.collect(), more: false }
            }
            Asked::Raise => {
                let graph = Arc::make_mut(&mut state.graph);
                let top = graph.marks.values().map(|mark| mark.generation).max().unwrap_or(0);
                let projection = &mut graph.projection;
                if !projection.rebuilding {
                    projection.generation = projection.generation.max(top) + 1;
                }
                projection.rebuilding = true;
                Report::Raised(projection.generation)
            }
            Asked::Close { generation } => {
                let projection = &mut Arc::make_mut(&mut state.graph).projection;
                projection.rebuilding &= projection.generation != *generation;
                Report::Closed
            }
        })
    }

    fn stream(&self, resource: &EntityId, after: u64) -> Vec<Arc<Event>> {
        let is_in = |event: &&Arc<Event>| event.position.resource == *resource && event.position.sequence > after;
        self.log.iter().filter(is_in).cloned().collect()
    }

    fn write(&self, state: &mut State, writes: &[Write]) -> Result<Report, Failure> {
        if !state.graph.stands(writes) && self.flaw != Some(Flaw::Unconditional) {
            return Err(Failure::Moved);
        }
        let graph = Arc::make_mut(&mut state.graph);
        for write in writes {
            let before = graph.marks.get(&write.resource).map_or(0, |applied| applied.sequence);
            if write.to.sequence < before {
                state.seen.went_back = Some(write.resource.clone());
            }
            if self.bounds.pace == Pace::Ordered {
                state.seen.order.push(write.resource.clone());
            }
        }
        let report = graph.apply(writes, self.flaw != Some(Flaw::MatchForMerge))?;
        if self.flaw == Some(Flaw::TwoPassLiterally) {
            let rebuilt = writes.iter().filter(|write| write.from.partial && !write.to.partial);
            rebuilt.for_each(|write| self.two_passes(graph, write));
        }
        Ok(report)
    }

    /// What a rebuild would leave that takes the operations on bodies for the edges.
    fn two_passes(&self, graph: &mut Graph, write: &Write) {
        let mut events = self.stream(&write.resource, 0);
        events.truncate(usize::try_from(write.to.sequence).expect("few events"));
        let is_operation =
            |event: &Arc<Event>| matches!(&event.content, Content::Known(Payload::AnnotationBodyUpdated(..)));
        let (second, first): (Vec<_>, Vec<_>) = events.into_iter().partition(is_operation);
        let mut state = fold::State::default();
        for event in first.iter().chain(&second) {
            state.fold(event).expect("every event of the script can be folded");
        }
        let want = projection::lanes::Want { resource: write.resource.clone(), parts: projection::lanes::Parts::All };
        let found = graph.load(&want).picture;
        let wanted = fold::Picture::of(&write.resource, &state, found.referenced);
        let again = Write {
            resource: write.resource.clone(),
            from: write.to.clone(),
            to: write.to.clone(),
            changes: fold::changes(&found, &wanted),
        };
        graph.apply(&[again], true).expect("nothing is compared");
    }
}

fn process(state: &mut State) -> &mut Process {
    state.process.as_mut().expect("the process runs")
}

fn find(state: &State, effect: &str) -> EffectId {
    let process = state.process.as_ref().expect("the process runs");
    let found = process.effects.keys().find(|id| name(id) == effect);
    found.unwrap_or_else(|| panic!("{effect} is not under way")).clone()
}

/// A write that was not executed may yet be.
fn stray(state: &mut State, effect: Effect) {
    if let (Asked::Apply { writes, .. }, None) = (&*effect.action, &effect.result) {
        // Their order means nothing, so it is always the same.
        let key = |writes: &Vec<Write>| format!("{writes:?}");
        let position = state.strays.partition_point(|stray| key(stray) < key(writes));
        state.strays.insert(position, Arc::new(writes.clone()));
    }
}
