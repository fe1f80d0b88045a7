//! Where requests go, and what services and clients see of each other.

use crate::world::{Reply, Service, World, instance};

#[tokio::test]
async fn path_and_query_reach_the_service_byte_for_byte() {
    let service = Service::start(|_| Reply::Echo).await;
    let world = World::new([service.instance("zosmf", &[])]);
    for rest in [
        "/restfiles/ds/'USER.JCL(MEMBER)'",
        "/restfiles/ds/A.B%23C/$x",
        "/a%2Fb%2fc;d=e",
        "/x?filter=%20a+b&name=''(%2F)#",
        "/x?",
        "/",
        "",
    ] {
        let sent = rest.trim_end_matches('#');
        let answer = world.get(&format!("/zosmf/api/v1{sent}")).await;
        answer.is(200, &format!("GET /own{sent} HTTP/1.1"));
        let old_form = world.get(&format!("/api/v1/zosmf{sent}")).await;
        old_form.is(200, &format!("GET /own{sent} HTTP/1.1"));
    }
}

#[tokio::test]
async fn service_is_told_the_way_and_nothing_that_the_client_made_up() {
    let service = Service::start(|_| Reply::Echo).await;
    let world = World::new([service.instance("a", &[])]);
    let headers = "X-Certificate-DistinguishedName: CN=admin\r\nCookie: a=b\r\nConnection: close, X-Mine\r\nX-Mine: x\r\nX-Forwarded-For: 192.0.2.1\r\n";
    let answer = world.ask("GET", "/a/api/v1/x", headers).await;
    let head = answer.is(200, "").text().to_ascii_lowercase();
    for line in [
        format!("host: {}", service.address),
        "x-forwarded-for: 192.0.2.1, 127.0.0.1".to_owned(),
        "x-forwarded-host: gateway:7554".to_owned(),
        "x-forwarded-prefix: /a/api/v1".to_owned(),
        "x-forwarded-proto: http".to_owned(),
        "cookie: a=b".to_owned(),
    ] {
        assert!(head.lines().any(|other| other == line), "no `{line}` in {head}");
    }
    assert!(!head.contains("cn=admin") && !head.contains("x-mine"), "{head}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test]
async fn instances_take_turns_and_one_can_be_chosen() {
    let (one, two) = (Service::start(|_| Reply::Echo).await, Service::start(|_| Reply::Echo).await);
    let world = World::with([one.instance("a", &[]), two.instance("a", &[])], |settings| {
        settings.tells_instance = true;
    });
    for _ in 0..6 {
        world.get("/a/api/v1/x").await.is(200, "");
    }
    assert_eq!((one.got().len(), two.got().len()), (3, 3));
    let id = two.instance("a", &[]).id;
    for _ in 0..4 {
        let answer = world.ask("GET", "/a/api/v1/x", &format!("X-InstanceId: {id}\r\n")).await;
        assert_eq!(answer.is(200, "").header("x-instanceid"), Some(id.as_str()));
    }
    assert_eq!(two.got().len(), 7);
    world.ask("GET", "/a/api/v1/x", "X-InstanceId: nobody\r\n").await.is(404, "`nobody`");
}

#[tokio::test]
async fn path_that_leads_nowhere_says_so_with_numbers_that_clients_know() {
    let service = Service::start(|_| Reply::Echo).await;
    let mut down = service.instance("down", &[]);
    down.is_up = false;
    let strict = service.instance("strict", &[("apiml.enableUrlEncodedCharacters", "false")]);
    let world = World::with([service.instance("a", &[]), down, strict], |settings| {
        settings.allows_encoded_slashes = false;
    });
    world
        .get("/nobody/api/v1/'x'")
        .await
        .is(404, r#""messageKey":"org.zowe.apiml.common.endPointNotFound""#)
        .is(404, "&#39;x&#39;");
    world.get("/a/api/v2/x").await.is(404, "ZWEAM104E");
    world.get("/down/api/v1/x").await.is(503, "ZWEAG710E");
    world.get("/a/api/v1/x%2Fy").await.is(400, "ZWEAG702E");
    world.get("/strict/api/v1/x%20y").await.is(400, "ZWEAG701E");
    for path in
        ["/a/api/v1/../../b", "/a/api/v1/%2e%2e/b", "/a/api/v1/..;/b", "/a/api/v1/x%00", "/a/api/v1/x%zz"]
    {
        world.get(path).await.is(400, "ZWEAO400E");
    }
    assert_eq!(service.got().len(), 0, "none of it reached the service");
}

#[tokio::test]
async fn redirects_of_a_service_lead_over_the_gateway_and_others_stay() {
    let service = Service::start(|message| {
        let to = message.header("x-to").unwrap_or_default().to_owned();
        Reply::Answer(302, "", to)
    })
    .await;
    let port = service.address.port();
    let redirecting = Service::start(move |message| {
        let headers = match message.header("x-to").unwrap_or_default() {
            "own" => format!("Location: http://127.0.0.1:{port}/own/login?a=b\r\n"),
            "longer" => format!("Location: http://127.0.0.1:{port}/ownership\r\n"),
            "relative" => "Location: /own/login\r\n".to_owned(),
            _ => "Location: https://elsewhere/own/login\r\n".to_owned(),
        };
        Reply::Answer(302, Box::leak(headers.into_boxed_str()), String::new())
    })
    .await;
    let world = World::new([redirecting.instance("a", &[]), service.instance("a", &[])]);
    let id = redirecting.instance("a", &[]).id;
    let to = async |which: &str| {
        let answer =
            world.ask("GET", "/a/api/v1/x", &format!("X-To: {which}\r\nX-InstanceId: {id}\r\n")).await;
        answer.is(302, "").header("location").unwrap_or_default().to_owned()
    };
    assert_eq!(to("own").await, "http://gateway:7554/a/api/v1/login?a=b");
    assert_eq!(to("longer").await, format!("http://127.0.0.1:{port}/ownership"));
    assert_eq!(to("relative").await, "/own/login");
    assert_eq!(to("elsewhere").await, "https://elsewhere/own/login");
}

#[tokio::test]
async fn page_without_its_slash_is_led_to_the_one_with_it() {
    let service = Service::start(|_| Reply::Echo).await;
    let ui = [("apiml.routes.ui_v1.gatewayUrl", "ui/v1"), ("apiml.routes.ui_v1.serviceUrl", "/pages")];
    let world = World::new([service.instance("a", &ui)]);
    let answer = world.get("/a/ui/v1?x=y").await;
    assert_eq!(answer.is(302, "").header("location"), Some("/a/ui/v1/?x=y"));
    world.get("/a/ui/v1/").await.is(200, "GET /pages/ ");
    world.get("/ui/v1/a").await.is(302, "");
}

#[tokio::test]
async fn page_of_another_origin_needs_consent() {
    let service = Service::start(|_| Reply::Echo).await;
    let open = [("apiml.corsEnabled", "true"), ("apiml.corsAllowedOrigins", "https://page")];
    let world = World::new([service.instance("closed", &[]), service.instance("open", &open)]);
    world
        .ask("POST", "/closed/api/v1/x", "Origin: https://page\r\nContent-Length: 0\r\n")
        .await
        .is(403, "Invalid CORS");
    world
        .ask("POST", "/closed/api/v1/x", "Origin: http://gateway:7554\r\nContent-Length: 0\r\n")
        .await
        .is(200, "");
    let asked = "Origin: https://page\r\nAccess-Control-Request-Method: PUT\r\n";
    let answer = world.ask("OPTIONS", "/open/api/v1/x", asked).await;
    assert_eq!(answer.is(200, "").header("access-control-allow-origin"), Some("https://page"));
    let answer = world.ask("GET", "/open/api/v1/x", "Origin: https://page\r\n").await;
    assert_eq!(answer.is(200, "").header("access-control-allow-origin"), Some("https://page"));
    assert!(!answer.text().to_ascii_lowercase().contains("origin:"), "the service has no say in it");
    world.ask("GET", "/open/api/v1/x", "Origin: https://evil\r\n").await.is(403, "");
}

#[tokio::test]
async fn bodies_of_any_size_pass_both_ways() {
    let service = Service::start(|message| {
        Reply::Answer(
            200,
            "Content-Encoding: x\r\n",
            format!("{}:{}", message.body.len(), "y".repeat(3_000_000)),
        )
    })
    .await;
    let world = World::new([service.instance("a", &[])]);
    let body = "x".repeat(5_000_000);
    let answer = world.post("/a/api/v1/x", &body).await;
    assert!(answer.is(200, "").text().starts_with("5000000:y"));
    assert_eq!((answer.body.len(), answer.header("content-encoding")), (3_000_008, Some("x")));
    let chunked = "POST /a/api/v1/x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nxyz\r\n0\r\n\r\n";
    assert!(world.send(chunked).await.text().starts_with("8:"));
}

#[tokio::test]
async fn gateway_tells_of_itself_and_of_services() {
    let service = Service::start(|_| Reply::Echo).await;
    let world = World::new([service.instance("a", &[("apiml.service.title", "A title")])]);
    world.get("/application/health").await.is(200, r#""status":"UP""#);
    world.get("/gateway/api/v1/version").await.is(200, "apiml");
    let services = world.get("/gateway/api/v1/services").await;
    assert_eq!(services.is(200, "A title").header("content-version"), Some("1"));
    world.get("/gateway/api/v1/services?apiId=nothing").await.is(404, "[]");
    world.get("/api/v1/gateway/services/a").await.is(200, r#""apiInfo":[]"#);
    world.get("/gateway/api/v1/services/nobody").await.is(404, "ZWEAM104E");
    world.ask("DELETE", "/application/health", "").await.is(405, "ZWEAO405E");
}

#[tokio::test]
async fn registration_that_makes_no_address_is_passed_over() {
    let service = Service::start(|_| Reply::Echo).await;
    let mut odd = instance("a", service.address, &[("apiml.routes.api_v1.serviceUrl", "/o wn")]);
    odd.id = "odd".to_owned();
    let world = World::new([odd, service.instance("a", &[])]);
    for _ in 0..4 {
        world.get("/a/api/v1/x").await.is(200, "GET /own/x");
    }
}
