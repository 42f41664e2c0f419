//! Transactions to measure with.

use coordinator::commit::IdempotencyKey;
use graph::Patch;

/// The name of the nth transaction.
pub fn key(n: usize) -> IdempotencyKey {
    IdempotencyKey(format!("transaction-{n}"))
}

/// The nth transaction: an entity of its own with three properties, 130 bytes in all.
pub fn create(n: usize) -> Patch {
    let text = format!(
        r#"[{{"create": {{"id": "entity-{n:09}", "kind": "person", "properties":
            {{"name": "somebody {n}", "age": {}, "note": "a line of text that says little"}}}}}}]"#,
        n % 100
    );
    serde_json::from_str(&text).expect("it is a patch")
}
