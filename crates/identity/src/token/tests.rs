use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::hmac;
use proptest::prelude::*;

use super::*;
use crate::journal::Ledger as _;
use crate::keys::KeyState;

fn at(unix_s: u64) -> Moment {
    // Both clocks run alike unless a test sets one.
    Moment { unix_s, steady_ms: unix_s * 1000 }
}

fn service(dir: &Path) -> TokenService {
    service_at(dir, at(1000))
}

fn service_at(dir: &Path, moment: Moment) -> TokenService {
    TokenService::open(dir, "ZWESIS_STD".parse().unwrap(), TokenOptions::default(), moment).unwrap()
}

fn request(user: &str) -> TokenRequest {
    TokenRequest { user: user.parse().unwrap(), application: None, lifetime_s: None }
}

fn fresh() -> (tempfile::TempDir, TokenService) {
    let dir = tempfile::tempdir().unwrap();
    let service = service(&dir.path().join("keys"));
    (dir, service)
}

/// Puts a token together from any header and claims, signed by the service's own key.
fn forged(service: &TokenService, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
    let signature = service.keys.sign(signed.as_bytes());
    format!("{signed}.{}", base64url::encode(&signature))
}

fn header_text(service: &TokenService) -> String {
    String::from_utf8(base64url::decode(&service.headers[0]).unwrap()).unwrap()
}

#[test]
fn token_is_good_from_its_issue_until_it_runs_out() {
    let (_dir, mut service) = fresh();
    let token = service.issue(at(1000), &request("BOB")).unwrap();
    assert_eq!((token.claims.iat, token.claims.nbf, token.claims.exp), (1000, 1000, 1900));
    let found = service.validate(at(1899), &token.text, None).unwrap();
    assert_eq!(found, token.claims);
    assert!(matches!(service.validate(at(1900), &token.text, None), Err(TokenRefusal::Expired { ago_s: 0 })));
    let other = service.issue(at(1900), &request("BOB")).unwrap();
    assert_ne!(other.claims.jti, token.claims.jti);
}

#[test]
fn life_of_a_token_is_bounded() {
    let (_dir, mut service) = fresh();
    for wanted_s in [0, 3601, u64::MAX] {
        let request = TokenRequest { lifetime_s: Some(wanted_s), ..request("BOB") };
        assert!(matches!(service.issue(at(1000), &request), Err(TokenError::Lifetime { max_s: 3600, .. })));
    }
    let long = TokenRequest { lifetime_s: Some(3600), ..request("BOB") };
    let token = service.issue(at(1000), &long).unwrap();
    // The bound also holds for tokens from before it was set.
    service.options.lifetime_max_s = 600;
    assert!(matches!(service.validate(at(1000), &token.text, None), Err(TokenRefusal::Lifetime { .. })));
    let endless =
        TokenOptions { lifetime_max_s: u64::MAX, skew_s: u64::MAX, ..TokenOptions::default() }.bounded();
    assert_eq!((endless.lifetime_max_s, endless.skew_s), (86_400, 300));
}

#[test]
fn token_for_an_application_is_good_only_there() {
    let (_dir, mut service) = fresh();
    let (appl, other): (ApplicationName, ApplicationName) = ("TSO".parse().unwrap(), "CICS".parse().unwrap());
    let bound = TokenRequest { application: Some(appl.clone()), ..request("BOB") };
    let bound = service.issue(at(1000), &bound).unwrap().text;
    let free = service.issue(at(1000), &request("BOB")).unwrap().text;
    assert!(service.validate(at(1000), &bound, Some(&appl)).is_ok());
    for wanted in [None, Some(&other)] {
        let refusal = service.validate(at(1000), &bound, wanted).unwrap_err();
        assert!(matches!(refusal, TokenRefusal::Audience { .. }), "{refusal}");
        assert!(service.validate(at(1000), &free, wanted).is_ok());
    }
}

