//! Logging in and out, and what services get of users.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use tender_cache::{MemoryStore, Store};
use tender_gateway::auth::provider::{Dummy, PasswordFile, hash};
use tender_gateway::auth::{AuthSettings, Provider, Revocations, SigningKey};

use crate::world::{Message, Reply, Service, World};

fn settings(
    provider: impl Provider + 'static,
    key: &Arc<SigningKey>,
    store: &Arc<dyn Store>,
) -> AuthSettings {
    AuthSettings {
        provider: Arc::new(provider),
        key: Arc::clone(key),
        revocations: Arc::new(Revocations::new(Some(Arc::clone(store)))),
        lifetime: Duration::from_secs(8 * 3600),
        allows_refresh: true,
    }
}

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::of_pkcs8(&rcgen::KeyPair::generate().unwrap().serialize_der()).unwrap())
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\nContent-Length: 0\r\n", STANDARD.encode(format!("{user}:{password}")))
}

/// Returns the token of an answer to a log-in.
fn token(answer: &Message) -> String {
    let cookie = answer.header("set-cookie").unwrap();
    let (token, rest) = cookie.strip_prefix("apimlAuthenticationToken=").unwrap().split_once(';').unwrap();
    assert_eq!(rest, " Path=/; SameSite=Strict; HttpOnly; Secure;");
    token.to_owned()
}

const LOGIN: &str = "/gateway/api/v1/auth/login";
const LOGOUT: &str = "/gateway/api/v1/auth/logout";
const QUERY: &str = "/gateway/api/v1/auth/query";

#[tokio::test]
async fn user_logs_in_is_known_and_logs_out_in_both_forms_of_paths() {
    let settings = settings(Dummy, &key(), &store());
    let world = World::with([], |all| all.auth = Some(settings));
    for base in ["/gateway/api/v1/auth", "/api/v1/gateway/auth"] {
        let answer = world.ask("POST", &format!("{base}/login"), &basic("user", "user")).await;
        assert_eq!((answer.status(), answer.body.len()), (204, 0));
        let token = token(&answer);
        for shown in [
            format!("Cookie: apimlAuthenticationToken={token}\r\n"),
            format!("Authorization: Bearer {token}\r\n"),
        ] {
            let known = world.ask("GET", &format!("{base}/query"), &shown).await;
            let known: Value = serde_json::from_str(&known.is(200, "").text()).unwrap();
            assert_eq!((&known["userId"], &known["expired"]), (&"user".into(), &false.into()));
            assert!(known["expiration"].as_str().unwrap().ends_with("+00:00"));
        }
        let shown = format!("Cookie: apimlAuthenticationToken={token}\r\nContent-Length: 0\r\n");
        let answer = world.ask("POST", &format!("{base}/logout"), &shown).await;
        assert_eq!((answer.status(), answer.header("set-cookie")), (204, None));
        world.ask("POST", &format!("{base}/logout"), &shown).await.is(401, "ZWEAG130E");
        world
            .ask("GET", &format!("{base}/query"), &shown)
            .await
            .is(401, "org.zowe.apiml.security.query.invalidToken");
    }
}

#[tokio::test]
async fn login_that_cannot_be_says_why_and_sets_nothing() {
    let settings = settings(Dummy, &key(), &store());
    let world = World::with([], |all| all.auth = Some(settings));
    let none = "Content-Length: 0\r\n";
    for (headers, status, number) in [
        (basic("user", "wrong"), 401, "ZWEAG120E"),
        (basic("nobody", "user"), 401, "ZWEAG120E"),
        (basic("", "user"), 400, "ZWEAG121E"),
        (basic("a\nb", "user"), 400, "ZWEAG121E"),
        (none.to_owned(), 400, "ZWEAG121E"),
        (format!("Authorization: Basic !!!\r\n{none}"), 400, "ZWEAG121E"),
        (format!("Authorization: Bearer x\r\n{none}"), 400, "ZWEAG121E"),
    ] {
        let answer = world.ask("POST", LOGIN, &headers).await;
        assert!(answer.is(status, number).header("set-cookie").is_none());
    }
    let body = r#"{"username":"user","password":"user"}"#;
    world.post(LOGIN, body).await.is(204, "");
    for body in ["{}", "[]", r#"{"username":"user"}"#, r#"{"username":"user","password":1}"#] {
        world.post(LOGIN, body).await.is(400, "ZWEAG121E");
    }
    world.get(LOGIN).await.is(405, "ZWEAG101E");
    world.get(QUERY).await.is(401, "ZWEAG131E");
    world.ask("POST", LOGOUT, none).await.is(401, "ZWEAG131E");
}

