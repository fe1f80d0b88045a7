use proptest::prelude::*;

use super::*;

#[track_caller]
fn shows(line: &str, expected: &str) {
    assert_eq!(redact(line, &[]), expected, "{line}");
}

#[test]
fn known_secrets_and_values_of_secret_names_are_hidden() {
    let text = "url: redis://u:hunter22@h\n  password: abc def\nDB_PASSWORD='x y'\n\"apiToken\": \"t\",\nport: 1\n\
                password: file:/p\n";
    let expected = "url: redis://u:(secret)@h\n  password: (secret)\nDB_PASSWORD=(secret)\n\"apiToken\": \"(secret)\",\n\
                    port: 1\npassword: file:/p\n";
    assert_eq!(redact(text, &["hunter22".to_owned()]), expected);
}

#[test]
fn password_in_a_url_is_hidden_and_the_rest_stays() {
    shows("GET https://bob:s3cret@host:8443/a?b=c failed", "GET https://bob:(secret)@host:8443/a?b=c failed");
    shows("redis://:only@host/0", "redis://:(secret)@host/0");
    shows("jdbc:postgresql://u:p@ss@db/x", "jdbc:postgresql://u:(secret)@db/x");
    shows("amqp://u:pa/ss@db/x", "amqp://u:(secret)@db/x");
    shows("https://ghp_0123456789@github.com/x", "https://(secret)@github.com/x");
    for harmless in [
        "ssh://git@host/x",
        "https://host:7554/a@b",
        "http://[::1]:80/x@y",
        "mailto bob@host",
        "https://u:@host/",
        "https://host/",
    ] {
        shows(harmless, harmless);
    }
}

#[test]
fn tokens_are_hidden_wherever_they_stand() {
    shows(
        "10:00:00 curl -H 'Authorization: Bearer abc.def-123456' https://h/",
        "10:00:00 curl -H 'Authorization: (secret)",
    );
    shows("sent bearer abcdefghijk to h", "sent bearer (secret) to h");
    shows("used Basic dXNlcjpwYXNz ok", "used Basic (secret) ok");
    shows("basic authentication is on", "basic authentication is on");
    shows("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl!", "jwt (secret)!");
    shows("join with tender-join-1-AbCdEf now", "join with (secret) now");
    shows("Set-Cookie: apimlAuthenticationToken=x; Path=/", "Set-Cookie: (secret)");
    shows("{\"Cookie\":\"a=b; c=d\",\"n\":1}", "{\"Cookie\":\"(secret)\",\"n\":1}");
}

#[test]
fn named_value_in_the_middle_of_a_line_is_hidden() {
    for (line, expected) in [
        ("12:00:01 INFO password=abc user=bob", "12:00:01 INFO password=(secret) user=bob"),
        ("10:00 wrong password: hunter2", "10:00 wrong password: (secret)"),
        ("https://h/x?access_token=abc&y=1", "https://h/x?access_token=(secret)&y=1"),
        (
            "{\"a\":1,\"db\":{\"word\":\"x\",\"password\":\"a\\\"b\"},\"c\":2}",
            "{\"a\":1,\"db\":{\"word\":\"x\",\"password\":\"(secret)\"},\"c\":2}",
        ),
        ("msg=\"{\\\"token\\\":\\\"abc\\\"}\"", "msg=\"{\\\"token\\\":\\\"(secret)\\\"}\""),
        (
            "keystore: { type: P12, password: abc, alias: x }",
            "keystore: { type: P12, password: (secret), alias: x }",
        ),
        ("Server=h;Uid=u;Pwd=abc;Timeout=3", "Server=h;Uid=u;Pwd=(secret);Timeout=3"),
        ("passwords: [a, b]", "passwords: (secret)"),
        ("java -Dkeystore.password=abc -jar x", "java -Dkeystore.password=(secret) -jar x"),
        ("X-API-Key: 0123 4567", "X-API-Key: (secret)"),
        ("# db.password = a b", "# db.password = (secret)"),
        ("export DB_PASSWORD='it'\\''s'", "export DB_PASSWORD=(secret)"),
    ] {
        shows(line, expected);
    }
}

#[test]
fn value_of_an_option_is_hidden_and_a_file_name_is_not() {
    shows("run --password abc --port 1", "run --password (secret) --port 1");
    shows("run --api-token 'a b' x", "run --api-token '(secret)' x");
    shows("run --password=abc x", "run --password=(secret) x");
    shows("run --password-file /etc/p x", "run --password-file /etc/p x");
}

#[test]
fn what_is_no_secret_stays() {
    for harmless in [
        "port: 7554",
        "PWD=/srv/prod",
        "zowe.sso.token.name: x",
        "password: ${DB_PASSWORD}",
        "password: null",
        "password:",
        "\"password\": \"file:/kept/password\",",
        "MY_TOKEN=env:OTHER",
        "2026-11-29 10:00:00.123 <gateway:12> started",
        "secrets: {",
    ] {
        shows(harmless, harmless);
    }
}

#[test]
fn private_key_and_text_below_a_secret_name_are_hidden_to_their_end() {
    let key = "a\nkey: -----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nb\n";
    shows(key, "a\nkey: (secret)\nb\n");
    shows("-----BEGIN PRIVATE KEY-----\nMII\nMII", "(secret)\n");
    let one_line = "\"k\":\"-----BEGIN PRIVATE KEY-----\\nMII\\n-----END PRIVATE KEY-----\\n\",1";
    shows(one_line, "\"k\":\"(secret)\\n\",1");
    shows("-----BEGIN CERTIFICATE-----\nMII\n", "-----BEGIN CERTIFICATE-----\nMII\n");
    let block = "a:\n  password: |\n    one\n\n    two\n  port: 1\n";
    shows(block, "a:\n  password: |\n    (secret)\n  port: 1\n");
}

proptest! {
    #[test]
    fn text_of_any_kind_is_redacted_without_a_panic(
        text in "([a-z:=@/ ä\"'\\\\\n{}\\[\\],-]|password|://|token|Bearer |-----BEGIN PRIVATE KEY-----|eyJ|--){0,40}"
    ) {
        let once = redact(&text, &[]);
        prop_assert!(once.matches('\n').count() <= text.matches('\n').count());
    }

    #[test]
    fn secret_behind_its_name_never_stays(
        before in "[a-z0-9 :\\[\\]]{0,12}",
        name in "(db\\.|MY_|)(password|apiToken|client-secret)",
        sign in "(:|: |=| = )",
        secret in "[A-Z0-9]{9}",
    ) {
        let shown = redact(&format!("{before} {name}{sign}{secret}"), &[]);
        prop_assert!(!shown.contains(&secret), "{shown}");
    }
}