#[test]
fn algorithm_is_never_the_token_s_choice() {
    let (_dir, mut service) = fresh();
    let good = service.issue(at(1000), &request("BOB")).unwrap();
    let claims = serde_json::to_string(&good.claims).unwrap();
    let kid = service.keys().next().unwrap().kid.to_string();
    for alg in ["none", "None", "NONE", "HS256", "RS256", "ES256", "PS256", "Ed25519", "eddsa", "EdDSA\0", ""]
    {
        let header = serde_json::json!({"alg": alg, "typ": "JWT", "kid": kid}).to_string();
        let refusal = service.validate(at(1000), &forged(&service, &header, &claims), None).unwrap_err();
        assert!(matches!(refusal, TokenRefusal::Algorithm { .. }), "{alg}: {refusal}");
    }
    // The public key as the secret of an HMAC: the classic confusion.
    let jwks: serde_json::Value = serde_json::from_str(&service.jwks(at(1000)).unwrap()).unwrap();
    let public = base64url::decode(jwks["keys"][0]["x"].as_str().unwrap()).unwrap();
    let mut parts = good.text.rsplitn(2, '.');
    let (_, signed) = (parts.next(), parts.next().unwrap());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, &public), signed.as_bytes());
    let text = format!("{signed}.{}", base64url::encode(tag.as_ref()));
    assert!(matches!(service.validate(at(1000), &text, None), Err(TokenRefusal::Signature)));
    // No signature at all.
    for text in [format!("{signed}."), signed.to_owned(), format!("{signed}.AAAA")] {
        assert!(
            matches!(service.validate(at(1000), &text, None), Err(TokenRefusal::Malformed { .. })),
            "{text}"
        );
    }
}

#[test]
fn header_that_says_more_or_says_it_otherwise_is_refused() {
    let (_dir, mut service) = fresh();
    let good = service.issue(at(1000), &request("BOB")).unwrap();
    let claims = serde_json::to_string(&good.claims).unwrap();
    let kid = service.keys().next().unwrap().kid.to_string();
    for header in [
        format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA", "typ":"JWT","kid":"{kid}"}}"#),
        format!(
            r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}","jwk":{{"kty":"OKP","crv":"Ed25519","x":"AA"}}}}"#
        ),
        format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}","crit":["b64"],"b64":false}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}","jku":"https://example.com"}}"#),
        format!(r#"{{"alg":"EdDSA","alg":"none","typ":"JWT","kid":"{kid}"}}"#),
        format!("{{\"\\u0061lg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"{kid}\"}}"),
        r#"{"alg":"EdDSA","typ":"JWT"}"#.to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        String::new(),
    ] {
        let refusal = service.validate(at(1000), &forged(&service, &header, &claims), None).unwrap_err();
        assert!(matches!(refusal, TokenRefusal::Header { .. }), "{header}: {refusal}");
    }
    let header = r#"{"alg":"EdDSA","typ":"JWT","kid":"another"}"#;
    let refusal = service.validate(at(1000), &forged(&service, header, &claims), None).unwrap_err();
    assert!(matches!(&refusal, TokenRefusal::UnknownKey { kid } if kid == "another"), "{refusal}");
    // What is said of a hostile header stays printable and short.
    let alg = format!("\u{1b}[2J{}", "\u{202e}".repeat(200));
    let header = serde_json::json!({"alg": alg, "kid": kid}).to_string();
    let message =
        service.validate(at(1000), &forged(&service, &header, &claims), None).unwrap_err().to_string();
    assert!(message.len() < 200 && message.is_ascii() && !message.contains('\u{1b}'), "{message}");
}

