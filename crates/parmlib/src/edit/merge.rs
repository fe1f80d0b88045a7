//! A newly shipped member and one that was edited.

use super::document::{Document, Piece};
use super::{EditError, Edited, KeyChange, KeyChangeKind};

/// Brings what is shipped now into an edited member.
///
/// `before` is what was shipped when the edited one was made. What the administrator changed since then stays, and a
/// [`KeyChangeKind::Kept`] tells where something else is shipped; what he left alone becomes what is shipped. Without
/// `before` nobody knows what he changed, so everything that is there stays. A new key comes with the comment above it,
/// behind the key that it follows in the shipped member.
pub fn merge(before: Option<&str>, edited: &str, shipped: &str) -> Result<Edited, EditError> {
    let base = Document::parse("shipped before", before.unwrap_or_default())?;
    let ours = Document::parse("edited", edited)?;
    let theirs = Document::parse("shipped now", shipped)?;
    if before == Some(edited) {
        // Nothing was edited: comments and order may be the new ones too.
        return Ok(Edited { text: shipped.to_owned(), changes: differences(&ours, &theirs) });
    }
    let mut merging = Merging { base, result: ours, shipped: theirs, changes: Vec::new() };
    merging.bring()?;
    merging.take_out();
    let Merging { result, changes, .. } = merging;
    let is_same = changes.iter().all(|change| matches!(change.kind, KeyChangeKind::Kept { .. }));
    let text = if is_same { edited.to_owned() } else { result.text() };
    Ok(Edited { text, changes })
}

fn differences(before: &Document, now: &Document) -> Vec<KeyChange> {
    let mut changes = Vec::new();
    for key in now.keys() {
        let value = now.value(key).unwrap_or_default().to_owned();
        let kind = match before.value(key) {
            None => KeyChangeKind::Added { value },
            Some(old) if old != value => KeyChangeKind::Updated { before: old.to_owned(), value },
            Some(_) => continue,
        };
        changes.push(KeyChange { key: key.to_owned(), kind });
    }
    for key in before.keys().into_iter().filter(|key| now.position(key).is_none()) {
        let kind = KeyChangeKind::Removed { before: before.value(key).unwrap_or_default().to_owned() };
        changes.push(KeyChange { key: key.to_owned(), kind });
    }
    changes
}

#[derive(Debug)]
struct Merging {
    base: Document,
    /// The edited member, becoming the result.
    result: Document,
    shipped: Document,
    changes: Vec<KeyChange>,
}

impl Merging {
    /// Goes through what is shipped.
    fn bring(&mut self) -> Result<(), EditError> {
        let shipped = self.shipped.clone();
        for key in shipped.keys() {
            let value = shipped.value(key).unwrap_or_default();
            let base = self.base.value(key).map(str::to_owned);
            let ours = self.result.value(key).map(str::to_owned);
            match (ours, base) {
                (Some(ours), _) if ours == value => {}
                (Some(ours), Some(base)) if ours == base => {
                    let position = self.result.position(key).expect("it has a value");
                    self.result.replace(position, value)?;
                    self.tell(key, KeyChangeKind::Updated { before: ours, value: value.to_owned() });
                }
                // The administrator has his own value, or has taken the line out; is there news he should know of?
                (ours, Some(base)) if base == value => drop(ours),
                (None, None) => {
                    self.add(key);
                    self.tell(key, KeyChangeKind::Added { value: value.to_owned() });
                }
                (ours, _) => {
                    self.tell(key, KeyChangeKind::Kept { edited: ours, shipped: Some(value.to_owned()) });
                }
            }
        }
        Ok(())
    }

    /// Goes through what is shipped no more.
    fn take_out(&mut self) {
        let is_gone = |key: &&str| self.shipped.position(key).is_none();
        let gone: Vec<String> = self.base.keys().into_iter().filter(is_gone).map(str::to_owned).collect();
        for key in gone {
            let base = self.base.value(&key).unwrap_or_default().to_owned();
            let Some(ours) = self.result.value(&key).map(str::to_owned) else { continue };
            if ours == base {
                self.result
                    .pieces
                    .retain(|piece| !matches!(piece, Piece::Statement { key: own, .. } if *own == key));
                self.tell(&key, KeyChangeKind::Removed { before: base });
            } else {
                self.tell(&key, KeyChangeKind::Kept { edited: Some(ours), shipped: None });
            }
        }
    }

    fn tell(&mut self, key: &str, kind: KeyChangeKind) {
        self.changes.push(KeyChange { key: key.to_owned(), kind });
    }

    /// Adds a statement as it is shipped, with the comment above it.
    fn add(&mut self, key: &str) {
        let at = self.shipped.position(key).expect("it is one of its keys");
        let line_end = self.result.line_end();
        let copied = |piece: &Piece| {
            let mut raw = piece.raw().replace("\r\n", "\n");
            if !raw.ends_with('\n') {
                raw.push('\n');
            }
            raw.replace('\n', line_end)
        };
        let before = &self.shipped.pieces[..at];
        let is_comment = |piece: &&Piece| matches!(piece, Piece::Other(raw) if !raw.trim().is_empty());
        let comments = before.iter().rev().take_while(is_comment).count();
        let block = at - comments;
        let mut new: Vec<Piece> = before[block..]
            .iter()
            .map(|piece| Piece::Other(copied(piece)))
            .filter(|piece| self.places_of(piece).is_empty())
            .collect();
        let Piece::Statement { key, value, .. } = &self.shipped.pieces[at] else { return };
        let raw = copied(&self.shipped.pieces[at]);
        new.push(Piece::Statement { key: key.clone(), value: value.clone(), raw });
        let above = self.place_behind(&before[..block]);
        let is_apart = block > 0 && before[block - 1].raw().trim().is_empty();
        if is_apart && above.is_some() {
            new.insert(0, Piece::Other(line_end.to_owned()));
        }
        let position = above.map_or_else(|| self.result.end(), |above| above + 1);
        self.result.pieces.splice(position..position, new);
    }
    /// Returns where lines of the result are that say the same.
    fn places_of(&self, wanted: &Piece) -> Vec<usize> {
        let is_same = |piece: &Piece| piece.raw().trim() == wanted.raw().trim();
        (0..self.result.pieces.len()).filter(|place| is_same(&self.result.pieces[*place])).collect()
    }

    /// Returns where the nearest of some shipped lines is that the result has too: a key, or a comment that is there once.
    fn place_behind(&self, above: &[Piece]) -> Option<usize> {
        above.iter().rev().find_map(|piece| match piece {
            Piece::Statement { key, .. } => self.result.position(key),
            Piece::Other(raw) if raw.contains(char::is_alphanumeric) => match self.places_of(piece)[..] {
                [place] => Some(place),
                _ => None,
            },
            Piece::Other(_) | Piece::Dangling(_) => None,
        })
    }
}
