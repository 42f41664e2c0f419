//! Who was told that the graph shows an event sees it.

use std::collections::{BTreeMap, BTreeSet};

use graph::Snapshot;

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::operation::Ret;
use crate::system::projection::operation::Seen;

/// When the barrier says that a resource is shown up to a sequence, that is the event that was waited for or a later one, the
/// graph has it by then, and the view that follows is not older. A view shows the annotations and links that the stream has up to
/// where the view says that it is, none of them half.
#[derive(Clone, Copy, Debug)]
pub struct Barrier;

impl Checker<CoordinatorRecord> for Barrier {
    fn name(&self) -> &'static str {
        "barrier"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let (harms, mut verdict) = (scene.harms(), Verdict::default());
        let events = record.history.events();
        for (index, event) in events.iter().enumerate() {
            let seen = match &event.kind {
                EventKind::Ok(Ret::Seen(seen)) => &**seen,
                EventKind::Ok(Ret::Appended(appended)) => match &appended.seen {
                    Some(seen) => seen,
                    None => continue,
                },
                _ => continue,
            };
            let asked = events[..index].iter().rfind(|before| before.op == event.op).map_or(0, |asked| asked.at.0);
            let is_harmed = harms.touch(&seen.resource, asked, event.at.0);
            let (judged, wrong) = judge(&scene, event.at.0, seen, is_harmed);
            verdict.checked += judged;
            if let Some((key, expected, actual)) = wrong {
                verdict
                    .violations
                    .push(Violation::new(self.name(), key).at_step(index as u64).expected(expected).actual(actual));
            }
        }
        verdict
    }
}

