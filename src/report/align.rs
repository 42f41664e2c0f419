//! Two texts side by side, line by line.

use serde::Serialize;

/// The largest table that is filled to align two texts: four bytes each.
const CELLS_MAX: usize = 4_000_000;

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
/// What both begin and end with is the same, and costs nothing. The rest takes time and memory of the product of both
/// lengths; where that is too much, its lines are not paired at all.
pub fn align(left: &[&str], right: &[&str], said: impl Fn(&str) -> &str) -> Vec<Row> {
    let is_same = |pair: &(&&str, &&str)| said(pair.0) == said(pair.1);
    let before = left.iter().zip(right).take_while(is_same).count();
    let (rest, others) = (&left[before..], &right[before..]);
    let after = rest.iter().rev().zip(others.iter().rev()).take_while(is_same).count();
    let (middle, end) = rest.split_at(rest.len() - after);
    let (other_middle, other_end) = others.split_at(others.len() - after);
    let same = |(left, right): (&&str, &&str)| row(Some(*left), Some(*right), true);
    let mut rows: Vec<Row> = left[..before].iter().zip(right).map(same).collect();
    rows.extend(match middle.len().saturating_mul(other_middle.len()) > CELLS_MAX {
        true => beside(middle, other_middle),
        false => subsequence(middle, other_middle, said),
    });
    rows.extend(end.iter().zip(other_end).map(same));
    rows
}

fn row(left: Option<&str>, right: Option<&str>, same: bool) -> Row {
    Row { left: left.map(str::to_owned), right: right.map(str::to_owned), same }
}

/// Lines that have nothing to do with each other.
fn beside(left: &[&str], right: &[&str]) -> Vec<Row> {
    let lines = 0..left.len().max(right.len());
    lines.map(|place| row(left.get(place).copied(), right.get(place).copied(), false)).collect()
}

/// Aligns what need not be the same at its ends.
fn subsequence(left: &[&str], right: &[&str], said: impl Fn(&str) -> &str) -> Vec<Row> {
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
    // From where on nothing is in the rows yet.
    let (mut from_l, mut from_r) = (0, 0);
    let mut rows = Vec::new();
    loop {
        let same = l < left.len() && r < right.len() && is_same(l, r);
        if same || (l == left.len() && r == right.len()) {
            rows.extend(beside(&left[from_l..l], &right[from_r..r]));
            if !same {
                return rows;
            }
            rows.push(row(Some(left[l]), Some(right[r]), true));
            (l, r) = (l + 1, r + 1);
            (from_l, from_r) = (l, r);
        } else if r == right.len() || (l < left.len() && common[l + 1][r] >= common[l][r + 1]) {
            l += 1;
        } else {
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

    #[test]
    fn a_change_within_ten_thousand_lines_stands_alone() {
        let lines: Vec<String> = (0..10_000).map(|line| line.to_string()).collect();
        let left: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut right = left.clone();
        right[5_000] = "another";
        right.remove(5_002);
        let rows = align(&left, &right, |line| line);
        let differing: Vec<_> = rows.iter().filter(|row| !row.same).collect();
        assert_eq!(differing, [&row(Some("5000"), Some("another"), false), &row(Some("5002"), None, false)]);
    }

    #[test]
    fn what_is_too_long_to_be_paired_is_there_all_the_same() {
        let texts = ["l", "r"].map(|side| (0..3_000).map(|line| format!("{side}{line}")).collect::<Vec<_>>());
        let [left, right] = texts.each_ref().map(|text| text.iter().map(String::as_str).collect::<Vec<_>>());
        let rows = align(&left, &right[1..], |line| line);
        assert_eq!((rows.len(), rows[0].right.as_deref(), &rows[2_999].right), (3_000, Some("r1"), &None));
    }
}
