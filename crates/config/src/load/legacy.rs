//! Keys of version 1 that have another name today.

use crate::key_path::KeyPath;
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::problem::Problem;

/// Gives the keys of version 1 their present names, and says so; returns whether there were any.
pub(super) fn modernise(root: &mut Node, problems: &mut Vec<Problem>) -> bool {
    let mut rename = Rename { root, problems, is_version_1: false };
    rename.job_names();
    rename.certificates();
    rename.verification();
    rename.is_version_1
}

struct Rename<'a> {
    root: &'a mut Node,
    problems: &'a mut Vec<Problem>,
    is_version_1: bool,
}

impl Rename<'_> {
    /// Takes a key of `zowe` out, when it is there.
    fn take(&mut self, key: &str) -> Option<(Origin, Node)> {
        let zowe = self.root.mapping_mut()?.get_mut("zowe")?.mapping_mut()?;
        let entry = zowe.remove(key)?;
        self.is_version_1 = true;
        Some((entry.key_origin, entry.node))
    }

    fn note(&mut self, origin: &Origin, old: &str, new: &str) {
        let message = format!("the key of version 1 is understood; it is `{new}` today");
        self.problems.push(Problem::notice(message).at(origin).on(old));
    }

    /// Sets a key that is not there yet.
    fn offer(&mut self, keys: &[&str], node: Node) {
        if self.root.below(keys).is_none() {
            self.root.set(keys, node);
        }
    }

    fn job_names(&mut self) {
        let prefix = self.take("jobPrefix");
        let identifier = self.take("identifier");
        let Some((origin, first)) = prefix.as_ref().or(identifier.as_ref()).cloned() else { return };
        self.note(&origin, "zowe.jobPrefix, zowe.identifier", "zowe.job and zowe.rbacProfileIdentifier");
        let text = |entry: &Option<(Origin, Node)>, default: &str| {
            entry.as_ref().and_then(|(_, node)| node.scalar()).unwrap_or_else(|| default.to_owned())
        };
        let (prefix, identifier_text) = (text(&prefix, "ZWE"), text(&identifier, "1"));
        let job = format!("{prefix}{identifier_text}");
        let node = |value: String| Node::new(Value::Text(value), first.origin.clone());
        self.offer(&["zowe", "job", "name"], node(format!("{job}SV")));
        self.offer(&["zowe", "job", "prefix"], node(job));
        self.offer(&["zowe", "rbacProfileIdentifier"], node(identifier_text));
    }

    /// `internalCertificate` over `externalCertificate` is what every component but the gateway's front used.
    fn certificates(&mut self) {
        for key in ["internalCertificate", "externalCertificate"] {
            let Some((origin, node)) = self.take(key) else { continue };
            self.note(&origin, &format!("zowe.{key}"), "zowe.certificate");
            let mut certificate = node;
            present_certificate(&mut certificate);
            let merged = match self.root.below(&["zowe", "certificate"]) {
                Some(above) => {
                    crate::merge::overlay(certificate, above.clone(), crate::merge::KeyOrder::Lower)
                }
                None => certificate,
            };
            self.root.set(&["zowe", "certificate"], merged);
        }
        if let Some(certificate) = self.root.at_mut(&KeyPath::of(&["zowe", "certificate"])) {
            present_certificate(certificate);
        }
        let Some(components) = self.root.mapping_mut().and_then(|root| root.get_mut("components")) else {
            return;
        };
        for entry in components.mapping_mut().into_iter().flat_map(|components| components.entries_mut()) {
            for key in ["certificate", "internalCertificate"] {
                if let Some(certificate) =
                    entry.node.mapping_mut().and_then(|component| component.get_mut(key))
                {
                    present_certificate(certificate);
                }
            }
        }
    }

    /// Two switches of the gateway became one word for all.
    fn verification(&mut self) {
        let base = ["components", "gateway", "apiml", "security", "ssl"];
        let Some(ssl) = self.root.below(&base) else { return };
        let switch = |key: &str| ssl.get(key).and_then(Node::scalar).map(|text| text == "true");
        let (strict, lenient) =
            (switch("verifySslCertificatesOfServices"), switch("nonStrictVerifySslCertificatesOfServices"));
        if strict.is_none() && lenient.is_none() {
            return;
        }
        let word = match (strict.unwrap_or(true), lenient.unwrap_or(true)) {
            (true, _) => "STRICT",
            (false, true) => "NONSTRICT",
            (false, false) => "DISABLED",
        };
        let origin = ssl.origin.clone();
        self.is_version_1 = true;
        self.note(&origin, &KeyPath::of(&base).to_string(), "zowe.verifyCertificates");
        self.offer(&["zowe", "verifyCertificates"], Node::new(Value::text(word), origin));
    }
}

/// Renames the parts of a certificate, and gives a trust store its type.
fn present_certificate(certificate: &mut Node) {
    let Some(mapping) = certificate.mapping_mut() else { return };
    if let Some(entry) = mapping.remove("trustStore") {
        mapping.insert("truststore", entry.key_origin, entry.node);
    }
    let keystore_type = mapping.get("keystore").and_then(|store| store.get("type")).cloned();
    if let (Some(store), Some(kind)) = (mapping.get_mut("truststore"), keystore_type)
        && store.get("type").is_none()
    {
        store.set(&["type"], kind);
    }
    if let Some(pem) = mapping.get_mut("pem").and_then(Node::mapping_mut)
        && let Some(entry) = pem.remove("certificateAuthority")
        && pem.get("certificateAuthorities").is_none()
    {
        pem.insert("certificateAuthorities", entry.key_origin, entry.node);
    }
}