#[test]
fn claims_that_are_not_exactly_ours_are_refused_even_when_signed() {
    let (_dir, mut service) = fresh();
    let header = header_text(&service);
    let jti = "AAAAAAAAAAAAAAAAAAAAAA";
    let base = |sub: &str, more: &str| {
        format!(
            r#"{{"iss":"ZWESIS_STD","sub":"{sub}","iat":1000,"nbf":1000,"exp":1900,"jti":"{jti}","epoch":0{more}}}"#
        )
    };
    let good = forged(&service, &header, &base("BOB", ""));
    assert!(service.validate(at(1000), &good, None).is_ok(), "the base itself is good");
    for claims in [
        base("BOB", r#","sub":"EVE""#),
        base("BOB", r#","exp":9999999999"#),
        base("BOB", r#","admin":true"#),
        base("BOB", r#","aud":["TSO"]"#),
        base("BOB", r#","aud":"tso""#),
        base("bob", ""),
        base("B\u{41e}B", ""),
        base("BOB\\u0000", ""),
        base("", ""),
        base("BOB", "").replace("1900", "1900.0"),
        base("BOB", "").replace("1900", "\"1900\""),
        base("BOB", "").replace("1900", "-1"),
        base("BOB", "").replace("1900", "1e9"),
        base("BOB", "").replace("1900", "99999999999999999999"),
        base("BOB", "").replace(jti, "short"),
        base("BOB", "").replace("\"nbf\":1000,", ""),
        format!("{} ", base("BOB", "")).replace("} ", "} {}"),
        "null".to_owned(),
        String::new(),
    ] {
        let refusal = service.validate(at(1000), &forged(&service, &header, &claims), None).unwrap_err();
        assert!(matches!(refusal, TokenRefusal::Claims { .. }), "{claims}: {refusal}");
    }
    let other = base("BOB", "").replace("ZWESIS_STD", "OTHER");
    let refusal = service.validate(at(1000), &forged(&service, &header, &other), None).unwrap_err();
    assert!(matches!(refusal, TokenRefusal::Issuer { .. }), "{refusal}");
}

#[test]
fn token_cut_changed_or_too_long_is_refused() {
    let (_dir, mut service) = fresh();
    let token = service.issue(at(1000), &request("BOB")).unwrap().text;
    for end in 0..token.len() {
        assert!(service.validate(at(1000), &token[..end], None).is_err(), "cut at {end}");
    }
    for place in 0..token.len() {
        for byte in [b'A', b'B', b'.', b'=', b' ', b'_', 0] {
            let mut changed = token.clone().into_bytes();
            if changed[place] == byte {
                continue;
            }
            changed[place] = byte;
            let changed = String::from_utf8(changed).unwrap();
            assert!(service.validate(at(1000), &changed, None).is_err(), "{byte} at {place}");
        }
    }
    for more in ["=", ".", "A", " ", "\n", "\0", ".A", "\u{200b}"] {
        assert!(service.validate(at(1000), &format!("{token}{more}"), None).is_err(), "{more:?} after it");
        assert!(service.validate(at(1000), &format!("{more}{token}"), None).is_err(), "{more:?} before it");
    }
    let long = "A".repeat(1 << 20);
    assert!(matches!(service.validate(at(1000), &long, None), Err(TokenRefusal::TooLong { max: 2048, .. })));
    assert!(token.len() < 600, "{}", token.len());
}

#[test]
fn one_token_is_revoked_alone_and_a_user_s_all_at_once() {
    let (dir, mut service_of_one) = fresh();
    let service = &mut service_of_one;
    let tokens: Vec<IssuedToken> =
        (0..3).map(|_| service.issue(at(1000), &request("BOB")).unwrap()).collect();
    let eve = service.issue(at(1000), &request("EVE")).unwrap();
    service.revoke(at(1000), &tokens[0].claims).unwrap();
    assert!(matches!(service.validate(at(1000), &tokens[0].text, None), Err(TokenRefusal::Revoked)));
    assert!(service.validate(at(1000), &tokens[1].text, None).is_ok());
    service.revoke_user(at(1000), &"BOB".parse().unwrap()).unwrap();
    assert!(matches!(service.validate(at(1000), &tokens[1].text, None), Err(TokenRefusal::Revoked)));
    assert!(service.validate(at(1000), &eve.text, None).is_ok());
    // In the same second the user may prove itself anew.
    let anew = service.issue(at(1000), &request("BOB")).unwrap();
    assert!(service.validate(at(1000), &anew.text, None).is_ok());
    // A process that opens the directory later, and one that had it open, know the same.
    let mut later = self::service(&dir.path().join("keys"));
    for (text, is_good) in
        [(&tokens[0].text, false), (&tokens[1].text, false), (&eve.text, true), (&anew.text, true)]
    {
        assert_eq!(later.validate(at(1000), text, None).is_ok(), is_good);
    }
    later.revoke(at(1001), &eve.claims).unwrap();
    assert!(matches!(service.validate(at(1001), &eve.text, None), Err(TokenRefusal::Revoked)));
    service.revoke_all(at(1001)).unwrap();
    assert!(matches!(later.validate(at(1001), &anew.text, None), Err(TokenRefusal::Revoked)));
}

#[test]
fn too_many_revocations_revoke_more_and_never_less() {
    let dir = tempfile::tempdir().unwrap();
    let options = TokenOptions { revoked_per_user_max: 2, revoked_max: 6, ..TokenOptions::default() };
    let keys = dir.path().join("keys");
    let mut service = TokenService::open(&keys, "S".parse().unwrap(), options, at(1000)).unwrap();
    let bob: Vec<IssuedToken> = (0..4).map(|_| service.issue(at(1000), &request("BOB")).unwrap()).collect();
    for token in &bob[..3] {
        service.revoke(at(1000), &token.claims).unwrap();
    }
    for token in &bob {
        assert!(service.validate(at(1000), &token.text, None).is_err(), "the fourth goes with the third");
    }
    let others: Vec<IssuedToken> =
        (0..6).map(|number| service.issue(at(1000), &request(&format!("U{number}"))).unwrap()).collect();
    for token in &others[..5] {
        service.revoke(at(1000), &token.claims).unwrap();
    }
    assert!(service.validate(at(1000), &others[5].text, None).is_ok());
    let last = service.issue(at(1000), &request("U7")).unwrap();
    service.revoke(at(1000), &last.claims).unwrap();
    for token in others.iter().chain([&last]).chain(&bob) {
        assert!(service.validate(at(1000), &token.text, None).is_err(), "no room: everything is revoked");
    }
    let anew = service.issue(at(1000), &request("BOB")).unwrap();
    assert!(service.validate(at(1000), &anew.text, None).is_ok());
}

#[test]
fn forgotten_revocations_stay_in_force_when_the_clock_is_set_back() {
    let dir = tempfile::tempdir().unwrap();
    let options = TokenOptions { revoked_max: 2, ..TokenOptions::default() };
    let keys = dir.path().join("keys");
    let open = |moment| TokenService::open(&keys, "S".parse().unwrap(), options, moment).unwrap();
    let mut service = open(at(1000));
    let revoked: Vec<IssuedToken> =
        ["A", "B"].iter().map(|user| service.issue(at(1000), &request(user)).unwrap()).collect();
    for token in &revoked {
        service.revoke(at(1000), &token.claims).unwrap();
    }
    // They have run out; the next revocation takes their room.
    let next = service.issue(at(2000), &request("C")).unwrap();
    service.revoke(at(2000), &next.claims).unwrap();
    assert_eq!(service.revocations.ledger().len(), 1);
    drop(service);
    // The machine comes up with a clock that is wrong.
    let mut service = open(at(1001));
    for token in &revoked {
        assert!(service.validate(at(1001), &token.text, None).is_err());
    }
}

#[test]
fn clock_set_back_issues_nothing_and_lets_nothing_live_longer() {
    let (dir, mut service) = fresh();
    let token = service.issue(at(10_000), &request("BOB")).unwrap();
    // 100 s have passed, the wall clock lost 5000.
    let back = Moment { unix_s: 5_100, steady_ms: 10_100_000 };
    let error = service.issue(back, &request("BOB")).unwrap_err();
    assert!(matches!(error, TokenError::ClockBehind { behind_s: 5000, skew_s: 30 }), "{error}");
    assert!(matches!(
        service.validate(back, &token.text, None),
        Err(TokenRefusal::FromFuture { ahead_s: 4900 })
    ));
    // 900 s have passed: it has run out although the wall clock is not there yet.
    let late = Moment { unix_s: 9_999, steady_ms: 10_900_000 };
    assert!(matches!(service.validate(late, &token.text, None), Err(TokenRefusal::Expired { .. })));
    // A little back is no matter, and no token is older than the one before.
    let (_other, mut service_b) = fresh();
    let one = service_b.issue(at(10_000), &request("BOB")).unwrap();
    let two = service_b.issue(Moment { unix_s: 9_980, steady_ms: 10_000_000 }, &request("BOB")).unwrap();
    assert!(two.claims.iat >= one.claims.iat);
    // A restart does not make it forget; replacing the keys is the way on when the clock was wrong before.
    drop(service);
    let mut service = service_at(&dir.path().join("keys"), at(5_200));
    assert!(matches!(service.issue(at(5_200), &request("BOB")), Err(TokenError::ClockBehind { .. })));
    service.replace_keys(at(5_200)).unwrap();
    let anew = service.issue(at(5_200), &request("BOB")).unwrap();
    assert!(service.validate(at(5_201), &anew.text, None).is_ok());
    assert!(matches!(service.validate(at(5_201), &token.text, None), Err(TokenRefusal::UnknownKey { .. })));
    let mut later = service_at(&dir.path().join("keys"), at(5_202));
    assert!(later.issue(at(5_202), &request("BOB")).is_ok());
}

#[test]
fn rotation_overlaps_both_ways_and_erases_what_no_longer_signs() {
    let (dir, mut service) = fresh();
    let keys = dir.path().join("keys");
    let mut other = self::service(&keys);
    let published: serde_json::Value = serde_json::from_str(&service.jwks(at(1000)).unwrap()).unwrap();
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    let before = service.issue(at(1000), &request("BOB")).unwrap();
    let file = std::fs::read_to_string(keys.join("signing.json")).unwrap();
    let seeds = |text: &str| -> Vec<String> {
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        file["keys"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|key| key["seed"].as_str().map(str::to_owned))
            .collect()
    };
    service.rotate_keys(at(1100)).unwrap();
    let after = service.issue(at(1100), &request("BOB")).unwrap();
    // Who fetched the keys before the rotation knows the one that signs after it.
    assert_eq!(published["keys"][1]["kid"].as_str().unwrap(), service.keys().next().unwrap().kid.as_str());
    // A process that had the old keys open goes on with the new ones.
    for service in [&mut service, &mut other] {
        assert!(service.validate(at(1100), &before.text, None).is_ok());
        assert!(service.validate(at(1100), &after.text, None).is_ok());
    }
    let states: Vec<KeyState> = service.keys().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Current, KeyState::Next, KeyState::Retired]);
    let now = std::fs::read_to_string(keys.join("signing.json")).unwrap();
    assert!(!now.contains(&seeds(&file)[0]), "the private half of a retired key is gone");
    assert_eq!(seeds(&now).len(), 2);
    assert_eq!(std::fs::metadata(keys.join("signing.json")).unwrap().permissions().mode() & 0o7777, 0o600);
    // After everything it signed has run out it verifies no more.
    assert!(matches!(service.validate(at(9000), &before.text, None), Err(TokenRefusal::UnknownKey { .. })));
    let published: serde_json::Value = serde_json::from_str(&service.jwks(at(9000)).unwrap()).unwrap();
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    for round in 0..40 {
        service.rotate_keys(at(9001 + round)).unwrap();
    }
    assert!(service.keys().count() <= 18);
    assert!(service.jwks(at(9100)).unwrap().find("\"d\"").is_none(), "nothing private is published");
}

#[test]
fn key_file_that_others_can_use_or_that_was_changed_is_refused() {
    let (dir, service) = fresh();
    drop(service);
    let (keys, file) = (dir.path().join("keys"), dir.path().join("keys/signing.json"));
    let text = std::fs::read_to_string(&file).unwrap();
    let open = || TokenService::open(&keys, "S".parse().unwrap(), TokenOptions::default(), at(1000));
    let refused = |wanted: &str| {
        let error = open().unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(wanted), "{source} says {wanted}");
        assert!(!source.contains(text.split("\"seed\":\"").nth(1).unwrap().split('"').next().unwrap()));
    };
    let mode =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(&file, 0o640);
    refused("0640");
    mode(&file, 0o600);
    mode(&keys, 0o755);
    refused("0755");
    mode(&keys, 0o700);
    std::fs::hard_link(&file, keys.join("second")).unwrap();
    refused("more than one name");
    std::fs::remove_file(keys.join("second")).unwrap();
    for (from, to, wanted) in [
        ("\"format\":1", "\"format\":2", "format 2"),
        ("\"kid\":\"", "\"kid\":\"x", "not the key that it is called by"),
        ("\"next\"", "\"current\"", "same place"),
        ("{", "{\"more\":1,", "line 1"),
        ("\"seed\":\"", "\"seed\":\"AAAA", "32 bytes"),
    ] {
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        refused(wanted);
    }
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    refused("line 1");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    refused("signing.json");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &text).unwrap();
    mode(&file, 0o600);
    open().unwrap();
    std::fs::write(keys.join("revocations.journal"), "{\"all\":{\"epoch\":1}}\nnonsense\n").unwrap();
    mode(&keys.join("revocations.journal"), 0o600);
    refused("line 2");
}

#[test]
fn key_file_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    let (dir, service) = fresh();
    drop(service);
    std::os::unix::fs::chown(dir.path().join("keys/signing.json"), Some(12_345), None).unwrap();
    let error =
        TokenService::open(&dir.path().join("keys"), "S".parse().unwrap(), TokenOptions::default(), at(1));
    let source = std::error::Error::source(&error.unwrap_err()).unwrap().to_string();
    assert!(source.contains("12345"), "{source}");
}

