//! What must always hold, and what must be possible, or the model shows nothing.

use graph::{EntityId, Snapshot};
use projection::lanes::Failure;

use super::script;
use super::state::State;
use super::{Bounds, Pace, ProjectionModel};

type Property = stateright::Property<ProjectionModel>;

/// All properties of the model.
pub fn all(bounds: Bounds) -> Vec<Property> {
    let mut properties = always();
    properties.extend(sometimes(bounds));
    properties
}

fn always() -> Vec<Property> {
    vec![
        Property::always("the core never panics", |_, state| state.seen.panicked.is_none()),
        Property::always("whoever waits is served", |model, state| model.can_move(state) || is_done(model, state)),
        Property::always("the graph is what the log says at quiescence", |model, state| {
            model.can_move(state) || state.graph.snapshot() == model.whole
        }),
        Property::always("a mark is sound", marks_are_sound),
        Property::always("a mark never goes back", |_, state| state.seen.went_back.is_none()),
        Property::always("what was removed is not there", |_, state| {
            state.graph.tombstones.keys().all(|name| !state.graph.annotations.contains_key(name))
        }),
        Property::always("no edge dangles, and no ghost is linked to", edges_are_sound),
        Property::always("a checkpoint is not before its effects", checkpoint_is_sound),
        Property::always("idle lanes are forgotten", |model, state| {
            let lanes = |state: &State| state.process.as_ref().map_or(0, |process| process.core.status().lanes);
            model.can_move(state) || lanes(state) == 0
        }),
    ]
}

/// Every event is applied, the log is read and that is written down, and no rebuild is left.
fn is_done(model: &ProjectionModel, state: &State) -> bool {
    let projection = &state.graph.projection;
    every_event_is_applied(model, state) && projection.position == model.log.len() as u64 && !projection.rebuilding
}

fn every_event_is_applied(model: &ProjectionModel, state: &State) -> bool {
    model.prefixes.iter().all(|(resource, prefixes)| {
        let mark = state.graph.marks.get(resource).cloned().unwrap_or_default();
        mark.sequence as usize + 1 == prefixes.len() && !mark.partial
    })
}

/// Whether the annotation was removed and is there again.
fn lives_again(model: &ProjectionModel, state: &State) -> bool {
    let a = script::id("a");
    let whole = model.prefixes[&a].len() - 1;
    state.graph.marks.get(&a).is_some_and(|applied| applied.sequence as usize == whole && whole > 4)
}

/// What a resource has in the graph is what its stream says up to the mark, in every state. Between
/// the passes of a rebuild its node may be further.
fn marks_are_sound(model: &ProjectionModel, state: &State) -> bool {
    model.prefixes.iter().all(|(resource, prefixes)| {
        let applied = state.graph.marks.get(resource).cloned().unwrap_or_default();
        let Some(wanted) = usize::try_from(applied.sequence).ok().and_then(|sequence| prefixes.get(sequence)) else {
            return false;
        };
        let found = state.graph.of(resource);
        let is_stub = state.graph.stubs().any(|stub| stub == resource);
        if applied.partial || (applied.sequence == 0 && is_stub) {
            return without_node(&found, resource) == without_node(wanted, resource);
        }
        found == *wanted
    })
}

fn without_node(graph: &Snapshot, resource: &EntityId) -> Snapshot {
    let nodes = graph.nodes().iter().filter(|node| node.id != resource.as_str()).cloned().collect();
    Snapshot::new(nodes, graph.edges().to_vec())
}

fn edges_are_sound(_: &ProjectionModel, state: &State) -> bool {
    let graph = &state.graph;
    let links =
        graph.links.iter().all(|(from, to)| graph.annotations.contains_key(from) && graph.nodes.contains_key(to));
    links && graph.stubs().all(|stub| graph.is_referenced(stub))
}

fn checkpoint_is_sound(model: &ProjectionModel, state: &State) -> bool {
    let read = usize::try_from(state.graph.projection.position).expect("few events");
    model.log[..read].iter().all(|event| {
        let mark = state.graph.marks.get(&event.position.resource);
        mark.is_some_and(|applied| applied.sequence >= event.position.sequence)
    })
}