#[tokio::test]
async fn token_that_ended_or_is_another_gateways_is_not_accepted() {
    let (ours, store) = (key(), store());
    let world = World::with([], |all| all.auth = Some(settings(Dummy, &ours, &store)));
    let short = token(&world.ask("POST", LOGIN, &basic("expire", "expire")).await);
    let ended = async {
        loop {
            let answer = world.ask("GET", QUERY, &format!("Authorization: Bearer {short}\r\n")).await;
            if answer.status() == 401 {
                return answer;
            }
        }
    };
    crate::world::in_time("the token ends", ended).await.is(401, "ZWEAT100E");
    let other = World::with([], |all| all.auth = Some(settings(Dummy, &key(), &store)));
    let foreign = token(&other.ask("POST", LOGIN, &basic("user", "user")).await);
    world.ask("GET", QUERY, &format!("Authorization: Bearer {foreign}\r\n")).await.is(401, "ZWEAG130E");
    let same = World::with([], |all| all.auth = Some(settings(Dummy, &ours, &store)));
    let shared = token(&same.ask("POST", LOGIN, &basic("user", "user")).await);
    world.ask("GET", QUERY, &format!("Authorization: Bearer {shared}\r\n")).await.is(200, "user");
}

#[tokio::test]
async fn logout_on_one_gateway_counts_on_the_other() {
    let (ours, store) = (key(), store());
    let (here, there) = (settings(Dummy, &ours, &store), settings(Dummy, &ours, &store));
    let looking = Arc::clone(&there.revocations);
    let (one, two) =
        (World::with([], |all| all.auth = Some(here)), World::with([], |all| all.auth = Some(there)));
    let task = tokio::spawn(looking.run(|error| panic!("{error}")));
    let token = token(&one.ask("POST", LOGIN, &basic("user", "user")).await);
    let shown = format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n");
    two.ask("GET", QUERY, &shown).await.is(200, "");
    one.ask("POST", LOGOUT, &shown).await.is(204, "");
    let refused = async {
        while two.ask("GET", QUERY, &shown).await.status() == 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    crate::world::in_time("the other gateway knows", refused).await;
    two.ask("GET", QUERY, &shown).await.is(401, "ZWEAG130E");
    task.abort();
}

#[tokio::test]
async fn service_gets_of_the_user_what_its_scheme_asks_for() {
    let service = Service::start(|_| Reply::Echo).await;
    let jwt = [("apiml.authentication.scheme", "zoweJwt")];
    let certificate = [("apiml.authentication.scheme", "x509")];
    let instances = [
        service.instance("plain", &[]),
        service.instance("jwt", &jwt),
        service.instance("certified", &certificate),
    ];
    let settings = settings(Dummy, &key(), &store());
    let world = World::with(instances, |all| all.auth = Some(settings));
    let token = token(&world.ask("POST", LOGIN, &basic("user", "user")).await);
    let shown = format!("Authorization: Bearer {token}\r\nCookie: a=b\r\n");
    let echo = world.ask("GET", "/plain/api/v1/x", &shown).await.is(200, "").text().to_ascii_lowercase();
    assert!(echo.contains("authorization: bearer") && echo.contains("cookie: a=b\r"), "{echo}");
    let echo = world.ask("GET", "/jwt/api/v1/x", &shown).await.is(200, "").text();
    assert!(echo.contains(&format!("a=b; apimlAuthenticationToken={token}")), "{echo}");
    assert!(!echo.to_ascii_lowercase().contains("authorization"), "{echo}");
    let changed = format!("Authorization: Bearer {token}x\r\n");
    let answer = world.ask("GET", "/jwt/api/v1/x", &changed).await;
    assert!(!answer.is(200, "").text().contains(&token), "{}", answer.text());
    assert!(answer.header("x-zowe-auth-failure").unwrap().starts_with("ZWEAG102E"));
    let shown = format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n");
    world.ask("POST", LOGOUT, &shown).await.is(204, "");
    let answer = world.ask("GET", "/jwt/api/v1/x", &shown).await;
    assert!(!answer.is(200, "").text().contains(&token), "what was logged out is not passed on");
    let answer = world.get("/certified/api/v1/x").await;
    assert!(answer.is(200, "ZWEAG167E").header("x-zowe-auth-failure").unwrap().starts_with("ZWEAG167E"));
}

#[tokio::test]
async fn users_of_a_service_that_asks_for_it_stay_with_an_instance() {
    let services = [Service::start(|_| Reply::Answer(200, "", "one".to_owned())).await, {
        Service::start(|_| Reply::Answer(200, "", "two".to_owned())).await
    }];
    let instances = || services.iter().map(|one| one.instance("a", &[("apiml.lb.type", "authentication")]));
    let (key, store) = (key(), store());
    let world = || World::with(instances(), |all| all.auth = Some(settings(Dummy, &key, &store)));
    let (here, there) = (world(), world());
    let shown = format!(
        "Authorization: Bearer {}\r\n",
        token(&here.ask("POST", LOGIN, &basic("user", "user")).await)
    );
    let first = here.ask("GET", "/a/api/v1/x", &shown).await.is(200, "").text();
    for world in [&here, &there, &here, &there] {
        world.ask("GET", "/a/api/v1/x", &shown).await.is(200, &first);
    }
    let strangers = [here.get("/a/api/v1/x").await.text(), here.get("/a/api/v1/x").await.text()];
    assert_ne!(strangers[0], strangers[1], "who is not logged in goes by turns");
    services[usize::from(first == "two")].kill();
    let other = if first == "one" { "two" } else { "one" };
    for _ in 0..3 {
        here.ask("GET", "/a/api/v1/x", &shown).await.is(200, other);
    }
}

#[tokio::test]
async fn keys_are_told_as_others_read_them() {
    for kind in [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256] {
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let ours = Arc::new(SigningKey::of_pkcs8(&pair.serialize_der()).unwrap());
        let settings = settings(Dummy, &ours, &store());
        let world = World::with([], |all| all.auth = Some(settings));
        let pem = world.get("/gateway/api/v1/auth/keys/public").await.is(200, "").text();
        assert_eq!(pem.replace(['\r', '\n'], ""), pair.public_key_pem().replace(['\r', '\n'], ""));
        let keys = world.get("/gateway/api/v1/auth/keys/public/current").await.is(200, "").text();
        let keys: Value = serde_json::from_str(&keys).unwrap();
        let number = if ours.algorithm() == "RS256" { "n" } else { "x" };
        let bytes = URL_SAFE_NO_PAD.decode(keys["keys"][0][number].as_str().unwrap()).unwrap();
        assert!(pair.public_key_raw().windows(bytes.len()).any(|part| part == bytes), "{keys}");
        let token = token(&world.ask("POST", LOGIN, &basic("user", "user")).await);
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!((&header["kid"], &header["alg"]), (&keys["keys"][0]["kid"], &keys["keys"][0]["alg"]));
    }
}

#[tokio::test]
async fn services_are_told_to_those_who_are_logged_in() {
    let service = Service::start(|_| Reply::Echo).await;
    let settings = settings(Dummy, &key(), &store());
    let world = World::with([service.instance("a", &[])], |all| all.auth = Some(settings));
    world.get("/gateway/api/v1/services").await.is(401, "ZWEAG131E");
    let token = token(&world.ask("POST", LOGIN, &basic("user", "user")).await);
    let shown = format!("Authorization: Bearer {token}\r\n");
    world.ask("GET", "/gateway/api/v1/services", &shown).await.is(200, r#""serviceId":"a""#);
}

#[tokio::test]
async fn user_of_a_file_logs_in_and_a_file_that_is_gone_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users");
    std::fs::write(&path, hash("alice", "a:b")).unwrap();
    let settings = settings(PasswordFile::open(&path).unwrap(), &key(), &store());
    let world = World::with([], |all| all.auth = Some(settings));
    world.ask("POST", LOGIN, &basic("alice", "a:b")).await.is(204, "");
    world.ask("POST", LOGIN, &basic("alice", "a")).await.is(401, "ZWEAG120E");
    std::fs::remove_file(&path).unwrap();
    let answer = world.ask("POST", LOGIN, &basic("alice", "a:b")).await;
    answer.is(503, "ZWEAG104E");
    assert!(!answer.text().contains("users"), "where the file is stays inside");
}
