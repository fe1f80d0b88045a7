//! Taking secrets out of text: values that are known, and what stands where secrets stand.
//!
//! A password may stand anywhere in a log: after a name, in a URL, in a header, in a command line, as a token that can
//! be told by its form. What is taken out is rather too much than too little; the names stay, so that a reader sees
//! that there was something.

use std::borrow::Cow;
use std::ops::Range;

use crate::prepare::looks_secret;

/// What stands in place of a secret.
pub(super) const REDACTED: &str = "(secret)";
/// No name of a variable or key is longer, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Names whose values are references to secrets and no secrets.
const REFERENCES: [&str; 3] = ["file:", "env:", "credential:"];
/// What begins a private key in PEM form, up to its kind.
const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_KIND: &str = "PRIVATE KEY-----";

/// Takes secrets out of a text; `secrets` are known ones, longest first.
pub(super) fn redact(text: &str, secrets: &[String]) -> String {
    let mut known = Cow::Borrowed(text);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if known.contains(secret.as_str()) {
            known = Cow::Owned(known.replace(secret.as_str(), REDACTED));
        }
    }
    let mut out = String::with_capacity(known.len());
    let mut hidden = Hidden::Nothing;
    for piece in known.split_inclusive('\n') {
        let line = piece.trim_end_matches(['\n', '\r']);
        let (shown, next) = hidden.line(line);
        hidden = next;
        if let Some(shown) = shown {
            out.push_str(&shown);
            out.push_str(&piece[line.len()..]);
        }
    }
    out
}

/// What of the following lines is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hidden {
    /// They are looked at one by one.
    Nothing,
    /// A private key, up to its end.
    Key,
    /// A text below a key of this indentation.
    Block {
        /// The indentation of the key.
        indent: usize,
        /// The mask stands in its place already.
        is_told: bool,
    },
}

impl Hidden {
    /// Returns what of a line may be seen, and what is hidden after it.
    fn line(self, line: &str) -> (Option<Cow<'_, str>>, Self) {
        match self {
            Self::Key if line.contains("-----END ") => (None, Self::Nothing),
            Self::Key => (None, Self::Key),
            Self::Block { indent, is_told } if line.trim().is_empty() || indentation(line) > indent => {
                let is_first = !is_told && !line.trim().is_empty();
                let mask = || format!("{}{REDACTED}", &line[..indentation(line)]).into();
                (is_first.then(mask), Self::Block { indent, is_told: is_told || is_first })
            }
            Self::Block { .. } => Self::Nothing.line(line),
            Self::Nothing => {
                let (bare, is_open) = without_keys(line);
                let next = if is_open {
                    Self::Key
                } else if begins_block(&bare) {
                    Self::Block { indent: indentation(&bare), is_told: false }
                } else {
                    Self::Nothing
                };
                let shown = match bare {
                    Cow::Borrowed(bare) => redact_line(bare),
                    Cow::Owned(bare) => redact_line(&bare).into_owned().into(),
                };
                (Some(shown), next)
            }
        }
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Takes private keys out of a line; says whether the last one goes on in the next line.
fn without_keys(line: &str) -> (Cow<'_, str>, bool) {
    let mut shown = Cow::Borrowed(line);
    let mut from = 0;
    while let Some(start) = shown[from..].find(PEM_BEGIN).map(|at| from + at) {
        let Some(kind) = shown[start..].find(PEM_KIND).map(|at| start + at) else { break };
        // Between both words stands the kind of the key and nothing else.
        if kind - start > 40 {
            from = start + PEM_BEGIN.len();
            continue;
        }
        let body = kind + PEM_KIND.len();
        let Some(end) = shown[body..].find("-----END ").map(|at| body + at) else {
            return (Cow::Owned(format!("{}{REDACTED}", &shown[..start])), true);
        };
        let end = shown[end..].find(PEM_KIND).map_or(shown.len(), |at| end + at + PEM_KIND.len());
        shown = Cow::Owned(format!("{}{REDACTED}{}", &shown[..start], &shown[end..]));
        from = start + REDACTED.len();
    }
    (shown, false)
}

/// Says whether a line ends with a secret's name and the sign of a text in the lines below it.
fn begins_block(line: &str) -> bool {
    let Some((head, sign)) = line.trim_end().rsplit_once(':') else { return false };
    let is_sign = sign.trim().starts_with(['|', '>']) && sign.trim().len() <= 3;
    is_sign && name_before(line, head.len()).is_some_and(is_secret_name)
}

/// Takes secrets out of one line.
fn redact_line(line: &str) -> Cow<'_, str> {
    let steps: [fn(&str) -> Option<String>; 5] = [
        |line| masked(line, "://", user_information),
        |line| masked(line, "eyJ", web_token),
        |line| masked(line, "tender-join-", join_token),
        credentials,
        |line| masked(line, "--", option_value),
    ];
    let mut shown = Cow::Borrowed(line);
    for step in steps {
        if let Some(redacted) = step(&shown) {
            shown = Cow::Owned(redacted);
        }
    }
    match named_values(&shown) {
        Some(redacted) => Cow::Owned(redacted),
        None => shown,
    }
}

/// Masks what `find` returns for each place where `begin` stands; `None` when there is nothing to mask.
fn masked(line: &str, begin: &str, find: fn(&str, usize) -> Option<Range<usize>>) -> Option<String> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(at) = line[from..].find(begin).map(|at| from + at) {
        from = at + begin.len();
        if let Some(range) = find(line, at) {
            from = range.end.max(from);
            ranges.push(range);
        }
    }
    (!ranges.is_empty()).then(|| without(line, &ranges))
}