/// What the bounds leave room for.
fn sometimes(bounds: Bounds) -> Vec<Property> {
    let Bounds { events, budget, pace } = bounds;
    let strays = budget.crashes + budget.losses > 0;
    let second_life = events > 6;
    let all = [
        (true, Property::sometimes("everything is applied", is_done)),
        (events > 4, Property::sometimes("a resource is a stub", |_, state| state.graph.stubs().next().is_some())),
        (events > 5, Property::sometimes("an annotation is gone", |_, state| !state.graph.tombstones.is_empty())),
        (second_life, Property::sometimes("an annotation lives its second life", lives_again)),
        (
            events > 7,
            Property::sometimes("a resource is created that a link has made", |_, state| {
                let c = script::id("c");
                state.graph.marks.contains_key(&c) && state.graph.is_referenced(&c)
            }),
        ),
        (
            budget.deliveries > 0,
            Property::sometimes("an event comes that is in the graph already", |_, state| state.seen.duplicate),
        ),
        (
            events > 4,
            Property::sometimes("lanes are applied at the same time", |_, state| {
                let applies =
                    |effect: &&super::Effect| matches!(*effect.action, projection::lanes::Action::Apply { .. });
                state.process.as_ref().is_some_and(|process| process.effects.values().filter(applies).count() > 1)
            }),
        ),
        (
            pace == Pace::Batched,
            Property::sometimes("lanes share a transaction", |_, state| {
                let mut effects = state.process.iter().flat_map(|process| process.effects.values());
                effects.any(
                    |effect| matches!(&*effect.action, projection::lanes::Action::Apply { writes, .. } if writes.len() > 1),
                )
            }),
        ),
        (
            budget.crashes > 0,
            Property::sometimes("everything is applied after a crash", |model, state| {
                is_done(model, state) && state.left.crashes < model.bounds.budget.crashes
            }),
        ),
        (
            budget.losses > 0,
            Property::sometimes("everything is applied after a verdict was lost", |model, state| {
                is_done(model, state) && state.left.losses < model.bounds.budget.losses
            }),
        ),
        (strays, Property::sometimes("a delayed write takes effect", |_, state| state.seen.stray_landed)),
        (strays, Property::sometimes("a delayed write is refused", |_, state| state.seen.stray_refused)),
        (
            strays,
            Property::sometimes("a write meets a mark that has moved", |_, state| {
                let mut effects = state.process.iter().flat_map(|process| process.effects.values());
                effects.any(|effect| effect.result == Some(Err(Failure::Moved)))
            }),
        ),
        (
            budget.rebuilds > 0,
            Property::sometimes("a resource is between the passes", |_, state| {
                state.graph.marks.values().any(|applied| applied.partial)
            }),
        ),
        (
            budget.rebuilds > 0 && second_life,
            Property::sometimes("a second life is between the passes", |model, state| {
                let partial = state.graph.marks.get(&script::id("a")).is_some_and(|applied| applied.partial);
                partial && lives_again(model, state)
            }),
        ),
        (
            budget.rebuilds > 0,
            Property::sometimes("a rebuild is under way while events are still to be applied", |model, state| {
                let generation = state.graph.projection.generation;
                let ahead = state.graph.marks.values().any(|applied| applied.generation == generation);
                ahead && state.graph.projection.rebuilding && !every_event_is_applied(model, state)
            }),
        ),
        (
            budget.rebuilds > 0,
            Property::sometimes("a rebuild ends with everything applied", |model, state| {
                is_done(model, state) && state.graph.projection.generation == 1
            }),
        ),
        (
            budget.rebuilds.min(budget.crashes) > 0,
            Property::sometimes("a rebuild is taken up after a crash", |_, state| state.seen.resumed),
        ),
    ];
    all.into_iter().filter(|(possible, _)| *possible).map(|(_, property)| property).collect()
}
