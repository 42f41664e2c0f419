//! Shortest cycles.

use std::collections::VecDeque;

use super::graph::{Dependency, Graph};
use super::{Edge, EdgeKind};

/// A shortest cycle over edges of the given kinds.
pub(super) fn shortest_cycle<Key: Clone + Ord>(graph: &Graph<'_, Key>, kinds: &[EdgeKind]) -> Option<Vec<Edge<Key>>> {
    let mut shortest: Option<Vec<Edge<Key>>> = None;
    for mut members in components(graph, kinds) {
        members.sort_by_key(|node| graph.transactions[*node].invoked);
        for start in &members {
            // No transaction depends on itself, so nothing is shorter than two.
            if shortest.as_ref().is_some_and(|cycle| cycle.len() == 2) {
                return shortest;
            }
            let found = cycle_through(graph, kinds, &members, *start);
            if shortest.as_ref().is_none_or(|best| found.len() < best.len()) {
                shortest = Some(found);
            }
        }
    }
    shortest
}

/// How the search reached a node: the node before it and the dependency between, none in real time.
type Step<'a, Key> = (usize, Option<&'a Dependency<'a, Key>>);

/// A shortest cycle through `start`, a member of the strongly connected component `members`, which is sorted by
/// invocation: breadth first, until an edge leads back.
fn cycle_through<Key: Clone + Ord>(
    graph: &Graph<'_, Key>,
    kinds: &[EdgeKind],
    members: &[usize],
    start: usize,
) -> Vec<Edge<Key>> {
    let invoked = |node: usize| graph.transactions[node].invoked;
    let mut reached: Vec<Option<Step<'_, Key>>> = vec![None; graph.transactions.len()];
    let is_member = {
        let mut is_member = vec![false; graph.transactions.len()];
        members.iter().for_each(|node| is_member[*node] = true);
        is_member
    };
    let mut queue = VecDeque::from([start]);
    // What real time reaches is an end of `members`; from here on they were reached before.
    let mut late = members.len();
    while let Some(node) = queue.pop_front() {
        let mut visit = |to: usize, dependency| {
            if reached[to].is_none() {
                reached[to] = Some((node, dependency));
                queue.push_back(to);
            }
        };
        for dependency in &graph.data[node] {
            if kinds.contains(&dependency.kind) && is_member[dependency.to] {
                visit(dependency.to, Some(dependency));
            }
        }
        if let Some(completed) = graph.transactions[node].completed.filter(|_| kinds.contains(&EdgeKind::Rt)) {
            let after = members.partition_point(|member| invoked(*member) <= completed);
            for member in members.get(after..late).unwrap_or_default() {
                visit(*member, None);
            }
            late = late.min(after);
        }
        if reached[start].is_some() {
            break;
        }
    }

    let mut cycle = vec![];
    let mut node = start;
    while let Some((before, dependency)) = reached[node].take() {
        cycle.push(graph.edge(before, node, dependency));
        node = before;
    }
    cycle.reverse();
    cycle
}

/// The strongly connected components of more than one node (Tarjan 1972, with an explicit stack).
fn components<Key: Clone + Ord>(graph: &Graph<'_, Key>, kinds: &[EdgeKind]) -> Vec<Vec<usize>> {
    let successors: Vec<Vec<usize>> = (0..graph.transactions.len())
        .map(|node| {
            let data = graph.data[node].iter().filter(|edge| kinds.contains(&edge.kind)).map(|edge| edge.to);
            let real_time = graph.real_time[node].iter().copied().filter(|_| kinds.contains(&EdgeKind::Rt));
            data.chain(real_time).collect()
        })
        .collect();

    let mut found = vec![];
    let mut order: Vec<Option<usize>> = vec![None; successors.len()];
    let mut low = vec![0; successors.len()];
    let mut is_open = vec![false; successors.len()];
    let (mut open, mut visited) = (vec![], 0);
    for root in 0..successors.len() {
        if order[root].is_some() {
            continue;
        }
        // Each node with how many of its successors were looked at.
        let mut path = vec![(root, 0)];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            if *next == 0 && order[node].is_none() {
                (order[node], low[node], is_open[node]) = (Some(visited), visited, true);
                visited += 1;
                open.push(node);
            }
            if let Some(&to) = successors[node].get(*next) {
                *next += 1;
                match order[to] {
                    None => path.push((to, 0)),
                    Some(seen) if is_open[to] => low[node] = low[node].min(seen),
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if Some(low[node]) == order[node] {
                let from = open.iter().rposition(|member| *member == node).unwrap_or(0);
                let members = open.split_off(from);
                members.iter().for_each(|member| is_open[*member] = false);
                if members.len() > 1 {
                    found.push(members);
                }
            }
        }
    }
    found
}
