//! Lists that are answered in parts.

use serde::Deserialize;

/// How many items a page has: between 1 and 1000.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
pub struct Limit(u32);

impl Default for Limit {
    fn default() -> Limit {
        Limit(100)
    }
}

impl TryFrom<u32> for Limit {
    type Error = &'static str;
    fn try_from(limit: u32) -> Result<Limit, Self::Error> {
        if (1..=1_000).contains(&limit) { Ok(Limit(limit)) } else { Err("a limit is between 1 and 1000") }
    }
}

impl Limit {
    /// How many items.
    pub fn get(self) -> u32 {
        self.0
    }

    /// How many to ask for, so that [`page`] sees whether there are more.
    pub fn with_one_more(self) -> u32 {
        self.0 + 1
    }
}

/// Cuts a list to a page; returns it with the name of its last item if there are more.
pub fn page<T, N>(mut items: Vec<T>, Limit(limit): Limit, name: impl Fn(&T) -> N) -> (Vec<T>, Option<N>) {
    let limit = limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(name);
    (items, next)
}
