//! What readers of the graph are told about resources, and how fresh that is.
//!
//! # Readers that cache
//!
//! Whoever shows a resource shows what links to it, and that changes without any event of the resource itself. A page of
//! [`Referrers`] has a [tag](Referrers::tag) that is computed from the page alone, each time it is asked for, from what
//! the graph has at that moment. So it changes whenever a link on the page appears or goes, and it is the same again if
//! the same links are back: a reader that asks with the tag it has, and hears that nothing changed, has exactly what it
//! would have been told. What it shows is then as old as the [`Freshness`] of a new answer, and never older. Nothing is
//! written for that, so that nothing can be forgotten, whoever writes to the graph and however: by events, by a rebuild,
//! by a reconciliation, or by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use graph::{EntityId, Millis, Properties, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stores::{GraphError, GraphStore, Rows};

use crate::executor::projection;
use crate::fold::{Damage, parse_node_id};
use crate::lanes::{Applied, Found, Parts, Poison, Projection, Want};
use crate::operations::{Operations, optional_seconds};
use crate::{reading, statements};

/// Why the graph says nothing that a reader could be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It was not read; the same may be asked again.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Somebody else changed it: a reconciliation repairs that.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// What the projection keeps about itself is damaged.
    #[error("{0}")]
    Projection(String),
}

/// How much an answer is sure to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// Every event of the resource up to this sequence is shown, and none after it.
    pub indexed_up_to: u64,
    /// Every event of any resource that the log had so long ago is shown, unless it is parked or behind one that is.
    /// Null while the log was not read to its end since the start.
    #[serde(rename = "delay_seconds", with = "optional_seconds")]
    pub delay: Option<Millis>,
    /// Whether all is shown that the log had of the resource when it was last read to its end. Null while it never was.
    pub complete: Option<bool>,
    /// The generation that the resource was last written in: each rebuild of it has a higher one.
    pub generation: u64,
    /// Whether a rebuild has begun that the resource has not had yet: then this is the old graph, and none of the new.
    pub rebuilding: bool,
}

impl Freshness {
    /// Of what is read from the graph after this call.
    fn before(operations: &Operations) -> impl FnOnce(&Applied, Projection) -> Freshness + use<> {
        let (lag, complete) = (operations.lag(), operations.is_complete());
        move |applied, projection: Projection| {
            let rebuilding = applied.partial || projection.rebuilding && applied.generation < projection.generation;
            Freshness {
                indexed_up_to: applied.sequence,
                delay: lag.shown,
                complete: complete.map(|complete| {
                    complete && applied.poison.is_none() && !applied.partial && projection.trusts(applied)
                }),
                generation: applied.generation,
                rebuilding,
            }
        }
    }
}

/// A resource as the graph shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceView {
    /// The resource.
    pub id: EntityId,
    /// Whether it is linked to and was not created, as far as that is known here.
    pub stub: bool,
    /// Its properties; of a stub there are none.
    pub properties: Properties,
    /// Its annotations, by their names.
    pub annotations: BTreeMap<EntityId, AnnotationView>,
    /// The event that cannot be applied, if one stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Poison>,
    /// What it is sure to show.
    pub freshness: Freshness,
}

/// An annotation as the graph shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationView {
    /// Its properties.
    pub properties: Properties,
    /// The resources that it links to, sorted.
    pub links: Vec<LinkView>,
}

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// The resource.
    pub to: EntityId,
    /// Whether that was not created. It is looked up right after the link, so a link that is new, or has gone since,
    /// may be one to a stub here.
    pub stub: bool,
}

/// A page of what links to a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referrers {
    /// The resource.
    pub id: EntityId,
    /// Whether it is linked to and was not created.
    pub stub: bool,
    /// The annotations that link to it, sorted.
    pub annotations: Vec<Referrer>,
    /// What to ask for as `after` to get those that follow; null at the end.
    pub next: Option<String>,
    /// What the page is sure to show of the resource itself. Links are events of the resources that link: of them
    /// `delay_seconds` says how old the page is.
    pub freshness: Freshness,
}

/// An annotation that links to a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Referrer {
    /// The resource that it belongs to.
    pub resource: EntityId,
    /// Its name there.
    pub annotation: EntityId,
}

impl Referrers {
    /// Changes whenever a link on the page appears or goes, or the resource is created; see the [module](self).
    pub fn tag(&self) -> String {
        let page = (&self.id, self.stub, &self.annotations, &self.next);
        let json = serde_json::to_vec(&page).expect("ids and texts are always valid JSON");
        Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How often a resource is read at most until it is seen whole.
const READS_MAX: usize = 16;

/// What views are read from.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub graph: &'a dyn GraphStore,
    pub limit: Duration,
    pub operations: &'a Operations,
}

impl Reader<'_> {
    /// A resource; nothing where the graph has nothing of it.
    pub async fn resource(&self, id: &EntityId) -> Result<Option<ResourceView>, ReadError> {
        let freshness = Freshness::before(self.operations);
        let Some((Found { applied, picture }, projection)) = self.whole(id).await? else { return Ok(None) };
        let Some(mut properties) = picture.node else { return Ok(None) };
        let targets: BTreeSet<EntityId> =
            picture.annotations.values().flat_map(|drawn| &drawn.links).map(|(target, _)| target.clone()).collect();
        let created = self.created(targets).await?;
        let link = |(to, _)| LinkView { stub: !created.contains(&to), to };
        let annotations = picture.annotations.into_iter().map(|(name, drawn)| {
            let links = drawn.links.into_iter().map(link).collect();
            (name, AnnotationView { properties: drawn.properties, links })
        });
        Ok(Some(ResourceView {
            id: id.clone(),
            stub: properties.remove("stub") == Some(Value::Bool(true)),
            properties,
            annotations: annotations.collect(),
            freshness: freshness(&applied, projection),
            parked: applied.poison,
        }))
    }