/// Puts the mask in place of these parts of a line.
fn without(line: &str, ranges: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(line.len());
    let mut kept = 0;
    for range in ranges {
        out.push_str(&line[kept..range.start]);
        out.push_str(REDACTED);
        kept = range.end;
    }
    out.push_str(&line[kept..]);
    out
}

/// Returns the password in `scheme://user:password@host`, or all before the `@` where that can only be a token.
fn user_information(line: &str, at: usize) -> Option<Range<usize>> {
    let start = at + "://".len();
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\');
    let length = line[start..].find(is_end).unwrap_or(line.len() - start);
    let url = &line[start..start + length];
    let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
    // A password with a `/` that nobody encoded: then what stands before it is no host and port.
    let is_cut = |text: &str| {
        text.rsplit_once(':').is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let end = match authority.rfind('@') {
        Some(end) => end,
        None if is_cut(authority) && !authority.starts_with('[') => url.rfind('@')?,
        None => return None,
    };
    let information = &url[..end];
    let hidden = match information.split_once(':') {
        Some((_, "")) => return None,
        Some((user, _)) => start + user.len() + 1..start + end,
        // Elsewhere a name without a password is a name, as in `ssh://git@host`.
        None if line[..at].ends_with("http") || line[..at].ends_with("https") => start..start + end,
        None => return None,
    };
    (&line[hidden.clone()] != REDACTED && !hidden.is_empty()).then_some(hidden)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

fn token_at(line: &str, start: usize) -> Range<usize> {
    let length = line[start..].bytes().take_while(|byte| is_token_byte(*byte)).count();
    start..start + length
}

/// Returns a JSON web token.
fn web_token(line: &str, at: usize) -> Option<Range<usize>> {
    let range = token_at(line, at);
    (line[range.clone()].matches('.').count() >= 2).then_some(range)
}

/// Returns a token with which a managed system is enrolled.
fn join_token(line: &str, at: usize) -> Option<Range<usize>> {
    let range = token_at(line, at);
    (range.len() > "tender-join-1-".len()).then_some(range)
}

/// Masks what follows `Bearer`, `Basic` and the like.
fn credentials(line: &str) -> Option<String> {
    const SCHEMES: [&str; 3] = ["bearer", "basic", "negotiate"];
    const TOKEN_BYTES_MIN: usize = 8;
    let lower = line.to_ascii_lowercase();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for scheme in SCHEMES {
        let mut from = 0;
        while let Some(at) = lower[from..].find(scheme).map(|at| from + at) {
            from = at + scheme.len();
            let spaces = line[from..].bytes().take_while(|byte| *byte == b' ' || *byte == b'\t').count();
            let range = token_at(line, from + spaces);
            let token = &line[range.clone()];
            let is_word = token.bytes().all(|byte| byte.is_ascii_lowercase()) && scheme != "bearer";
            if spaces > 0 && token.len() >= TOKEN_BYTES_MIN && !is_word {
                ranges.push(range);
            }
        }
    }
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|later, earlier| later.start < earlier.end);
    (!ranges.is_empty()).then(|| without(line, &ranges))
}

/// Returns the value of an option such as `--password VALUE`; `--password=VALUE` is a named value.
fn option_value(line: &str, at: usize) -> Option<Range<usize>> {
    /// What an option with such an end names is where a secret is.
    const PLACES: [&str; 4] = ["file", "path", "dir", "directory"];
    let start = at + 2;
    let length =
        line[start..].bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    let name = &line[start..start + length];
    let rest = line[start + length..].trim_start_matches(' ');
    let is_place = PLACES.iter().any(|end| name.ends_with(end));
    let is_apart = line[start + length..].starts_with(' ') && !rest.is_empty() && !rest.starts_with('-');
    if !is_apart || is_place || !is_secret_name(name) || rest.starts_with(REDACTED) {
        return None;
    }
    let begin = line.len() - rest.len();
    let value = quoted_or_word(rest, char::is_whitespace);
    Some(begin + value.start..begin + value.end)
}

/// Masks the values of names that secrets have.
fn named_values(line: &str) -> Option<String> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(sign) = line[from..].find([':', '=']).map(|at| from + at) {
        from = sign + 1;
        let Some(name) = name_before(line, sign).filter(|name| is_secret_name(name)) else { continue };
        if let Some(range) = value_of(line, sign, name) {
            from = range.end.max(from);
            ranges.push(range);
        }
    }
    (!ranges.is_empty()).then(|| without(line, &ranges))
}

