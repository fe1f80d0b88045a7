//! What a mistyped key may have been meant to be.

use super::table::KEYS;

/// Returns the known key nearest to a word, if one is near; a word in a mistyped family keeps its own rest.
#[must_use]
pub fn nearest_key(word: &str) -> Option<String> {
    let trimmed = word.trim();
    if let Some(known) = super::known_key(&trimmed.to_uppercase()) {
        // Only its case or the blanks around it were wrong.
        let rest = if known.is_family() { &trimmed[known.name.len()..] } else { "" };
        return Some(format!("{}{rest}", known.name));
    }
    let folded = trimmed.to_uppercase();
    let mut best: Option<(usize, String)> = None;
    for key in KEYS {
        let (distance, candidate) = if key.is_family() {
            let depth = key.name.matches('.').count();
            let Some((at, _)) = folded.match_indices('.').nth(depth - 1) else { continue };
            let Some(rest) = trimmed.get(at + 1..).filter(|rest| !rest.is_empty()) else { continue };
            (distance(&folded[..=at], key.name), format!("{}{rest}", key.name))
        } else {
            (distance(&folded, key.name), key.name.to_owned())
        };
        if distance <= tolerance(key.name) && best.as_ref().is_none_or(|(least, _)| distance < *least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many mistakes a name of this length may have and still be recognised.
fn tolerance(name: &str) -> usize {
    match name.len() {
        0..=3 => 1,
        4..=10 => 2,
        _ => 3,
    }
}

/// Counts the letters to insert, delete, replace or swap with their neighbour until one word is the other.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    // Long keys come from outside; none of ours is near them.
    if one.len().abs_diff(other.len()) > 3 {
        return usize::MAX;
    }
    let width = other.len() + 1;
    let mut before = vec![0; width];
    let mut above: Vec<usize> = (0..width).collect();
    for row in 1..=one.len() {
        let mut here = vec![row; width];
        for column in 1..width {
            let changed = usize::from(one[row - 1] != other[column - 1]);
            let mut least = (above[column] + 1).min(here[column - 1] + 1).min(above[column - 1] + changed);
            let is_swap = row > 1
                && column > 1
                && one[row - 1] == other[column - 2]
                && one[row - 2] == other[column - 1];
            if is_swap {
                least = least.min(before[column - 2] + 1);
            }
            here[column] = least;
        }
        before = std::mem::replace(&mut above, here);
    }
    above[width - 1]
}
