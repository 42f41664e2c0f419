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
}

impl Row {
    /// Whether both sides are the same.
    pub fn is_same(&self) -> bool {
        self.left == self.right
    }
}

/// Aligns by a longest common subsequence. What differs in between stands side by side, in the order of each text.
///
/// What both begin and end with is the same, and costs nothing. The rest takes time and memory of the product of both
/// lengths; where that is too much, its lines are not paired at all.
pub fn align(left: &[&str], right: &[&str]) -> Vec<Row> {
    let pairs = || left.iter().zip(right);
    let before = pairs().take_while(|(left, right)| left == right).count();
    let rest = (left.len() - before).min(right.len() - before);
    let backwards = left.iter().rev().zip(right.iter().rev());
    let after = backwards.take(rest).take_while(|(left, right)| left == right).count();
    let same = |line: &&str| Row { left: Some((*line).to_owned()), right: Some((*line).to_owned()) };
    let mut rows: Vec<Row> = left[..before].iter().map(same).collect();
    rows.extend(subsequence(&left[before..left.len() - after], &right[before..right.len() - after]));
    rows.extend(left[left.len() - after..].iter().map(same));
    rows
}

/// Aligns what need not be the same at its ends.
fn subsequence(left: &[&str], right: &[&str]) -> Vec<Row> {
    if left.len().saturating_mul(right.len()) > CELLS_MAX {
        let line = |side: &[&str], place: usize| side.get(place).map(|line| (*line).to_owned());
        let row = |place| Row { left: line(left, place), right: line(right, place) };
        return (0..left.len().max(right.len())).map(row).collect();
    }
    // common[l][r]: how many lines of left[l..] and right[r..] can be paired.
    let mut common = vec![vec![0_u32; right.len() + 1]; left.len() + 1];
    for l in (0..left.len()).rev() {
        for r in (0..right.len()).rev() {
            common[l][r] = match left[l] == right[r] {
                true => common[l + 1][r + 1] + 1,
                false => common[l + 1][r].max(common[l][r + 1]),
            };
        }
    }
    let (mut l, mut r) = (0, 0);
    let (mut rows, mut lefts, mut rights) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let same = l < left.len() && r < right.len() && left[l] == right[r];
        if same || (l == left.len() && r == right.len()) {
            let (mut ours, mut theirs) = (lefts.drain(..), rights.drain(..));
            loop {
                let row = Row { left: ours.next(), right: theirs.next() };
                if row.left.is_none() && row.right.is_none() {
                    break;
                }
                rows.push(row);
            }
            if !same {
                return rows;
            }
            rows.push(Row { left: Some(left[l].to_owned()), right: Some(right[r].to_owned()) });
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
        align(&left, &right).iter().map(|row| format!("{}|{}", side(&row.left), side(&row.right))).collect()
    }

    #[test]
    fn what_is_the_same_stands_side_by_side() {
        assert_eq!(shown("a b c d", "a c d"), ["a|a", "b|-", "c|c", "d|d"]);
        assert_eq!(shown("a x d", "a y z d"), ["a|a", "x|y", "-|z", "d|d"]);
        assert_eq!(shown("", "a"), ["-|a"]);
        assert_eq!(shown("", ""), [] as [&str; 0]);
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
        let rows = align(&left, &right);
        let differing: Vec<_> = rows.iter().filter(|row| !row.is_same()).collect();
        let row =
            |left: &str, right: Option<&str>| Row { left: Some(left.to_owned()), right: right.map(str::to_owned) };
        assert_eq!(differing, [&row("5000", Some("another")), &row("5002", None)]);
    }

    #[test]
    fn what_is_too_long_to_be_paired_is_there_all_the_same() {
        let texts = ["l", "r"].map(|side| (0..3_000).map(|line| format!("{side}{line}")).collect::<Vec<_>>());
        let [left, right] = texts.each_ref().map(|text| text.iter().map(String::as_str).collect::<Vec<_>>());
        let rows = align(&left, &right[1..]);
        assert_eq!((rows.len(), rows[0].right.as_deref(), &rows[2_999].right), (3_000, Some("r1"), &None));
    }
}