/// Returns the name that ends before a sign, without quotes around it.
fn name_before(line: &str, sign: usize) -> Option<&str> {
    let before = line[..sign].trim_end_matches([' ', '\t', '+']).trim_end_matches(['"', '\'']);
    let before = before.strip_suffix('\\').unwrap_or(before);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.$%".contains(byte);
    let length = before.bytes().rev().take(NAME_BYTES_MAX).take_while(is_name).count();
    (length > 0).then(|| &before[before.len() - length..])
}

fn is_secret_name(name: &str) -> bool {
    /// Names of headers, and others that are secrets as a whole.
    const WHOLE: &[&str] = &["authorization", "proxyauthorization", "cookie", "setcookie", "pwd", "auth"];
    const PARTS: &[&str] = &["apikey", "accesskey", "accountkey", "privatekey", "encryptionkey", "passcode"];
    let last = name.rsplit('.').next().unwrap_or(name);
    // The shell's own variables are directories.
    if ["PWD", "OLDPWD"].contains(&last) {
        return false;
    }
    let plain: String =
        last.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let is_whole = WHOLE.contains(&plain.as_str()) && (plain != "auth" || last.starts_with('_'));
    looks_secret(last) || is_whole || PARTS.iter().any(|part| plain.contains(part))
}

/// Returns the part of a line that is the value behind a sign.
fn value_of(line: &str, sign: usize, name: &str) -> Option<Range<usize>> {
    let is_colon = line[sign..].starts_with(':');
    let after = line[sign + 1..].trim_start_matches(['=', '>']);
    let rest = after.trim_start_matches([' ', '\t']);
    let start = line.len() - rest.len();
    let end = line.trim_end().len().max(start);
    let rest = &line[start..end];
    let bare = rest.trim_start_matches(['"', '\'', '\\']);
    let is_open_block = rest.starts_with(['|', '>']) && rest.len() <= 3;
    let is_opening = matches!(rest, "{" | "[");
    if bare.is_empty() || is_open_block || is_opening || is_no_secret(bare) || rest.starts_with("//") {
        return None;
    }
    let is_header = is_colon && ["authorization", "cookie"].iter().any(|end| ends_with(name, end));
    let is_at_start = begins_line(line, sign, name);
    let found = if let Some(inner) = rest.strip_prefix("\\\"") {
        2..2 + inner.find("\\\"").unwrap_or(inner.len())
    } else if rest.starts_with(['"', '\'']) && (is_colon || !is_at_start) {
        quoted_or_word(rest, |_| false)
    } else if rest.starts_with(['[', '{']) {
        0..rest.rfind([']', '}']).map_or(rest.len(), |at| at + 1)
    } else if is_header || is_at_start {
        0..rest.trim_end_matches(',').len()
    } else if is_colon {
        0..rest.find([',', ';', '}', ']', ')', '"']).unwrap_or(rest.len())
    } else {
        let is_end = |c: char| c.is_whitespace() || ",;&}])\"'<>".contains(c);
        0..rest.find(is_end).unwrap_or(rest.len())
    };
    (!found.is_empty()).then(|| start + found.start..start + found.end)
}

fn ends_with(name: &str, end: &str) -> bool {
    name.len()
        .checked_sub(end.len())
        .and_then(|at| name.get(at..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// Says whether a value only refers to a secret, or is none.
fn is_no_secret(bare: &str) -> bool {
    let word = bare.trim_end_matches(['"', '\'', ',']);
    let is_variable = word.strip_prefix('$').is_some_and(|name| {
        let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    let is_word = ["true", "false", "null", "~", "|", ">"].contains(&word);
    is_variable
        || is_word
        || bare.starts_with(REDACTED)
        || REFERENCES.iter().any(|kind| bare.starts_with(kind) && bare.len() > kind.len())
}

/// Says whether nothing stands before a name but what begins a line in YAML, in a shell or in a remark.
fn begins_line(line: &str, sign: usize, name: &str) -> bool {
    let Some(at) = line[..sign].rfind(name) else { return false };
    let before = line[..at].trim_matches([' ', '\t', '-', '#', '"', '\'']);
    ["", "export", "set", "setenv", "declare -x"].contains(&before)
}

/// Returns what is between quotes, when the text begins with one, else the first word.
fn quoted_or_word(text: &str, is_end: impl Fn(char) -> bool) -> Range<usize> {
    let Some(quote) = text.chars().next().filter(|c| ['"', '\''].contains(c)) else {
        return 0..text.find(&is_end).unwrap_or(text.len());
    };
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == '"' => at += 1,
            // YAML writes a quote in quotes as two.
            b'\'' if quote == '\'' && bytes.get(at + 1) == Some(&b'\'') => at += 1,
            byte if byte == quote as u8 => return 1..at,
            _ => {}
        }
        at += 1;
    }
    1.min(text.len())..text.len()
}

#[cfg(test)]
mod tests;
