//! The valid word that is most like a wrong one.

/// Returns the word that is nearest to a wrong one, when one is near enough to be meant.
pub fn nearest<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let limit = (wrong.chars().count() / 3).clamp(1, 3);
    valid
        .into_iter()
        .filter(|word| *word != wrong)
        .map(|word| (distance(&wrong.to_lowercase(), &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word.to_owned())
}

/// Counts insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<_>, Vec<_>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, one) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(one != other);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *one == right[column - 1] && left[row - 1] == *other {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word_is_found_only_when_it_is_near() {
        let valid = ["enabled", "port", "certificate", "runtimeDirectory"];
        assert_eq!(nearest("enabeld", valid).as_deref(), Some("enabled"));
        assert_eq!(nearest("Port", valid).as_deref(), Some("port"));
        assert_eq!(nearest("runtimeDir", valid), None);
        assert_eq!(nearest("zebra", valid), None);
        assert_eq!(nearest("", valid), None);
    }
}
