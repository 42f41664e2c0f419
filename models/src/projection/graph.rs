//! The graph database as the model has it: it executes requests one by one, each as one transaction.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Edge, EntityId, Kind, Node, Properties, Snapshot, Value};
use projection::fold::{Change, Drawn, Part, Picture, node_id};
use projection::lanes::{Applied, Failure, Found, Parts, Projection, Report, Want, Write};
use projection::log::LogId;

/// An annotation or its tombstone: the resource, and the name within it.
type Name = (EntityId, EntityId);

/// What is in the graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Graph {
    /// What the projection keeps about itself.
    pub projection: Projection,
    /// The marks.
    pub marks: BTreeMap<EntityId, Applied>,
    /// The resources.
    pub nodes: BTreeMap<EntityId, Properties>,
    /// The annotations; each has its edge to the resource.
    pub annotations: BTreeMap<Name, Properties>,
    /// The tombstones; each has its edge to the resource.
    pub tombstones: BTreeMap<Name, Properties>,
    /// The links: from which annotation to which resource.
    pub links: BTreeSet<(Name, EntityId)>,
}

impl Graph {
    /// With nothing in it, for a log.
    pub fn of_log(log: LogId) -> Graph {
        Graph { projection: Projection { log: Some(log), ..Projection::default() }, ..Graph::default() }
    }

    /// What is read of a resource.
    pub fn load(&self, want: &Want) -> Found {
        let resource = &want.resource;
        let is_wanted = |(owner, name): &Name| {
            let wanted = match &want.parts {
                Parts::All => true,
                Parts::Some(parts) => parts.contains(&Part::Annotation(name.clone())),
            };
            owner == resource && wanted
        };
        let drawn = |name: &Name, properties: &Properties, edges: bool| Drawn {
            properties: properties.clone(),
            owners: if edges { vec![(resource.clone(), Properties::new())] } else { Vec::new() },
            links: if edges {
                self.links_of(name).map(|to| (to.clone(), Properties::new())).collect()
            } else {
                Vec::new()
            },
        };
        let all = want.parts == Parts::All;
        let pick = |from: &BTreeMap<Name, Properties>| {
            let picked = from.iter().filter(|(name, _)| is_wanted(name));
            picked.map(|(name, properties)| (name.1.clone(), drawn(name, properties, all))).collect()
        };
        let node = self.nodes.get(resource).cloned();
        let referenced = if all { self.is_referenced(resource) } else { node.is_some() };
        let picture = Picture {
            node,
            referenced,
            annotations: pick(&self.annotations),
            tombstones: pick(&self.tombstones),
            vocabulary: BTreeMap::new(),
        };
        Found { applied: self.marks.get(resource).cloned().unwrap_or_default(), picture }
    }

    /// Whether all marks are where the writes expect them.
    pub fn stands(&self, writes: &[Write]) -> bool {
        writes.iter().all(|write| self.marks.get(&write.resource).cloned().unwrap_or_default() == write.from)
    }

    /// Makes all changes and moves all marks, or nothing of it.
    pub fn apply(&mut self, writes: &[Write], merges: bool) -> Result<Report, Failure> {
        let mut after = self.clone();
        let mut loose = BTreeSet::new();
        for write in writes {
            after.marks.insert(write.resource.clone(), write.to.clone());
            for change in &write.changes {
                after.change(&write.resource, change, merges, &mut loose);
            }
        }
        for target in loose {
            let is_stub = after.nodes.get(&target).is_some_and(is_stub);
            if is_stub && !after.is_referenced(&target) {
                after.nodes.remove(&target);
            }
        }
        *self = after;
        Ok(Report::Applied)
    }

