//! Splits a history into parts that share no key.

use std::collections::BTreeMap;

use crate::history::{OpId, Operation, Outcome};

use super::Model;

/// The operations of one connected component of keys.
pub(super) struct Partition<'a, M: Model> {
    /// The keys, sorted; empty when the component is the whole object.
    pub keys: Vec<M::Key>,
    /// The operations whose answer must be explained, by invocation.
    pub answered: Vec<Call<'a, M>>,
    /// The operations that may have taken effect or not, by invocation.
    pub unknown: Vec<Call<'a, M>>,
}

/// An operation as the search needs it.
pub(super) struct Call<'a, M: Model> {
    pub id: OpId,
    pub op: &'a M::Op,
    /// The answer, `None` when it is unknown.
    pub ret: Option<&'a M::Ret>,
    /// The event index of the invocation.
    pub invoked: usize,
    /// The event index by which it has taken effect: never reached when the outcome is unknown.
    pub completed: usize,
}

impl<M: Model> Partition<'_, M> {
    pub fn len(&self) -> usize {
        self.answered.len() + self.unknown.len()
    }

    /// The operations by invocation.
    pub fn ids(&self) -> Vec<OpId> {
        let mut calls: Vec<_> = self.answered.iter().chain(&self.unknown).map(|call| (call.invoked, call.id)).collect();
        calls.sort_unstable();
        calls.into_iter().map(|(_, id)| id).collect()
    }
}

/// The parts of a history, those with the fewest operations first. Failed operations have no effect and are left out.
pub(super) fn partition<'a, M: Model>(
    model: &M,
    operations: &[Operation<&'a M::Op, &'a M::Ret>],
) -> Vec<Partition<'a, M>> {
    let mut calls: Vec<Call<'a, M>> = operations.iter().filter_map(call).collect();
    calls.sort_by_key(|call| call.invoked);

    let keys: Vec<Vec<M::Key>> = calls.iter().map(|call| model.keys(call.op)).collect();
    let mut components = Components::default();
    keys.iter().for_each(|keys| components.join(keys));
    let whole = keys.iter().any(Vec::is_empty);

    let mut parts: BTreeMap<Option<usize>, Partition<'a, M>> = BTreeMap::new();
    for (call, keys) in calls.into_iter().zip(&keys) {
        let component = if whole { None } else { components.of(&keys[0]) };
        let part =
            parts.entry(component).or_insert_with(|| Partition { keys: vec![], answered: vec![], unknown: vec![] });
        if !whole {
            part.keys.extend_from_slice(keys);
        }
        if call.ret.is_some() { part.answered.push(call) } else { part.unknown.push(call) }
    }
    let mut parts: Vec<_> = parts.into_values().collect();
    for part in &mut parts {
        part.keys.sort();
        part.keys.dedup();
    }
    parts.sort_by_key(Partition::len);
    parts
}

fn call<'a, M: Model>(operation: &Operation<&'a M::Op, &'a M::Ret>) -> Option<Call<'a, M>> {
    let (ret, completed) = match (operation.outcome, operation.completed) {
        (Outcome::Ok(ret), Some(completed)) => (Some(ret), completed.index),
        (Outcome::Ok(ret), None) => (Some(ret), usize::MAX),
        (Outcome::Info, _) => (None, usize::MAX),
        (Outcome::Fail, _) => return None,
    };
    Some(Call { id: operation.id, op: operation.op, ret, invoked: operation.invoked.index, completed })
}

/// Keys joined into components: a union-find forest.
struct Components<Key> {
    index: BTreeMap<Key, usize>,
    /// The parent of each key; a root is its own.
    parents: Vec<usize>,
}

impl<Key> Default for Components<Key> {
    fn default() -> Self {
        Self { index: BTreeMap::new(), parents: Vec::new() }
    }
}

impl<Key: Clone + Ord> Components<Key> {
    /// Puts all of `keys` into one component.
    fn join(&mut self, keys: &[Key]) {
        let mut first = None;
        for key in keys {
            let fresh = self.parents.len();
            let index = *self.index.entry(key.clone()).or_insert(fresh);
            if index == fresh {
                self.parents.push(fresh);
            }
            let root = self.root(index);
            let target = *first.get_or_insert(root);
            self.parents[root] = target;
        }
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.parents[index] != index {
            self.parents[index] = self.parents[self.parents[index]];
            index = self.parents[index];
        }
        index
    }

    /// The component of a key that was joined.
    fn of(&mut self, key: &Key) -> Option<usize> {
        let index = *self.index.get(key)?;
        Some(self.root(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_named_together_are_one_component() {
        let mut components = Components::default();
        for keys in [&["a", "b"][..], &["c"], &["d", "e"], &["e", "b"], &["f", "c", "f"]] {
            components.join(keys);
        }
        let [a, b, c, d, e, f] = ["a", "b", "c", "d", "e", "f"].map(|key| components.of(&key));
        assert!(a.is_some() && a == b && b == d && d == e);
        assert!(c.is_some() && c == f && c != a);
        assert_eq!(components.of(&"never joined"), None);
    }
}
