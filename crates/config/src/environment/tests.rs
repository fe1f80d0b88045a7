use proptest::prelude::*;

use super::*;

#[test]
fn quoted_text_comes_back_from_a_shell() {
    for text in ["", "a b", "it's", "$HOME `id` \"x\" \\ \n second", "''", "-n", "ä€"] {
        let script = format!("printf %s {}", quote(text));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }
}

#[test]
fn environment_written_for_a_shell_is_read_back_by_it() {
    let mut environment = Environment::default();
    environment.set("A", "1 '2' \"3\"\n$4", "test");
    environment.set("B", "plain", "test");
    let script = format!("{}printf '%s|%s' \"$A\" \"$B\"", environment.render(Format::Shell));
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1 '2' \"3\"\n$4|plain");
    assert_eq!(environment.render(Format::Json), "{\"A\":\"1 '2' \\\"3\\\"\\n$4\",\"B\":\"plain\"}");
    assert_eq!(environment.render(Format::Nul).matches('\0').count(), 2);
}

#[test]
fn secret_in_an_environment_is_shown_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let mut environment = Environment::default();
    let text = EnvText::Secret(SecretSource::File(file));
    environment
        .values
        .insert("P".to_owned(), EnvValue { text, source: "a.password".to_owned(), origin: None });
    let resolved = environment.resolve().unwrap();
    let shown = format!(
        "{environment:?}{resolved:?}{}{}{}",
        environment.render(Format::Shell),
        environment.render(Format::Nul),
        environment.render(Format::Json)
    );
    assert!(!shown.contains("hunter2") && shown.contains("(secret)"), "{shown}");
    assert_eq!(resolved.to_nul_separated(), b"P=hunter2\0");
}

#[test]
fn secret_that_cannot_be_had_names_variable_and_key() {
    let mut environment = Environment::default();
    let text = EnvText::Secret(SecretSource::File("/nonexistent".into()));
    environment
        .values
        .insert("P".to_owned(), EnvValue { text, source: "a.password".to_owned(), origin: None });
    let error = environment.resolve().unwrap_err();
    assert_eq!(error.to_string(), "set variable P from key `a.password`");
}

#[test]
fn keys_of_version_1_are_keys() {
    for variable in ["ROOT_DIR", "GATEWAY_PORT", "KEYSTORE_PASSWORD"] {
        assert!(version_1_path(variable).is_some());
    }
    version_1::check_table();
}

proptest! {
    #[test]
    fn quoting_is_undone_by_unquoting(text in "[^\0]{0,40}") {
        prop_assert_eq!(unquote(&quote(&text)), Some(text));
    }
}
