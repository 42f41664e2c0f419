//! The shortest prefix of a history that cannot be explained.

use crate::history::History;

use super::{Conclusion, Model, check_operations};

/// How many events of `history` it takes to be illegal: the first `n` are, the first `n - 1` are not.
///
/// The last event of the prefix is where the mistake became visible. `None` when the history is linearizable or the
/// budget does not suffice to refute it. When the budget runs out on the way, the prefix is illegal, but a shorter one
/// may be.
pub fn minimal_prefix<M: Model>(model: &M, history: &History<M::Op, M::Ret>, budget: u64) -> Option<usize> {
    let illegal = |events: usize| {
        matches!(check_operations(model, &history.operations_after(events), budget), Conclusion::Illegal(_))
    };
    if !illegal(history.len()) {
        return None;
    }
    // Bisection: a later event only takes explanations away. What is open in a prefix may have had any answer or none,
    // and an order that explains a history explains each of its prefixes.
    let (mut legal, mut found) = (0, history.len());
    while found - legal > 1 {
        let middle = legal + (found - legal) / 2;
        if illegal(middle) { found = middle } else { legal = middle }
    }
    Some(found)
}
