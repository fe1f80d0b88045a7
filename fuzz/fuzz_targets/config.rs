//! A configuration of any text is read or refused with its place; what is read can be changed in one key and in nothing
//! else, and templates end.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tender_config::edit::{self, Scalar};
use tender_config::evaluate::TemplateLimits;
use tender_config::origin::Layer;
use tender_config::{ConfigPath, Configuration, Environment, Load, Severity, manifest, template, yaml};

/// A key that no text has by chance.
const KEY: &str = "fuzzed.key";
/// Templates that run longer are cut off, which is an answer too.
const TEMPLATES_MS: u64 = 100;

fuzz_target!(|text: &str| {
    let file: Arc<Path> = Arc::from(Path::new("zowe.yaml"));
    let parsed = yaml::parse(text, &file, Layer::File);
    let has_error = parsed.problems.iter().any(|problem| problem.severity == Severity::Error);
    assert!(parsed.root.is_some() || has_error, "nothing was read and nothing is wrong");
    if let Some(root) = parsed.root.filter(|_| !has_error) {
        if let Ok(changed) = edit::set_text(text, &file, KEY, &Scalar::Integer(7)) {
            let after = yaml::parse(&changed, &file, Layer::File).root.expect("a changed text is read");
            assert_eq!(after.below(&["fuzzed", "key"]).and_then(|node| node.integer()), Some(7));
            if root.get("fuzzed").is_none() && root.mapping().is_some_and(|mapping| !mapping.is_empty()) {
                let mut json = after.to_json();
                json.as_object_mut().expect("a mapping").remove("fuzzed");
                assert_eq!(json, root.to_json());
            }
        }
    }
    let _read = manifest::parse(text, Path::new("manifest.yaml"));
    let mut environment = Environment::default();
    environment.set("HOST", "h", "the target");
    let _expanded = template::expand(text, &environment);
    if text.contains("${{") {
        evaluated(text);
    }
});

/// Loads a text with its templates.
fn evaluated(text: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("zowe.yaml");
    fs::write(&path, text).expect("a temporary file");
    let limits = TemplateLimits { time_ms: TEMPLATES_MS, ..TemplateLimits::default() };
    let load = Load { limits, ..Load::new(ConfigPath::file(path)) };
    if let Ok((configuration, _)) = Configuration::load(&load) {
        // Templates were replaced, by their values or by nothing.
        let _shown = configuration.root().to_json();
    }
}
