//! "Did you mean …?"

/// Says what could stand in the place of `found`: the nearest name, and all there are.
///
/// `what` names them in the plural, for example `hosts`.
pub(super) fn suggestion<'a>(found: &str, known: impl IntoIterator<Item = &'a str>, what: &str) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if known.is_empty() {
        return format!("there are no {what} here");
    }
    let all = format!("{what}: {}", quoted(&known));
    match nearest(found, &known) {
        Some(name) => format!("did you mean `{name}`? {all}"),
        None => all,
    }
}

/// The names in backquotes, separated by commas.
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The known name that a person most likely meant: the one with the fewest mistakes, if at most a third of it is wrong.
fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let length = |name: &str| name.chars().count();
    let tolerated = |name: &str| length(found).max(length(name)).div_ceil(3);
    let near =
        known.iter().map(|name| (distance(found, name), *name)).filter(|(edits, name)| *edits <= tolerated(name));
    near.min().map(|(_, name)| name)
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours, in characters.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in table.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in table[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substituted = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substituted.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(table[i - 2][j - 2] + 1);
            }
            table[i][j] = least;
        }
    }
    table[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, edits) in
            [("", "", 0), ("", "abc", 3), ("steps", "stpes", 1), ("kil", "kill", 1), ("cut", "kill", 4)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn near_names_are_proposed_and_far_ones_are_not() {
        assert_eq!(suggestion("cordinator", ["coordinator", "graph"], "hosts"), {
            "did you mean `coordinator`? hosts: `coordinator`, `graph`"
        });
        assert_eq!(suggestion("x9", ["coordinator", "graph"], "hosts"), "hosts: `coordinator`, `graph`");
        assert_eq!(suggestion("x9", [], "hosts"), "there are no hosts here");
    }
}
