//! Texts that make a line notable (`zowe.sysMessages`), looked for in everything that components print.

use std::collections::BTreeSet;

use memchr::memmem::Finder;

/// So much of a text is looked for first, in bytes.
const BEGINNING_BYTES: usize = 4;

/// Texts to be found.
///
/// They are mostly message ids of one product and begin alike: most output has none of their few beginnings, and is
/// then looked through once and not once for each text.
#[derive(Debug, Default)]
pub(crate) struct Notable {
    beginnings: Vec<Finder<'static>>,
    texts: Vec<Finder<'static>>,
}

impl Notable {
    pub(crate) fn new(texts: &[String]) -> Self {
        let finder = |bytes: &[u8]| Finder::new(bytes).into_owned();
        let beginning = |text: &String| text.as_bytes()[..text.len().min(BEGINNING_BYTES)].to_vec();
        let beginnings: BTreeSet<Vec<u8>> = texts.iter().map(beginning).collect();
        Self {
            beginnings: beginnings.iter().map(|bytes| finder(bytes)).collect(),
            texts: texts.iter().map(|text| finder(text.as_bytes())).collect(),
        }
    }

    /// Says whether bytes have one of the texts in them.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        let has = |finder: &Finder<'_>| finder.find(bytes).is_some();
        self.beginnings.iter().any(has) && self.texts.iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notable_is_what_has_a_text_and_not_what_has_its_beginning_alone() {
        let notable = Notable::new(&["ZWEAM000I", "ZWEL0021I", "UP", "déjà"].map(str::to_owned));
        assert_eq!(notable.beginnings.len(), 4);
        for (text, is_so) in [
            ("xZWEAM000Ix", true),
            ("ZWEL0021I", true),
            ("it is UP", true),
            ("déjà vu", true),
            ("ZWEA ZWEL dé U P", false),
            ("", false),
        ] {
            assert_eq!(notable.is_in(text.as_bytes()), is_so, "{text}");
        }
        assert!(!Notable::default().is_in(b"anything"));
    }
}
