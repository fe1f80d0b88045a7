//! Instances and registries in XML, for clients that do not ask for JSON.
//!
//! Element names are those of the JSON documents with the escapes of the Java server: `_` is `__`, `$` is `_-`, and a
//! character that no element name may have is `_.` with four hexadecimal digits.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::instance::{Draft, Instance, Port, ReadError};
use super::registry::View;

/// The class that clients expect where metadata is empty.
pub(crate) const EMPTY_MAP: &str = "java.util.Collections$EmptyMap";

/// No document of the protocol is deeper.
const DEPTH_MAX: usize = 16;

/// An element with what is in it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    fn child_text(&self, name: &str) -> Option<String> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.clone())
    }
}

/// Reads `<instance>…</instance>`; `now_ms` is the time for what has none.
///
/// Unknown elements are ignored; a document type with entities of its own is refused. Errors: [`ReadError`].
pub fn read_instance(body: &[u8], now_ms: u64) -> Result<Instance, ReadError> {
    let root = read(body)?;
    if root.name != "instance" {
        return Err(ReadError::NoInstance);
    }
    let mut draft = Draft::default();
    for child in root.children {
        match child.name.as_str() {
            "port" | "securePort" => {
                let flag = child.attribute("enabled");
                draft.ports.insert(child.name, (Some(child.text), flag));
            }
            "leaseInfo" => {
                draft.lease = child.children.into_iter().map(|field| (field.name, field.text)).collect();
            }
            "dataCenterInfo" => {
                draft.data_center = Some((child.attribute("class"), child.child_text("name")));
            }
            "metadata" => {
                draft.metadata = child.children.into_iter().map(|entry| (entry.name, entry.text)).collect();
            }
            _ if child.children.is_empty() => {
                draft.texts.insert(child.name, child.text);
            }
            _ => {}
        }
    }
    draft.into_instance(now_ms)
}

fn wrong(reason: impl ToString) -> ReadError {
    ReadError::Form { form: "XML", reason: reason.to_string() }
}

/// Reads a document into its root element.
fn read(body: &[u8]) -> Result<Element, ReadError> {
    let mut reader = Reader::from_reader(body);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let at = |error: quick_xml::Error, reader: &Reader<&[u8]>| {
            wrong(format!("{error} at byte {}", reader.error_position()))
        };
        let closed = match reader.read_event().map_err(|error| at(error, &reader))? {
            Event::Start(start) => {
                if open.len() == DEPTH_MAX {
                    return Err(wrong(format!("more than {DEPTH_MAX} elements lie in each other")));
                }
                open.push(element(&start)?);
                None
            }
            Event::Empty(start) => Some(element(&start)?),
            Event::End(_) => open.pop(),
            Event::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text.decode().map_err(wrong)?);
                }
                None
            }
            Event::CData(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text.decode().map_err(wrong)?);
                }
                None
            }
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(wrong)?.into_owned();
                let text = match reference.resolve_char_ref().map_err(wrong)? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&name)
                        .ok_or_else(|| wrong(format!("the entity `{name}` is not known")))?
                        .to_owned(),
                };
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
                None
            }
            Event::DocType(_) => return Err(wrong("a document type is not taken")),
            Event::Eof => return Err(wrong("it ends before its root element does")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => None,
        };
        if let Some(element) = closed {
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return Ok(element),
            }
        }
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, ReadError> {
    let name = unescaped(std::str::from_utf8(start.name().as_ref()).map_err(wrong)?);
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(wrong)?;
        let key = std::str::from_utf8(attribute.key.as_ref()).map_err(wrong)?.to_owned();
        attributes
            .push((key, attribute.normalized_value(XmlVersion::Implicit1_0).map_err(wrong)?.into_owned()));
    }
    Ok(Element { name, attributes, ..Element::default() })
}

/// Writes a whole registry or its changes.
#[must_use]
pub fn applications(view: &View) -> Vec<u8> {
    let mut out = String::from("<applications>");
    text(&mut out, "versions__delta", &view.version.to_string());
    text(&mut out, "apps__hashcode", &view.hash);
    for (name, instances) in &view.applications {
        write_application(&mut out, name, instances);
    }
    out.push_str("</applications>");
    out.into_bytes()
}

/// Writes the instances of one service.
#[must_use]
pub fn application(name: &str, instances: &[Arc<Instance>]) -> Vec<u8> {
    let mut out = String::new();
    write_application(&mut out, name, instances);
    out.into_bytes()
}

/// Writes one instance.
#[must_use]
pub fn instance(instance: &Instance) -> Vec<u8> {
    let mut out = String::new();
    write_instance(&mut out, instance);
    out.into_bytes()
}

fn write_application(out: &mut String, name: &str, instances: &[Arc<Instance>]) {
    out.push_str("<application>");
    text(out, "name", name);
    for instance in instances {
        write_instance(out, instance);
    }
    out.push_str("</application>");
}

