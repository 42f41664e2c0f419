//! Locks on entities, canonical keys, streams and ids of events: shared and exclusive, all of an owner's at once, in
//! order of arrival.
//!
//! An owner asks once, for all its keys, and stands in the queue of each key at the moment
//! it asks. It is granted when nobody before it in any of its queues stands against it.
//! Because every queue has the same order, there is no cycle of waiting, and nobody is
//! overtaken for ever.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use graph::{CanonicalKey, EntityId, EventId, Kind, Operation, Patch, stream_of};

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// Together with other readers.
    Shared,
    /// Alone.
    Exclusive,
}

/// What a lock is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockKey {
    /// An entity, whether it is there or not.
    Entity(EntityId),
    /// A canonical key, whether an entity has it or not.
    ///
    /// Taken by whoever creates under it, so that the second one finds what the first has left.
    /// Whoever deletes needs none: the key is taken until the deletion has reached SQLite, and who
    /// is refused meanwhile came before it. A repair takes none either, for it does not know
    /// which before it has its locks; against somebody who creates under the key of what is being
    /// restored at the same moment stands the graph's constraint, and the loser is fenced.
    Canonical(Kind, CanonicalKey),
    /// A stream of events: its next sequence number.
    Stream(EntityId),
    /// The id of an event, whether there is one or not.
    Event(EventId),
}

impl LockKey {
    /// What a transaction locks.
    pub fn of(patch: &Patch) -> BTreeSet<LockKey> {
        let canonical = patch.operations.iter().filter_map(|operation| match operation {
            Operation::Create { kind, key: Some(key), .. } => Some(LockKey::Canonical(kind.clone(), key.clone())),
            _ => None,
        });
        let appended = patch.operations.iter().filter_map(|operation| match operation {
            Operation::Append { resource, event } => {
                Some([LockKey::Stream(stream_of(resource.as_ref())), LockKey::Event(event.id.clone())])
            }
            _ => None,
        });
        patch.keys().into_iter().map(LockKey::Entity).chain(canonical).chain(appended.flatten()).collect()
    }
}

/// The locks of all owners. `O` names an owner; it asks at most once at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Locks<O: Ord> {
    queues: BTreeMap<LockKey, VecDeque<(O, LockMode)>>,
    owners: BTreeMap<O, Wish>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wish {
    keys: BTreeSet<LockKey>,
    granted: bool,
}

impl<O: Ord + Copy> Default for Locks<O> {
    fn default() -> Self {
        Locks::new()
    }
}

impl<O: Ord + Copy> Locks<O> {
    /// No locks, nobody waiting.
    pub fn new() -> Locks<O> {
        Locks { queues: BTreeMap::new(), owners: BTreeMap::new() }
    }

    /// Asks for locks on all the keys; true if they are held now. Otherwise the owner
    /// waits, and a later [`release`](Self::release) names it.
    ///
    /// # Panics
    ///
    /// When the owner holds or waits for locks already.
    pub fn acquire(&mut self, owner: O, keys: BTreeSet<LockKey>, mode: LockMode) -> bool {
        for key in &keys {
            self.queues.entry(key.clone()).or_default().push_back((owner, mode));
        }
        let before = self.owners.insert(owner, Wish { keys, granted: false });
        assert!(before.is_none(), "an owner asked for locks twice");
        self.grant(owner)
    }

    /// Gives up the owners' locks and places in the queues, all at once, and returns those
    /// who hold theirs because of it, in their order.
    pub fn release(&mut self, owners: &[O]) -> Vec<O> {
        let wishes = owners.iter().filter_map(|owner| self.owners.remove(owner));
        let keys: BTreeSet<LockKey> = wishes.flat_map(|wish| wish.keys).collect();
        let mut next = Vec::new();
        for key in &keys {
            let Some(queue) = self.queues.get_mut(key) else { continue };
            queue.retain(|(other, _)| !owners.contains(other));
            for (other, _) in queue.iter() {
                if !next.contains(other) {
                    next.push(*other);
                }
            }
            if queue.is_empty() {
                self.queues.remove(key);
            }
        }
        next.retain(|other| !self.owners[other].granted && self.grant(*other));
        next
    }

    /// Whether the owner holds its locks.
    pub fn holds(&self, owner: O) -> bool {
        self.owners.get(&owner).is_some_and(|wish| wish.granted)
    }