/// How many claims were judged, and the first that is wrong.
type Judged = (u64, Option<(&'static str, String, String)>);

/// Of a resource that was harmed meanwhile only what needs no graph is judged.
fn judge(scene: &Scene<'_>, at_ms: u64, seen: &Seen, is_harmed: bool) -> Judged {
    let Seen { resource, wanted, shown, view } = seen;
    let mut judged = 0;
    if let (Some(wanted), Some(shown)) = (wanted, shown) {
        judged += 1;
        if shown < wanted {
            let expected = format!("{resource} at {wanted} or behind");
            return (judged, Some(("the barrier let somebody through too early", expected, format!("{shown}"))));
        }
    }
    if is_harmed {
        return (judged, None);
    }
    if let Some(shown) = shown {
        judged += 1;
        let mark = scene.at(at_ms).marks.get(resource).map_or(0, |mark| mark.sequence);
        if mark < *shown {
            let expected = format!("{resource} at {shown}, as the barrier said");
            return (judged, Some(("the barrier said what is not in the graph", expected, format!("{mark}"))));
        }
    }
    let Some(view) = view else { return (judged, None) };
    judged += 1;
    if view.indexed_up_to < shown.unwrap_or(0) {
        let expected = format!("{resource} at {} or behind", shown.unwrap_or(0));
        return (judged, Some(("a view is older than the barrier said", expected, view.indexed_up_to.to_string())));
    }
    let (said, showed) = (links(&scene.said(resource, view.indexed_up_to).own), shown_links(&view.page));
    let expected = format!("{resource} at {}: {said:?}", view.indexed_up_to);
    let wrong = ("a view shows something else than the log says", expected, format!("{showed:?}"));
    (judged, (said != showed).then_some(wrong))
}

/// What the annotations of a resource link to, by their names.
type Links = BTreeMap<String, BTreeSet<String>>;

fn links(own: &Snapshot) -> Links {
    let annotations = own.nodes().iter().filter(|node| node.labels.contains("Annotation"));
    let links = annotations.map(|node| {
        let name = node.id.split_once('#').map_or("", |(_, name)| name);
        let links = own.edges().iter().filter(|edge| edge.from == node.id && edge.kind.as_str() == "REFERENCES");
        (name.to_owned(), links.map(|edge| edge.to.clone()).collect())
    });
    links.collect()
}

fn shown_links(page: &serde_json::Value) -> Links {
    let annotations = page["annotations"].as_object().into_iter().flatten();
    let links = annotations.map(|(name, annotation)| {
        let links = annotation["links"].as_array().into_iter().flatten();
        (name.clone(), links.filter_map(|link| Some(link["to"].as_str()?.to_owned())).collect())
    });
    links.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use graph::EntityId;

    use super::super::fixture::{Tale, caught, passed};
    use super::*;
    use crate::system::operation::Op;
    use crate::system::projection::operation::{Projector, View, Viewed};

    /// Somebody waits for an event of the first resource, is told that it is shown up to this one, and looks.
    pub fn seen(tale: &mut Tale, wanted: u64, shown: Option<u64>) {
        looked(tale, wanted, shown, shown.unwrap_or(1));
    }

    fn looked(tale: &mut Tale, wanted: u64, shown: Option<u64>, indexed_up_to: u64) {
        let resource = tale.first();
        let view = View { resource: resource.clone(), after: Some(wanted), at: Projector::First };
        let op = tale.run.invoke(Op::View(view));
        let said = links(&tale.said(&resource, indexed_up_to.min(6)));
        let annotations: BTreeMap<_, _> = said
            .into_iter()
            .map(|(name, links)| {
                let links: Vec<_> = links.into_iter().map(|to| serde_json::json!({ "to": to })).collect();
                (name, serde_json::json!({ "links": links }))
            })
            .collect();
        let view = Some(Viewed { indexed_up_to, page: serde_json::json!({ "annotations": annotations }) });
        tale.run.ok(op, Ret::Seen(Box::new(Seen { resource, wanted: Some(wanted), shown, view })));
    }

    #[test]
    fn a_view_that_lacks_a_link_is_caught() {
        caught(&Barrier, "a view shows something else than the log says", blind);
    }

    /// Somebody looks at the first resource, and is shown nothing of it.
    fn blind(tale: &mut Tale) {
        let resource = tale.first();
        let op = tale.run.invoke(Op::View(View { resource: resource.clone(), after: None, at: Projector::First }));
        let view = Some(Viewed { indexed_up_to: 6, page: serde_json::json!({ "annotations": {} }) });
        tale.run.ok(op, Ret::Seen(Box::new(Seen { resource, wanted: None, shown: None, view })));
    }

    #[test]
    fn a_view_of_what_was_harmed_is_not_judged_until_it_is_put_right() {
        let key = "a view shows something else than the log says";
        let harm = |tale: &mut Tale, whom: EntityId, heal: bool| {
            let right = tale.shown.clone();
            let mut harmed = right.clone();
            harmed.own.insert(whom, Snapshot::default());
            tale.see(harmed, true);
            if heal {
                tale.run.invoke(Op::Status { at: Projector::First });
                tale.see(right, false);
            }
        };
        passed(&Barrier, |tale| {
            harm(tale, tale.first(), false);
            blind(tale);
        });
        caught(&Barrier, key, |tale| {
            harm(tale, tale.first(), true);
            blind(tale);
        });
        // What came before the harm, and what was not harmed, is judged all the same.
        caught(&Barrier, key, |tale| {
            blind(tale);
            tale.run.invoke(Op::Status { at: Projector::First });
            harm(tale, tale.first(), false);
        });
        caught(&Barrier, key, |tale| {
            harm(tale, tale.poisoned(), false);
            blind(tale);
        });
    }

    #[test]
    fn a_graph_that_forgets_owes_what_it_had_shown() {
        let key = "the barrier said what is not in the graph";
        let forget = |tale: &mut Tale, by_hand: bool| {
            tale.forget(4, by_hand);
            looked(tale, 6, Some(6), 6);
        };
        passed(&Barrier, |tale| forget(tale, true));
        caught(&Barrier, key, |tale| forget(tale, false));
    }

    #[test]
    fn a_barrier_that_lies_is_caught() {
        caught(&Barrier, "the barrier let somebody through too early", |tale| seen(tale, 6, Some(5)));
        caught(&Barrier, "the barrier said what is not in the graph", |tale| seen(tale, 7, Some(7)));
        caught(&Barrier, "a view is older than the barrier said", |tale| looked(tale, 6, Some(6), 5));
        passed(&Barrier, |tale| seen(tale, 6, Some(6)));
        passed(&Barrier, |tale| seen(tale, 7, None));
    }
}