#[test]
fn line_cut_short_by_a_crash_is_not_taken_for_a_revocation_and_not_in_the_way() {
    let (dir, mut service) = fresh();
    let token = service.issue(at(1000), &request("BOB")).unwrap();
    let journal = dir.path().join("keys/revocations.journal");
    let mut text = std::fs::read(&journal).unwrap();
    text.extend_from_slice(b"{\"user\":{\"sub\":\"BOB\",");
    std::fs::write(&journal, text).unwrap();
    let mut later = self::service(&dir.path().join("keys"));
    assert!(later.validate(at(1000), &token.text, None).is_ok());
    later.revoke(at(1000), &token.claims).unwrap();
    assert!(service.validate(at(1000), &token.text, None).is_err());
    assert!(std::fs::read_to_string(&journal).unwrap().lines().all(|line| line.ends_with('}')));
}

#[test]
fn journal_does_not_grow_with_time() {
    let (dir, mut service) = fresh();
    for number in 0..4000 {
        service.issue(at(1000 + 60 * number), &request("BOB")).unwrap();
    }
    let length = std::fs::metadata(dir.path().join("keys/revocations.journal")).unwrap().len();
    assert!(length < 64 * 1024, "{length}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nothing_made_up_is_accepted(text in "[A-Za-z0-9_.=-]{0,300}|\\PC{0,60}") {
        let (_dir, mut service) = fresh();
        prop_assert!(service.validate(at(1000), &text, None).is_err());
    }

    #[test]
    fn token_is_accepted_exactly_within_its_life(
        lifetime_s in 1_u64..3600, issued in 1000_u64..100_000, now in 1000_u64..110_000,
    ) {
        let (_dir, mut service) = fresh();
        let request = TokenRequest { lifetime_s: Some(lifetime_s), ..request("BOB") };
        let token = service.issue(at(issued), &request).unwrap();
        // Asked of another server process, which has not seen how late it was.
        let is_good = now + 30 >= issued && now < issued + lifetime_s;
        service.guard = TimeGuard::new(at(now), 0);
        service.revocations = Journal::open(&Vault::open(&_dir.path().join("other")).unwrap(), REVOCATIONS).unwrap();
        service.vault = Vault::open(&_dir.path().join("other")).unwrap();
        prop_assert_eq!(service.validate(at(now), &token.text, None).is_ok(), is_good);
    }
}
