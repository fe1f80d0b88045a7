//! Who may announce which service: certificates and services tied together.
//!
//! ```yaml
//! registrations:
//!   - service: "payroll*"            # `*` stands for any text, case does not matter
//!     subject: "*CN=payroll, *"      # of the certificate; what is given must all match
//!     alternativeName: "DNS:*.payroll.example.com"
//!   - service: "*"
//!     fingerprint: "AB:CD:…"
//! others: allow                      # services that no rule names: allow, or refuse
//! ```
//!
//! A service that rules name may be announced, changed and taken away only by whoever matches one of these.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tender_config::node::{Mapping, Node, Value};
use tender_config::origin::{Layer, Origin};
use tender_config::{Problem, Report, yaml};
use tender_http::PeerCertificate;

/// Rules for announcements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
    are_others_refused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    origin: Origin,
    service: Pattern,
    subject: Option<Pattern>,
    alternative_name: Option<Pattern>,
    fingerprint: Option<String>,
}

/// A text in which `*` stands for any text; only letters of ASCII are the same in both cases.
///
/// Other letters have cases that are ASCII (`ı`, `ſ`, the Kelvin sign): with them one name could pass for another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(String);

/// Why somebody may not announce a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// The rules that name the service; none when services without rules are refused.
    pub rules: Vec<Origin>,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return f.write_str("no rule names the service");
        }
        let places: Vec<_> = self.rules.iter().map(Origin::to_string).collect();
        write!(f, "the rules at {} are for others", places.join(", "))
    }
}

impl Rules {
    /// Reads a file of rules.
    ///
    /// Errors: everything that is wrong with it, each with its place; then none of its rules may be used.
    pub fn read(path: &Path) -> Result<Self, Report> {
        let text = yaml::read_text(path).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            Report::of(vec![Problem::error(format!("{error}{}", cause.unwrap_or_default()))])
        })?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file of rules; `path` is what places in it are called.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Report> {
        let parsed = yaml::parse(text, &Arc::from(path), Layer::File);
        let mut problems = parsed.problems;
        let rules = parsed.root.map(|root| rules_of(&root, &mut problems)).unwrap_or_default();
        if problems.is_empty() { Ok(rules) } else { Err(Report::of(problems)) }
    }

    /// Says whether the owner of a certificate may announce a service, or change what is announced of it.
    pub fn check(&self, service: &str, certificate: Option<&PeerCertificate>) -> Result<(), Forbidden> {
        if self.rules.is_empty() && !self.are_others_refused {
            return Ok(());
        }
        let naming: Vec<&Rule> = self.rules.iter().filter(|rule| rule.service.matches(service)).collect();
        if naming.is_empty() && !self.are_others_refused {
            return Ok(());
        }
        let info = certificate.and_then(PeerCertificate::info);
        let is_for = |rule: &&&Rule| {
            info.is_some_and(|info| rule.matches(&info.subject, &info.alternative_names, &info.fingerprint))
        };
        match naming.iter().find(is_for) {
            Some(_) => Ok(()),
            None => Err(Forbidden { rules: naming.iter().map(|rule| rule.origin.clone()).collect() }),
        }
    }
}

impl Rule {
    fn matches(&self, subject: &str, names: &[String], fingerprint: &str) -> bool {
        self.subject.as_ref().is_none_or(|pattern| pattern.matches(subject))
            && self
                .alternative_name
                .as_ref()
                .is_none_or(|pattern| names.iter().any(|name| pattern.matches(name)))
            && self.fingerprint.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(fingerprint))
    }
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.to_ascii_lowercase(), text.to_ascii_lowercase());
        let mut parts = pattern.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

fn rules_of(root: &Node, problems: &mut Vec<Problem>) -> Rules {
    let mut rules = Rules::default();
    let Some(mapping) = mapping(root, &["registrations", "others"], problems) else { return rules };
    match mapping.get("registrations").map(|node| (&node.value, &node.origin)) {
        None | Some((Value::Null, _)) => {}
        Some((Value::Sequence(nodes), _)) => {
            rules.rules = nodes.iter().filter_map(|node| rule_of(node, problems)).collect();
        }
        Some((_, origin)) => problems.push(Problem::error("a list is wanted here").at(origin)),
    }
    if let Some(node) = mapping.get("others") {
        match node.scalar().as_deref() {
            Some("allow") => {}
            Some("refuse") => rules.are_others_refused = true,
            _ => problems.push(Problem::error("others is `allow` or `refuse`").at(&node.origin)),
        }
    }
    rules
}

