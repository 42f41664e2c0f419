//! No edge dangles, and none is a ghost.

use std::collections::BTreeSet;

use graph::{EntityId, Node, Value};

use super::super::CoordinatorRecord;
use super::{Harmed, Scene};
use crate::check::{Checker, Verdict, Violation};

/// At every moment, the edges that leave an annotation are those that its own body asks for: one to each resource that it
/// links to, one to its own resource, and no other; and nothing that was removed links to anything. This needs no log: it is
/// asked of the graph alone.
#[derive(Clone, Copy, Debug)]
pub struct References;

impl Checker<CoordinatorRecord> for References {
    fn name(&self) -> &'static str {
        "references"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict::default();
        let mut harmed = Harmed::default();
        scene.walk(|moment, _, picture| {
            let edges = |resource: &EntityId| -> (BTreeSet<String>, BTreeSet<String>) {
                let Some(own) = picture.own.get(resource) else { return Default::default() };
                let there = own.edges().iter().map(|edge| format!("{} {} {}", edge.from, edge.kind, edge.to));
                (own.nodes().iter().flat_map(|node| wanted(resource, node)).collect(), there.collect())
            };
            harmed.notice(&moment.sighting, |resource| {
                let (wanted, there) = edges(resource);
                wanted == there
            });
            for resource in moment.sighting.own.keys().filter(|resource| !harmed.contains(resource)) {
                let (wanted, there) = edges(resource);
                verdict.checked += wanted.len() as u64;
                let ghost = there.difference(&wanted).next().map(|edge| ("a ghost edge", "none", edge));
                let missing = wanted.difference(&there).next().map(|edge| ("an edge is missing", "one", edge));
                for (key, expected, edge) in ghost.into_iter().chain(missing) {
                    verdict.violations.push(
                        Violation::new(self.name(), key)
                            .at_step(moment.step)
                            .at_ms(moment.at_ms)
                            .expected(format!("{expected}, by the bodies of {resource}"))
                            .actual(edge.clone()),
                    );
                }
            }
        });
        verdict.violations.truncate(1);
        verdict
    }
}

/// The edges that a node asks for.
fn wanted(resource: &EntityId, node: &Node) -> Vec<String> {
    let is = |label: &str| node.labels.contains(label);
    let mut wanted = Vec::new();
    if is("Annotation") || is("Tombstone") {
        wanted.push(format!("{} BELONGS_TO {resource}", node.id));
    }
    if let (true, Some(Value::List(body))) = (is("Annotation"), node.properties.get("body")) {
        for item in body.iter().filter_map(Value::as_text) {
            let Ok(item) = serde_json::from_str::<serde_json::Value>(item) else { continue };
            if item["type"] == "SpecificResource" {
                wanted.push(format!("{} REFERENCES {}", node.id, item["source"].as_str().unwrap_or_default()));
            }
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use graph::Snapshot;

    use super::super::fixture::{Tale, caught};
    use super::*;

    /// The edges of the first resource are changed.
    fn edited(tale: &mut Tale, edit: impl Fn(&mut Vec<graph::Edge>)) {
        let mut shown = tale.shown.clone();
        let own = &shown.own[&tale.first()];
        let mut edges = own.edges().to_vec();
        edit(&mut edges);
        let own = Snapshot::new(own.nodes().to_vec(), edges);
        shown.own.insert(tale.first(), own);
        tale.see(shown, false);
    }

    #[test]
    fn an_edge_that_stayed_and_one_that_never_came_are_caught() {
        caught(&References, "a ghost edge", |tale| {
            let to = tale.first().to_string();
            edited(tale, |edges| {
                let link = edges.iter().find(|edge| edge.kind.as_str() == "REFERENCES").unwrap().clone();
                edges.push(graph::Edge { to: to.clone(), ..link });
            });
        });
        caught(&References, "an edge is missing", |tale| {
            edited(tale, |edges| edges.retain(|edge| edge.kind.as_str() != "REFERENCES"));
        });
        caught(&References, "an edge is missing", |tale| {
            edited(tale, |edges| drop(edges.remove(0)));
        });
    }
}