    /// All that the graph has of a resource, at one moment, and what the projection keeps about itself.
    ///
    /// A graph lets others commit between two statements of a transaction. So the mark is read before everything else and
    /// once more after it: it moves with every change, and if it has not, nothing has.
    async fn whole(&self, id: &EntityId) -> Result<Option<(Found, Projection)>, ReadError> {
        let wants = [Want { resource: id.clone(), parts: Parts::All }];
        for _ in 0..READS_MAX {
            let mut calls = statements::load(&wants);
            let loads = calls.len();
            calls.extend(statements::read_projection());
            calls.extend(statements::look_up(std::slice::from_ref(id)));
            let mut rows = self.graph.execute(calls, self.limit).await?;
            let afterwards = rows.split_off(loads + 1);
            let itself = projection(rows.split_off(loads));
            let itself = itself.map_err(|error| ReadError::Projection(error.to_string()))?;
            let Some(found) = reading::found(&wants, rows)?.pop() else { return Ok(None) };
            if mark(id, &afterwards)? == found.applied {
                return Ok(Some((found, itself)));
            }
        }
        Err(ReadError::Graph(GraphError::Refused {
            code: "Moving".to_owned(),
            message: format!("{id} changed each of the {READS_MAX} times that it was read"),
            retryable: true,
        }))
    }

    /// Those that have a node and are no stubs.
    async fn created(&self, resources: BTreeSet<EntityId>) -> Result<BTreeSet<EntityId>, ReadError> {
        if resources.is_empty() {
            return Ok(resources);
        }
        let ids: Vec<EntityId> = resources.into_iter().collect();
        let mut rows = self.graph.execute(statements::look_up(&ids), self.limit).await?.into_iter();
        let created = rows.next().unwrap_or_default().into_iter().filter_map(|row| {
            let properties = row.last()?.to_properties()?;
            let is_stub = properties.get("stub") == Some(&Value::Bool(true));
            row.first()?.as_text()?.parse().ok().filter(|_| !is_stub)
        });
        Ok(created.collect())
    }

    /// A page of what links to a resource; nothing where the graph has nothing of it.
    pub async fn referrers(&self, id: &EntityId, after: &str, limit: u32) -> Result<Option<Referrers>, ReadError> {
        let freshness = Freshness::before(self.operations);
        let mut calls = statements::look_up(std::slice::from_ref(id));
        calls.push(statements::referrers(id, after, limit.saturating_add(1)));
        calls.extend(statements::read_projection());
        let mut rows = self.graph.execute(calls, self.limit).await?;
        let projection = projection(rows.split_off(3)).map_err(|error| ReadError::Projection(error.to_string()))?;
        let [nodes, marks, links] = rows.as_slice() else { return Ok(None) };
        let Some(node) = nodes.first() else { return Ok(None) };
        let damage = || Damage(format!("what is around {id}"));
        let properties = node.last().and_then(|datum| datum.to_properties()).ok_or_else(damage)?;
        let applied = marks.first().map(|row| statements::applied(row).ok_or_else(damage)).transpose()?;
        let name = |row: &Vec<stores::Datum>| row.first().and_then(|id| id.as_text()).map(str::to_owned);
        let names = links.iter().map(name).collect::<Option<Vec<String>>>().ok_or_else(damage)?;
        let page = names.len().min(limit as usize);
        let next = (names.len() > page).then(|| names[page - 1].clone());
        let referrer = |name: &String| {
            parse_node_id(name).map(|(resource, annotation)| Referrer { resource, annotation }).ok_or_else(damage)
        };
        Ok(Some(Referrers {
            id: id.clone(),
            stub: properties.get("stub") == Some(&Value::Bool(true)),
            annotations: names[..page].iter().map(referrer).collect::<Result<_, _>>()?,
            next,
            freshness: freshness(&applied.unwrap_or_default(), projection),
        }))
    }

    /// How far the graph shows a resource, and what the projection keeps about itself.
    pub async fn applied(&self, id: &EntityId) -> Result<(Applied, Projection), ReadError> {
        let mut calls = statements::look_up(std::slice::from_ref(id));
        let own = calls.len();
        calls.extend(statements::read_projection());
        let mut rows = self.graph.execute(calls, self.limit).await?;
        let itself = projection(rows.split_off(own)).map_err(|error| ReadError::Projection(error.to_string()))?;
        Ok((mark(id, &rows)?, itself))
    }
}

/// The mark of a resource, out of what was looked up of it.
fn mark(id: &EntityId, rows: &[Rows]) -> Result<Applied, ReadError> {
    let damage = || Damage(format!("the mark of {id}"));
    let mark = rows.get(1).and_then(|marks| marks.first());
    Ok(mark.map(|row| statements::applied(row).ok_or_else(damage)).transpose()?.unwrap_or_default())
}