    /// Whether nobody holds or waits.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    fn grant(&mut self, owner: O) -> bool {
        let granted = self.owners[&owner].keys.iter().all(|key| {
            let queue = &self.queues[key];
            let mut before = queue.iter().take_while(|(other, _)| *other != owner);
            let own = queue.iter().find(|(other, _)| *other == owner).map(|(_, mode)| *mode);
            match own {
                Some(LockMode::Exclusive) => before.next().is_none(),
                _ => before.all(|(_, mode)| *mode == LockMode::Shared),
            }
        });
        if granted {
            self.owners.get_mut(&owner).expect("just looked at").granted = true;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> BTreeSet<LockKey> {
        names.iter().map(|name| LockKey::Entity(EntityId::new(*name).expect("an id"))).collect()
    }

    #[test]
    fn a_transaction_locks_the_keys_that_it_creates_under_and_of_each_kind_its_own() {
        let kinds = ["book", "film"].map(|kind| kind.parse::<Kind>().unwrap());
        let key: CanonicalKey = "a".parse().unwrap();
        let create = |kind: &Kind| {
            let (id, key) = ("a".parse().unwrap(), Some(key.clone()));
            Patch { operations: vec![Operation::Create { id, kind: kind.clone(), key, properties: [].into() }] }
        };
        let expected = |kind: &Kind| {
            BTreeSet::from([LockKey::Entity("a".parse().unwrap()), LockKey::Canonical(kind.clone(), key.clone())])
        };
        assert_eq!(kinds.each_ref().map(|kind| LockKey::of(&create(kind))), kinds.each_ref().map(expected));
        let delete = Patch { operations: vec![Operation::Delete { id: "a".parse().unwrap() }] };
        assert_eq!(LockKey::of(&delete), keys(&["a"]));
    }

    #[test]
    fn readers_share_and_a_writer_waits_for_them() {
        let mut locks = Locks::new();
        assert!(locks.acquire(1, keys(&["a"]), LockMode::Shared));
        assert!(locks.acquire(2, keys(&["a"]), LockMode::Shared));
        assert!(!locks.acquire(3, keys(&["a"]), LockMode::Exclusive));
        assert_eq!(locks.release(&[1]), Vec::<i32>::new());
        assert_eq!(locks.release(&[2]), vec![3]);
        assert!(locks.holds(3));
    }

    #[test]
    fn a_reader_does_not_overtake_a_waiting_writer() {
        let mut locks = Locks::new();
        assert!(locks.acquire(1, keys(&["a"]), LockMode::Shared));
        assert!(!locks.acquire(2, keys(&["a"]), LockMode::Exclusive));
        assert!(!locks.acquire(3, keys(&["a"]), LockMode::Shared));
        assert_eq!(locks.release(&[1]), vec![2]);
        assert_eq!(locks.release(&[2]), vec![3]);
    }

    #[test]
    fn opposite_orders_do_not_deadlock() {
        let mut locks = Locks::new();
        assert!(locks.acquire(1, keys(&["a", "b"]), LockMode::Exclusive));
        assert!(!locks.acquire(2, keys(&["b", "c"]), LockMode::Exclusive));
        assert!(!locks.acquire(3, keys(&["c", "a"]), LockMode::Exclusive));
        assert_eq!(locks.release(&[1]), vec![2]);
        assert_eq!(locks.release(&[2]), vec![3]);
        assert_eq!(locks.release(&[3]), Vec::<i32>::new());
        assert!(locks.is_empty());
    }

    /// However many come after it for one of its keys, an owner of several waits only for those that
    /// were there before it.
    #[test]
    fn an_owner_of_many_keys_is_not_starved_by_those_of_one() {
        let mut locks = Locks::new();
        assert!(locks.acquire(0, keys(&["a"]), LockMode::Exclusive));
        assert!(locks.acquire(1, keys(&["b"]), LockMode::Shared));
        assert!(!locks.acquire(2, keys(&["a", "b", "c"]), LockMode::Exclusive));
        for owner in 3..1_000 {
            let key = ["a", "b", "c"][owner as usize % 3];
            let mode = if owner % 2 == 0 { LockMode::Shared } else { LockMode::Exclusive };
            assert!(!locks.acquire(owner, keys(&[key]), mode), "{owner} came later");
        }
        assert!(locks.release(&[0]).is_empty());
        assert_eq!(locks.release(&[1]), [2], "before all who came later");
    }

    #[test]
    fn who_gives_up_waiting_lets_the_next_one_through() {
        let mut locks = Locks::new();
        assert!(locks.acquire(1, keys(&["a"]), LockMode::Shared));
        assert!(!locks.acquire(2, keys(&["a"]), LockMode::Exclusive));
        assert!(!locks.acquire(3, keys(&["a"]), LockMode::Shared));
        assert_eq!(locks.release(&[2]), vec![3]);
    }

    #[test]
    fn who_leaves_together_leaves_nothing_to_each_other() {
        let mut locks = Locks::new();
        assert!(locks.acquire(1, keys(&["a"]), LockMode::Exclusive));
        assert!(!locks.acquire(2, keys(&["a", "b"]), LockMode::Exclusive));
        assert!(!locks.acquire(3, keys(&["b"]), LockMode::Exclusive));
        assert!(!locks.acquire(4, keys(&["b"]), LockMode::Shared));
        assert_eq!(locks.release(&[2, 3]), vec![4]);
        assert!(locks.release(&[1, 4]).is_empty());
        assert!(locks.is_empty());
    }
}
