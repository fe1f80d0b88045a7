//! Personal access tokens, tickets, and what users may do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tender_cache::{MemoryStore, Store};
use tender_gateway::auth::provider::{Access, Dummy};
use tender_gateway::auth::{AuthSettings, Denied, Provider, Revocations, SigningKey, Verified};

use crate::world::{Message, Reply, Service, World};

pub(crate) const BASE: &str = "/gateway/api/v1/auth";

/// Makes tickets, and lets `user` do everything.
#[derive(Debug)]
pub(crate) struct Full;

#[async_trait]
impl Provider for Full {
    async fn check(&self, user: &str, password: &str) -> Result<Verified, Denied> {
        if user != password {
            return Err(Denied::Wrong);
        }
        Ok(Verified { user: user.to_owned(), domain: "test".to_owned(), lifetime_s: None })
    }

    async fn ticket(&self, user: &str, application: &str) -> Result<String, Denied> {
        match application {
            "APPL" => Ok(format!("TICKET-{user}")),
            _ => Err(Denied::Unavailable { reason: "no such application".to_owned() }),
        }
    }

    async fn allows(&self, user: &str, access: Access<'_>) -> Result<bool, Denied> {
        assert!(access.class == "ZOWE" && matches!(access.level, "READ" | "UPDATE"), "{access:?}");
        Ok(user == "user")
    }

    fn knows_rights(&self) -> bool {
        true
    }
}

pub(crate) fn settings(provider: impl Provider + 'static) -> AuthSettings {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    AuthSettings {
        provider: Arc::new(provider),
        key: Arc::new(SigningKey::generate()),
        revocations: Arc::new(Revocations::new(Some(store))),
        lifetime: Duration::from_secs(3600),
        allows_refresh: true,
    }
}

fn basic(user: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{user}")))
}

