//! Finds expressions in a scalar.

/// What a template begins with.
pub(super) const OPENING: &str = "${{";

/// A part of a scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// What stands between `${{` and `}}`.
    Expression(String),
}

/// Says why a scalar with `${{` is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScanError {
    #[error("a template begins here and `}}}}` is missing; check its quotes and brackets")]
    Open,
    #[error("a template is empty")]
    Empty,
}

/// Splits a scalar into text and expressions.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, ScanError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(OPENING) {
        if start > 0 {
            pieces.push(Piece::Text(rest[..start].to_owned()));
        }
        let after = &rest[start + OPENING.len()..];
        let length = expression_length(after).ok_or(ScanError::Open)?;
        if after[..length].trim().is_empty() {
            return Err(ScanError::Empty);
        }
        pieces.push(Piece::Expression(after[..length].to_owned()));
        rest = &after[length + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// Returns where the `}}` of an expression begins: outside of strings and comments, with all brackets closed.
fn expression_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        // Inside of a template literal of the expression only its end and `${` mean something.
        if open.last() == Some(&b'`') {
            match byte {
                b'\\' => at += 1,
                b'`' => {
                    open.pop();
                }
                b'$' if bytes.get(at + 1) == Some(&b'{') => {
                    open.push(b'{');
                    at += 1;
                }
                _ => {}
            }
            at += 1;
            continue;
        }
        match byte {
            b'\'' | b'"' => at = string_end(bytes, at)?,
            b'`' | b'(' | b'[' | b'{' => open.push(byte),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at += text[at + 2..].find("*/")? + 3,
            b'/' if bytes.get(at + 1) == Some(&b'/') => at += text[at..].find('\n')?,
            b')' | b']' => {
                open.pop();
            }
            b'}' if open.is_empty() && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            b'}' => {
                open.pop();
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Returns the place of the quote that ends the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == quote => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expressions(text: &str) -> Vec<String> {
        let only = |piece| match piece {
            Piece::Expression(source) => Some(source),
            Piece::Text(_) => None,
        };
        pieces(text).unwrap().into_iter().filter_map(only).collect()
    }

    #[test]
    fn expression_ends_at_its_own_braces() {
        assert_eq!(expressions("${{ a }}"), [" a "]);
        assert_eq!(expressions("x${{a}}y${{b}}z"), ["a", "b"]);
        assert_eq!(expressions("${{ {a: {b: 1}} }}"), [" {a: {b: 1}} "]);
        assert_eq!(expressions("${{{a: {b: 1}}}}"), ["{a: {b: 1}}"]);
        assert_eq!(expressions("${{ '}}' + \"}}\\\"}}\" }}"), [" '}}' + \"}}\\\"}}\" "]);
        assert_eq!(expressions("${{ `}} ${ {a: 1}.a } }}` }}"), [" `}} ${ {a: 1}.a } }}` "]);
        assert_eq!(expressions("${{ a /* }} */ }}"), [" a /* }} */ "]);
        assert_eq!(expressions("${{ (() => { return 1 })() }}"), [" (() => { return 1 })() "]);
    }

    #[test]
    fn expression_that_does_not_end_is_refused() {
        for text in ["${{ a", "${{ a }", "${{ ( }}", "${{ ' }}", "${{ }}", "a ${{"] {
            assert!(pieces(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn scan_of_any_text_never_panics(text in "[a${}'\"`/*\\\\()\\[\\] \u{e4}]{0,40}") {
            let _outcome = pieces(&text);
        }

        #[test]
        fn scan_without_templates_returns_the_text(text in "[^$]{1,20}") {
            prop_assert_eq!(pieces(&text), Ok(vec![Piece::Text(text.clone())]));
        }
    }
}