fn rule_of(node: &Node, problems: &mut Vec<Problem>) -> Option<Rule> {
    let fields = mapping(node, &["service", "subject", "alternativeName", "fingerprint"], problems)?;
    let mut text = |key: &str| {
        let node = fields.get(key)?;
        let text = node.scalar().filter(|text| !text.is_empty());
        if text.is_none() {
            problems.push(Problem::error("a text is wanted here").at(&node.origin).on(key));
        }
        text
    };
    let (service, subject, name, fingerprint) =
        (text("service"), text("subject"), text("alternativeName"), text("fingerprint"));
    if service.is_none() || (subject.is_none() && name.is_none() && fingerprint.is_none()) {
        // What is not given would let everybody in.
        let message =
            "a rule has `service` and at least one of `subject`, `alternativeName` and `fingerprint`";
        problems.push(Problem::error(message).at(&node.origin));
        return None;
    }
    let service = service?;
    if !service.is_ascii() {
        let message = format!("`{service}` names no service: names of services are ASCII");
        problems.push(Problem::error(message).at(&node.origin).on("service"));
        return None;
    }
    Some(Rule {
        origin: node.origin.clone(),
        service: Pattern(service),
        subject: subject.map(Pattern),
        alternative_name: name.map(Pattern),
        fingerprint,
    })
}

fn mapping<'n>(node: &'n Node, known: &[&str], problems: &mut Vec<Problem>) -> Option<&'n Mapping> {
    let Some(mapping) = node.mapping() else {
        problems.push(Problem::error("a mapping is wanted here").at(&node.origin));
        return None;
    };
    for entry in mapping.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        let message = format!("`{}` is not known here; there are {}", entry.key, known.join(", "));
        problems.push(Problem::error(message).at(&entry.key_origin));
    }
    Some(mapping)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "\
registrations:
  - service: payroll*
    subject: '*CN=payroll'
  - service: payroll-web
    alternativeName: DNS:*.web.example.com
    subject: '*O=Tender*'
others: refuse
";

    #[test]
    fn pattern_matches_the_whole_text() {
        for (pattern, text, is_match) in [
            ("abc", "ABC", true),
            ("abc", "abcd", false),
            ("a*c", "ac", true),
            ("a*c", "abcbc", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("**x", "x", true),
            ("ab*ba", "aba", false),
            ("mine", "m\u{131}ne", false),
            ("*s", "\u{17f}", false),
            ("k", "\u{212a}", false),
        ] {
            assert_eq!(Pattern(pattern.to_owned()).matches(text), is_match, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn pattern_with_parts_cut_out_matches_what_it_was_made_of(parts in proptest::collection::vec("[a-c]{0,3}", 1..5)) {
            prop_assert!(Pattern(parts.join("*")).matches(&parts.join("xy")));
        }
    }

    #[test]
    fn rules_are_read_and_what_is_wrong_has_its_place() {
        let rules = Rules::parse(TEXT, Path::new("rules.yml")).unwrap();
        let matching = |service: &str, subject: &str, names: &[String]| {
            let naming = rules.rules.iter().filter(|rule| rule.service.matches(service));
            naming.filter(|rule| rule.matches(subject, names, "")).count()
        };
        assert_eq!(matching("PAYROLL", "O=Tender, CN=payroll", &[]), 1);
        assert_eq!(matching("payroll-web", "O=Tender, CN=web", &["DNS:a.web.example.com".to_owned()]), 1);
        assert_eq!(matching("payroll-web", "O=Other, CN=web", &["DNS:a.web.example.com".to_owned()]), 0);
        let forbidden = rules.check("payroll", None).unwrap_err();
        assert_eq!(forbidden.to_string(), "the rules at rules.yml:2:5 are for others");
        assert_eq!(rules.check("else", None).unwrap_err().to_string(), "no rule names the service");
        assert_eq!(Rules::default().check("else", None), Ok(()));

        let wrong = "registrations:\n  - service: a\n  - servise: b\n    subject: c\nothers: maybe\n";
        let foreign = "registrations:\n  - service: m\u{131}ne\n    subject: c\n";
        let report = Rules::parse(foreign, Path::new("r.yml")).unwrap_err().to_string();
        assert!(report.contains("r.yml:2:5") && report.contains("are ASCII"), "{report}");
        let report = Rules::parse(wrong, Path::new("r.yml")).unwrap_err().to_string();
        for place in
            ["r.yml:2:5: error: a rule has", "r.yml:3:5: error: `servise`", "r.yml:5:9: error: others"]
        {
            assert!(report.contains(place), "{place}: {report}");
        }
    }
}