async fn call(world: &World, method: &str, path: &str, headers: &str, body: &str) -> Message {
    let length = body.len();
    let head = format!(
        "{method} {BASE}/{path} HTTP/1.1\r\nHost: gateway\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    world.send(format!("{head}{body}")).await
}

async fn generate(world: &World, user: &str, scopes: &str) -> String {
    let body = format!(r#"{{"validity":30,"scopes":[{scopes}]}}"#);
    call(world, "POST", "access-token/generate", &basic(user), &body).await.is(200, ".").text()
}

async fn is_valid(world: &World, token: &str, service: &str) -> bool {
    let body = format!(r#"{{"token":"{token}","serviceId":"{service}"}}"#);
    match call(world, "POST", "access-token/validate", "", &body).await.status() {
        204 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

#[tokio::test]
async fn personal_token_is_good_for_its_services_until_it_is_taken_back() {
    let service = Service::start(|_| Reply::Echo).await;
    let jwt = [("apiml.authentication.scheme", "zoweJwt")];
    let instances = [service.instance("files", &jwt), service.instance("jobs", &jwt)];
    let world = World::with(instances, |all| all.auth = Some(settings(Full)));
    let token = generate(&world, "user", r#""Files""#).await;
    assert!(is_valid(&world, &token, "files").await && !is_valid(&world, &token, "jobs").await);
    for shown in [
        format!("PRIVATE-TOKEN: {token}\r\n"),
        format!("Cookie: personalAccessToken={token}\r\n"),
        format!("Authorization: Bearer {token}\r\n"),
    ] {
        let echo =
            world.ask("GET", "/files/api/v1/x", &shown).await.is(200, "apimlAuthenticationToken=").text();
        assert!(!echo.contains(&token), "the service gets a token of its own");
        let answer = world.ask("GET", "/jobs/api/v1/x", &shown).await;
        assert!(!answer.is(200, "").text().contains("apimlAuthenticationToken="), "{}", answer.text());
        assert!(answer.header("x-zowe-auth-failure").is_some());
    }
    let shown = format!("Authorization: Bearer {token}\r\n");
    for (method, path) in
        [("GET", "query"), ("POST", "logout"), ("POST", "refresh"), ("DELETE", "access-token/revoke/tokens")]
    {
        let status = call(&world, method, path, &shown, "").await.status();
        assert!([401, 403].contains(&status), "{path} is not for personal tokens: {status}");
    }
    let body = format!(r#"{{"token":"{token}"}}"#);
    call(&world, "DELETE", "access-token/revoke", "", &body).await.is(204, "");
    call(&world, "DELETE", "access-token/revoke", "", &body).await.is(401, "ZWEAG130E");
    assert!(!is_valid(&world, &token, "files").await);
}

#[tokio::test]
async fn personal_token_is_not_made_without_a_password_or_scopes() {
    let world = World::with([], |all| all.auth = Some(settings(Full)));
    let body = r#"{"validity":1,"scopes":["a"]}"#;
    call(&world, "POST", "access-token/generate", "", body).await.is(400, "ZWEAG121E");
    let wrong = format!("Authorization: Basic {}\r\n", STANDARD.encode("user:wrong"));
    call(&world, "POST", "access-token/generate", &wrong, body).await.is(401, "ZWEAG120E");
    let basic = basic("user");
    for (body, number) in [
        ("", "ZWEAT605E"),
        ("[]x", "ZWEAT605E"),
        ("{}", "ZWEAT606E"),
        (r#"{"scopes":[]}"#, "ZWEAT606E"),
        (r#"{"scopes":[""]}"#, "ZWEAT606E"),
        (r#"{"validity":-1,"scopes":["a"]}"#, "ZWEAT605E"),
    ] {
        call(&world, "POST", "access-token/generate", &basic, body).await.is(400, number);
    }
}

#[tokio::test]
async fn personal_tokens_of_a_user_and_for_a_service_are_taken_back_by_those_who_may() {
    let world = World::with([], |all| all.auth = Some(settings(Full)));
    let own = generate(&world, "user", r#""a""#).await;
    let (of_a, of_b) = (generate(&world, "other", r#""a""#).await, generate(&world, "other", r#""b""#).await);
    call(&world, "DELETE", "access-token/revoke/tokens", &basic("user"), "").await.is(204, "");
    assert!(!is_valid(&world, &own, "a").await && is_valid(&world, &of_a, "a").await);
    let scope = r#"{"serviceId":"A"}"#;
    for path in ["access-token/revoke/tokens/scope", "access-token/revoke/tokens/user", "access-token/evict"]
    {
        call(&world, "DELETE", path, &basic("other"), scope).await.is(401, "ZWEAG711E");
        call(&world, "DELETE", path, "", scope).await.is(401, "ZWEAG131E");
    }
    call(&world, "DELETE", "access-token/revoke/tokens/scope", &basic("user"), "{}")
        .await
        .is(400, "ZWEAT607E");
    call(&world, "DELETE", "access-token/revoke/tokens/scope", &basic("user"), scope).await.is(204, "");
    assert!(!is_valid(&world, &of_a, "a").await && is_valid(&world, &of_b, "b").await);
    let user = r#"{"userId":"other"}"#;
    call(&world, "DELETE", "access-token/revoke/tokens/user", &basic("user"), user).await.is(204, "");
    assert!(!is_valid(&world, &of_b, "b").await);
    call(&world, "DELETE", "access-token/evict", &basic("user"), "").await.is(204, "");
}

#[tokio::test]
async fn service_that_wants_a_ticket_gets_one_for_its_application() {
    let service = Service::start(|_| Reply::Echo).await;
    let scheme = ("apiml.authentication.scheme", "httpBasicPassTicket");
    let instances = [
        service.instance("known", &[scheme, ("apiml.authentication.applid", "APPL")]),
        service.instance("unknown", &[scheme, ("apiml.authentication.applid", "OTHER")]),
        service.instance("nothing", &[scheme]),
    ];
    let world = World::with(instances, |all| all.auth = Some(settings(Full)));
    let login = call(&world, "POST", "login", &basic("user"), "").await;
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let shown = format!("Cookie: {cookie}\r\n");
    let echo = world.ask("GET", "/known/api/v1/x", &shown).await.is(200, "").text();
    let ticket = STANDARD.encode("user:TICKET-user");
    assert!(echo.contains(&format!("Basic {ticket}")) && !echo.contains(&cookie), "{echo}");
    for service in ["unknown", "nothing"] {
        let answer = world.ask("GET", &format!("/{service}/api/v1/x"), &shown).await;
        assert!(answer.header("x-zowe-auth-failure").unwrap().starts_with("ZWEAG141E"));
        assert!(!answer.text().contains(&cookie), "{}", answer.text());
    }
    let echo = world.ask("GET", "/known/api/v1/x", "").await.is(200, "").text();
    assert!(!echo.to_ascii_lowercase().contains("authorization"), "{echo}");
}

#[tokio::test]
async fn ticket_and_refresh_need_a_certificate_and_check_answers_for_a_user() {
    let world = World::with([], |all| all.auth = Some(settings(Full)));
    let login = call(&world, "POST", "login", &basic("user"), "").await;
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let shown = format!("Cookie: {cookie}\r\n");
    for path in ["ticket", "refresh"] {
        call(&world, "POST", path, &shown, r#"{"applicationName":"APPL"}"#).await.is(403, "ZWEAG167E");
    }
    let wanted = r#"{"resourceClass":"ZOWE","resourceName":"X","accessLevel":"UPDATE"}"#;
    call(&world, "POST", "check", &shown, wanted).await.is(204, "");
    call(&world, "POST", "check", &shown, "{}").await.is(400, "ZWEAG121E");
    call(&world, "POST", "check", "", wanted).await.is(401, "ZWEAG131E");
    let other = call(&world, "POST", "login", &basic("other"), "").await;
    let cookie = other.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    call(&world, "POST", "check", &format!("Cookie: {cookie}\r\n"), wanted).await.is(401, "ZWEAG711E");
}

#[tokio::test]
async fn services_are_listed_for_users_who_may_see_them() {
    let service = Service::start(|_| Reply::Echo).await;
    let world = World::with([service.instance("a", &[])], |all| all.auth = Some(settings(Full)));
    for (user, status, said) in [("user", 200, "serviceId"), ("other", 403, "ZWEAT403E")] {
        let login = call(&world, "POST", "login", &basic(user), "").await;
        let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        for path in ["/gateway/api/v1/services", "/gateway/services/a"] {
            world.ask("GET", path, &format!("Cookie: {cookie}\r\n")).await.is(status, said);
        }
    }
}

#[tokio::test]
async fn provider_that_only_knows_passwords_says_so() {
    let world = World::with([], |all| all.auth = Some(settings(Dummy)));
    let login = call(&world, "POST", "login", &basic("user"), "").await;
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let wanted = r#"{"resourceClass":"ZOWE","resourceName":"X","accessLevel":"UPDATE"}"#;
    call(&world, "POST", "check", &format!("Cookie: {cookie}\r\n"), wanted).await.is(501, "ZWEAG104E");
}
