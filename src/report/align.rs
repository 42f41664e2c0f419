//! Two texts side by side, line by line.

use serde::Serialize;

/// A line of each, or of one where the other has nothing that belongs there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The line on the left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// The line on the right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<String>,
    /// Whether both say the same.
    pub same: bool,
}

/// Aligns by a longest common subsequence of what `said` takes from the lines. What differs in between stands side by side, in
/// the order of each text.
///
/// Takes time and memory of the product of both lengths: for plans and parts of traces.
pub fn align(left: &[&str], right: &[&str], said: impl Fn(&str) -> &str) -> Vec<Row> {
    let is_same = |l: usize, r: usize| said(left[l]) == said(right[r]);
    // common[l][r]: how many lines of left[l..] and right[r..] can be paired.
    let mut common = vec![vec![0_u32; right.len() + 1]; left.len() + 1];
    for l in (0..left.len()).rev() {
        for r in (0..right.len()).rev() {
            common[l][r] = match is_same(l, r) {
                true => common[l + 1][r + 1] + 1,
                false => common[l + 1][r].max(common[l][r + 1]),
            };
        }
    }
    let (mut l, mut r) = (0, 0);
    let (mut rows, mut lefts, mut rights) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let same = l < left.len() && r < right.len() && is_same(l, r);
        if same || (l == left.len() && r == right.len()) {
            let (mut ours, mut theirs) = (lefts.drain(..), rights.drain(..));
            loop {
                let row = Row { left: ours.next(), right: theirs.next(), same: false };
                if row.left.is_none() && row.right.is_none() {
                    break;
                }
                rows.push(row);
            }
            if !same {
                return rows;
            }
            rows.push(Row { left: Some(left[l].to_owned()), right: Some(right[r].to_owned()), same: true });
            (l, r) = (l + 1, r + 1);
        } else if r == right.len() || (l < left.len() && common[l + 1][r] >= common[l][r + 1]) {
            lefts.push(left[l].to_owned());
            l += 1;
        } else {
            rights.push(right[r].to_owned());
            r += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(left: &str, right: &str) -> Vec<String> {
        let [left, right] = [left, right].map(|text| text.split_whitespace().collect::<Vec<_>>());
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
        align(&left, &right, |line| line)
            .iter()
            .map(|row| format!("{}|{}", side(&row.left), side(&row.right)))
            .collect()
    }

    #[test]
    fn what_is_the_same_stands_side_by_side() {
        assert_eq!(shown("a b c d", "a c d"), ["a|a", "b|-", "c|c", "d|d"]);
        assert_eq!(shown("a x d", "a y z d"), ["a|a", "x|y", "-|z", "d|d"]);
        assert_eq!(shown("", "a"), ["-|a"]);
        assert_eq!(shown("", ""), [] as [&str; 0]);
    }

    #[test]
    fn lines_are_paired_by_what_they_say() {
        let rows = align(&["1 a", "2 b"], &["3 a", "4 x", "5 b"], |line| &line[2..]);
        assert_eq!(rows.iter().map(|row| row.same).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!((rows[2].left.as_deref(), rows[2].right.as_deref()), (Some("2 b"), Some("5 b")));
    }

    #[test]
    fn both_sides_keep_all_their_lines_in_order() {
        let (left, right) = ("a b a c c d e a", "b a c a d d a e");
        let rows = shown(left, right);
        let side = |n: usize| {
            rows.iter().filter_map(|row| row.split('|').nth(n)).filter(|s| *s != "-").collect::<Vec<_>>().join(" ")
        };
        assert_eq!((side(0).as_str(), side(1).as_str()), (left, right));
    }
}