fn write_instance(out: &mut String, instance: &Instance) {
    out.push_str("<instance>");
    text(out, "instanceId", &instance.id);
    text(out, "hostName", &instance.host);
    text(out, "app", &instance.app);
    text(out, "ipAddr", &instance.address);
    text(out, "status", instance.status.name());
    text(out, "overriddenstatus", instance.overridden.name());
    port(out, "port", instance.port);
    port(out, "securePort", instance.secure_port);
    text(out, "countryId", &instance.country.to_string());
    add(out, format_args!("<dataCenterInfo class=\"{}\">", escape(&*legal(&instance.data_center.class))));
    text(out, "name", &instance.data_center.name);
    out.push_str("</dataCenterInfo><leaseInfo>");
    let lease = &instance.lease;
    for (name, number) in [
        ("renewalIntervalInSecs", lease.renewal_interval_s),
        ("durationInSecs", lease.duration_s),
        ("registrationTimestamp", lease.registered_ms),
        ("lastRenewalTimestamp", lease.renewed_ms),
        ("evictionTimestamp", lease.evicted_ms),
        ("serviceUpTimestamp", lease.up_ms),
    ] {
        text(out, name, &number.to_string());
    }
    out.push_str("</leaseInfo>");
    if instance.metadata.is_empty() {
        add(out, format_args!("<metadata class=\"{EMPTY_MAP}\"/>"));
    } else {
        out.push_str("<metadata>");
        for (key, value) in &instance.metadata {
            text(out, &escaped(key), value);
        }
        out.push_str("</metadata>");
    }
    for (name, value) in instance.texts() {
        text(out, name, value);
    }
    text(out, "isCoordinatingDiscoveryServer", &instance.is_coordinating.to_string());
    text(out, "lastUpdatedTimestamp", &instance.updated_ms.to_string());
    text(out, "lastDirtyTimestamp", &instance.dirty_ms.to_string());
    text(out, "actionType", instance.action.name());
    out.push_str("</instance>");
}

fn port(out: &mut String, name: &str, port: Port) {
    let Port { number, is_enabled } = port;
    add(out, format_args!("<{name} enabled=\"{is_enabled}\">{number}</{name}>"));
}

fn text(out: &mut String, name: &str, value: &str) {
    add(out, format_args!("<{name}>{}</{name}>", escape(&*legal(value))));
}

/// Replaces what no XML document may have: a control character of one instance would make the whole unreadable.
fn legal(text: &str) -> Cow<'_, str> {
    let is_illegal = |character: char| matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(is_illegal) {
        Cow::Owned(text.replace(is_illegal, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}

/// Makes an element name of a key.
fn escaped(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for (at, character) in key.chars().enumerate() {
        match character {
            '_' => name.push_str("__"),
            '$' => name.push_str("_-"),
            'a'..='z' | 'A'..='Z' => name.push(character),
            '0'..='9' | '.' | '-' if at > 0 => name.push(character),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    write!(name, "_.{unit:04x}").expect("writing to a string cannot fail");
                }
            }
        }
    }
    name
}

/// Undoes [`escaped`]; an escape nobody makes is left as it is.
fn unescaped(name: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(character) = rest.chars().next() {
        let (unit, length) = match (character, rest.as_bytes().get(1)) {
            ('_', Some(b'_')) => (Some(u16::from(b'_')), 2),
            ('_', Some(b'-')) => (Some(u16::from(b'$')), 2),
            ('_', Some(b'.')) => (rest.get(2..6).and_then(|digits| u16::from_str_radix(digits, 16).ok()), 6),
            _ => (None, 0),
        };
        if let Some(unit) = unit {
            units.push(unit);
            rest = &rest[length..];
        } else {
            let mut own = [0; 2];
            units.extend_from_slice(character.encode_utf16(&mut own));
            rest = &rest[character.len_utf8()..];
        }
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn key_becomes_the_element_name_that_java_clients_read() {
        assert_eq!(escaped("apiml.routes.api_v1.gatewayUrl"), "apiml.routes.api__v1.gatewayUrl");
        assert_eq!(escaped("a$b"), "a_-b");
        assert_eq!(escaped("1 /"), "_.0031_.0020_.002f");
        assert_eq!(unescaped("_x_"), "_x_");
    }

    #[test]
    fn control_character_of_one_instance_leaves_the_document_readable() {
        let mut out = String::new();
        text(&mut out, "a", "x\u{1}<\n");
        assert_eq!(out, "<a>x\u{fffd}&lt;\n</a>");
    }

    #[test]
    fn entity_of_its_own_is_refused_and_known_ones_are_read() {
        let bomb = b"<!DOCTYPE x [<!ENTITY a \"b\">]><instance>&a;</instance>";
        let error = read_instance(bomb, 0).unwrap_err();
        assert!(error.to_string().contains("document type"), "{error}");
        assert_eq!(read(b"<a>1 &lt; &#50;<![CDATA[ & 3]]></a>").unwrap().text, "1 < 2 & 3");
        let deep = "<a>".repeat(99);
        assert!(read(deep.as_bytes()).unwrap_err().to_string().contains("lie in each other"));
    }

    proptest! {
        #[test]
        fn key_is_read_back_whatever_it_is(key in "\\PC*") {
            prop_assert_eq!(unescaped(&escaped(&key)), key);
        }

        #[test]
        fn bytes_of_any_kind_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read_instance(&bytes, 1).ok();
        }
    }
}