    fn change(&mut self, resource: &EntityId, change: &Change, merges: bool, loose: &mut BTreeSet<EntityId>) {
        let own = |name: &EntityId| (resource.clone(), name.clone());
        match change {
            Change::PutResource { set } => merge(self.nodes.entry(resource.clone()).or_default(), set),
            Change::DropResource { set } => {
                let node = self.nodes.entry(resource.clone()).or_default();
                merge(node, set);
                node.insert("stub".to_owned(), Value::Bool(true));
                loose.insert(resource.clone());
            }
            Change::PutAnnotation { name, set, .. } => merge(self.annotations.entry(own(name)).or_default(), set),
            Change::DropAnnotation { name, .. } => {
                self.annotations.remove(&own(name));
                let targets: Vec<EntityId> = self.links_of(&own(name)).cloned().collect();
                for target in targets {
                    self.links.remove(&(own(name), target.clone()));
                    loose.insert(target);
                }
            }
            Change::PutTombstone { name, set, .. } => merge(self.tombstones.entry(own(name)).or_default(), set),
            Change::DropTombstone { name } => {
                self.tombstones.remove(&own(name));
            }
            Change::Link { name, target } => {
                if merges {
                    let stub = || Properties::from([("stub".to_owned(), Value::Bool(true))]);
                    self.nodes.entry(target.clone()).or_insert_with(stub);
                }
                if self.nodes.contains_key(target) {
                    self.links.insert((own(name), target.clone()));
                }
            }
            Change::Unlink { name, target } => {
                self.links.remove(&(own(name), target.clone()));
                loose.insert(target.clone());
            }
            Change::PutWord { .. } | Change::DropWord { .. } => panic!("the model has no vocabulary"),
        }
    }

    fn links_of<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a EntityId> {
        self.links.iter().filter(move |(from, _)| from == name).map(|(_, to)| to)
    }

    /// Whether any annotation links to it.
    pub fn is_referenced(&self, resource: &EntityId) -> bool {
        self.links.iter().any(|(_, to)| to == resource)
    }

    /// The resources that were never created.
    pub fn stubs(&self) -> impl Iterator<Item = &EntityId> {
        self.nodes.iter().filter(|(_, properties)| is_stub(properties)).map(|(id, _)| id)
    }

    /// Everything but the marks.
    pub fn snapshot(&self) -> Snapshot {
        self.part(|_| true)
    }

    /// What belongs to one resource: its node unless it is a stub, its annotations and tombstones, their edges.
    pub fn of(&self, resource: &EntityId) -> Snapshot {
        self.part(|owner| owner == resource)
    }

    fn part(&self, is_in: impl Fn(&EntityId) -> bool) -> Snapshot {
        let node = |id: String, label: &str, properties: &Properties| Node {
            id,
            labels: BTreeSet::from([label.to_owned()]),
            properties: properties.clone(),
        };
        let edge = |from: &Name, kind: &str, to: &EntityId| Edge {
            from: node_id(&from.0, &from.1),
            kind: Kind::new(kind).expect("a type of edge"),
            to: to.to_string(),
            properties: Properties::new(),
        };
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for (id, properties) in self.nodes.iter().filter(|(id, _)| is_in(id)) {
            nodes.push(node(id.to_string(), "Resource", properties));
        }
        for (label, all) in [("Annotation", &self.annotations), ("Tombstone", &self.tombstones)] {
            for (name, properties) in all.iter().filter(|(name, _)| is_in(&name.0)) {
                nodes.push(node(node_id(&name.0, &name.1), label, properties));
                edges.push(edge(name, "BELONGS_TO", &name.0));
            }
        }
        for (from, to) in self.links.iter().filter(|(from, _)| is_in(&from.0)) {
            edges.push(edge(from, "REFERENCES", to));
        }
        Snapshot::new(nodes, edges)
    }
}

fn is_stub(properties: &Properties) -> bool {
    properties.get("stub") == Some(&Value::Bool(true))
}

fn merge(properties: &mut Properties, set: &Properties) {
    for (name, value) in set {
        if *value == Value::Null {
            properties.remove(name)
        } else {
            properties.insert(name.clone(), value.clone())
        };
    }
}
