//! The calls of the Eureka protocol, one by one, with curl.

use super::server::{Keys, Server};

const JSON: &[&str] = &["-H", "Accept: application/json"];

#[test]
fn instance_lives_from_registration_to_cancellation_under_both_prefixes() {
    for prefix in ["/eureka", "/eureka/v2"] {
        let server = Server::plain(&[]);
        let ask = |path: &str, options: &[&str]| server.ask(&format!("{prefix}{path}"), options);
        let id = "localhost:hwexpress:10039";
        ask("/apps/HWEXPRESS/localhost:hwexpress:10039", &["-X", "PUT"]).is(404);
        server.register("hwexpress", id, r#","lastDirtyTimestamp":"1000""#).is(204);
        server.register("hwexpress", id, r#","lastDirtyTimestamp":"1000""#).is(204);
        let whole = ask("/apps/", JSON).is(200).json();
        assert_eq!(whole["applications"]["apps__hashcode"], "UP_2_", "itself and this one");
        assert_eq!(server.status_of(id).as_deref(), Some("UP"));

        // Colons plain and encoded, names in any case, with a slash at the end and without.
        for path in [
            "/apps/hwexpress/localhost:hwexpress:10039",
            "/apps/HWEXPRESS/localhost%3Ahwexpress%3A10039/?status=UP&lastDirtyTimestamp=1000",
            "/apps/HwExpress/localhost:hwexpress:10039?lastDirtyTimestamp=999",
        ] {
            let reply = ask(path, &["-X", "PUT", "-H", "Content-Type: application/json"]).is(200);
            assert_eq!(reply.text(), "");
        }
        ask("/apps/hwexpress/localhost:hwexpress:10039?lastDirtyTimestamp=1001", &["-X", "PUT"]).is(404);
        let older = "/apps/hwexpress/localhost:hwexpress:10039?lastDirtyTimestamp=999";
        let replication = ["-X", "PUT", "-H", "x-netflix-discovery-replication: true"];
        assert_eq!(ask(older, &replication).is(409).json()["instance"]["lastDirtyTimestamp"], "1000");

        assert_eq!(ask("/apps/hwexpress", JSON).is(200).json()["application"]["name"], "HWEXPRESS");
        assert_eq!(ask(&format!("/apps/x/{id}"), JSON).is(404).text(), "");
        for path in [format!("/apps/hwexpress/{id}"), format!("/instances/{id}")] {
            let one = ask(&path, JSON).is(200).json();
            assert_eq!(one["instance"]["securePort"], serde_json::json!({ "$": 10039, "@enabled": "true" }));
        }
        for (path, count) in [("/vips/hwexpress", 1), ("/svips/s-hwexpress", 1), ("/vips/s-hwexpress", 0)] {
            let found = ask(path, JSON).is(200).json();
            assert_eq!(found["applications"]["application"].as_array().unwrap().len(), count, "{path}");
        }

        let status = format!("/apps/hwexpress/{id}/status");
        ask(&format!("{status}?value=OUT_OF_SERVICE"), &["-X", "PUT"]).is(200);
        assert_eq!(server.status_of(id).as_deref(), Some("OUT_OF_SERVICE"));
        assert_eq!(ask("/serverinfo/statusoverrides", &[]).is(200).json()[id], "OUT_OF_SERVICE");
        server.register("hwexpress", id, "").is(204);
        assert_eq!(server.status_of(id).as_deref(), Some("OUT_OF_SERVICE"), "the operator's word counts");
        ask(&status, &["-X", "DELETE"]).is(200);
        ask(&format!("/apps/hwexpress/{id}"), &["-X", "PUT"]).is(404);
        server.register("hwexpress", id, "").is(204);
        assert_eq!(server.status_of(id).as_deref(), Some("UP"));
        ask("/apps/hwexpress/nobody/status?value=UP", &["-X", "PUT"]).is(404);
        ask(&status, &["-X", "PUT"]).is(400).says("?value=");

        ask(&format!("/apps/hwexpress/{id}/metadata?a.b=1%262&c=d"), &["-X", "PUT"]).is(200);
        let metadata = ask(&format!("/instances/{id}"), JSON).is(200).json();
        assert_eq!(metadata["instance"]["metadata"], serde_json::json!({ "a.b": "1&2", "c": "d" }));

        let delta = ask("/apps/delta", JSON).is(200).json();
        assert_eq!(delta["applications"]["apps__hashcode"], "UP_2_", "of the whole");
        ask(&format!("/apps/hwexpress/{id}"), &["-X", "DELETE"]).is(200);
        ask(&format!("/apps/hwexpress/{id}"), &["-X", "DELETE"]).is(404);
        let delta = ask("/apps/delta", JSON).is(200).json();
        let changed = delta["applications"]["application"].as_array().unwrap();
        let gone = changed.iter().find(|one| one["name"] == "HWEXPRESS").unwrap();
        assert_eq!(gone["instance"][0]["actionType"], "DELETED");
        assert_eq!(delta["applications"]["apps__hashcode"], "UP_1_");
        ask("/apps/hwexpress", JSON).is(404);
        assert_eq!(server.stop(), Some(0));
    }
}

#[test]
fn form_compression_and_tags_are_what_the_client_asked_for() {
    let server = Server::plain(&[]);
    server.register("svc", "h:svc:1", "").is(204);
    let plain = server.ask("/eureka/apps", &[]).is(200).says("<applications><versions__delta>");
    assert_eq!(plain.header("content-type").as_deref(), Some("application/xml"));
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("content-length").unwrap(), plain.body.len().to_string());
    let packed =
        server.ask("/eureka/apps", &["-H", "Accept-Encoding: gzip, deflate", "-H", "Accept: */*"]).is(200);
    assert_eq!(packed.header("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(packed.body[..2], [0x1f, 0x8b]);
    let unpacked = server.ask("/eureka/apps", &["--compressed"]).is(200);
    assert_eq!(unpacked.body, plain.body);
    let tag = plain.header("etag").unwrap();
    let known = ["-H", &*format!("If-None-Match: {tag}")];
    assert_eq!(server.ask("/eureka/apps", &known).is(304).body, b"");
    server.ask("/eureka/apps", &["-H", "Accept: application/json", known[0], known[1]]).is(200);
    server.register("svc", "h:svc:2", "").is(204);
    server.ask("/eureka/apps", &known).is(200).says("h:svc:2");
    let (head, whole) =
        (server.ask("/eureka/apps", &["-I"]).is(200), server.ask("/eureka/apps", &[]).is(200));
    assert_eq!(head.header("content-length").unwrap(), whole.body.len().to_string());
}

#[test]
fn who_has_the_newest_may_wait_for_the_next() {
    let server = Server::plain(&[]);
    let tag = server.ask("/eureka/apps", &[]).is(200).header("etag").unwrap();
    let known = format!("If-None-Match: {tag}");
    let wait = |seconds: &str| {
        let prefer = format!("Prefer: wait={seconds}");
        server.ask("/eureka/apps", &["-H", &known, "-H", &prefer])
    };
    wait("1").is(304);
    std::thread::scope(|scope| {
        let before = server.count("fetches_total");
        let waiting = scope.spawn(|| wait("50"));
        crate::world::wait_until("the fetch", || server.count("fetches_total") > before);
        server.register("svc", "h:svc:1", "").is(204);
        waiting.join().unwrap().is(200).says("h:svc:1");
    });
    // Who waits does not hold up the end.
    let tag = server.ask("/eureka/apps", &[]).is(200).header("etag").unwrap();
    let mut curl = std::process::Command::new("curl");
    curl.args([
        "-sS",
        "-m",
        "60",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-H",
        &format!("If-None-Match: {tag}"),
    ]);
    curl.args(["-H", "Prefer: wait=50", &server.url("/eureka/apps")]).stdout(std::process::Stdio::piped());
    let before = server.count("fetches_total");
    let waiting = curl.spawn().unwrap();
    crate::world::wait_until("the fetch", || server.count("fetches_total") > before);
    assert_eq!(server.stop(), Some(0));
    let output = waiting.wait_with_output().unwrap();
    assert!(matches!(&*output.stdout, b"304" | b"000"), "{output:?}");
}

#[test]
fn many_who_fetch_without_a_change_get_what_was_written_once() {
    let server = Server::plain(&[]);
    server.register("svc", "h:svc:1", "").is(204);
    server.ask("/eureka/apps", &[]).is(200);
    let written = server.count("documents_written_total");
    for _ in 0..20 {
        server.ask("/eureka/apps", &[]).is(200);
        server.ask("/eureka/apps/svc/h:svc:1", &["-X", "PUT"]).is(200);
    }
    assert_eq!(server.count("documents_written_total"), written, "heartbeats change nothing that is written");
    assert!(server.count("fetches_total") > 20);
    assert_eq!(server.count("heartbeats_total"), 20);
}

#[test]
fn lease_that_is_not_renewed_ends() {
    let server = Server::plain(&["--eviction-interval", "1"]);
    server
        .register("short", "h:short:1", r#","leaseInfo":{"renewalIntervalInSecs":1,"durationInSecs":1}"#)
        .is(204);
    server.register("long", "h:long:1", "").is(204);
    crate::world::wait_until("the end of the lease", || server.status_of("h:short:1").is_none());
    server.await_line("ZWEAD105W instance `h:short:1` of SHORT");
    assert_eq!(server.status_of("h:long:1").as_deref(), Some("UP"));
    assert_eq!(server.count("evictions_total"), 1);
}

#[test]
fn registry_over_tls_is_for_holders_of_a_trusted_certificate_alone() {
    let server = Server::tls(&["--access-log"]);
    server.register("svc", "h:svc:1", "").is(204);
    for version in [["--http1.1", "--tlsv1.2"], ["--http2", "--tlsv1.3"]] {
        assert!(
            server.ask("/eureka/apps", &[&version[..], &["-I"]].concat()).is(200).header("etag").is_some()
        );
        server.ask("/eureka/apps", &version).is(200).says("h:svc:1");
    }
    server.ask("/eureka/apps", &["--tls-max", "1.2"]).is(200);
    for path in ["/eureka/apps", "/eureka/apps/svc", "/discovery/api/v1/staticApi", "/application/prometheus"]
    {
        let refused = server.curl(path, &["-u", "eureka:password"]).unwrap().is(403);
        assert_eq!(
            refused.json()["messages"][0]["messageKey"],
            "org.zowe.apiml.security.forbidden",
            "{path}"
        );
    }
    assert_eq!(server.curl("/application/health", &[]).unwrap().is(200).text(), "{\"status\":\"UP\"}");
    server.curl("/application/info", &[]).unwrap().is(200).says("tender-discovery");
    // One that somebody made for himself.
    let own = |name: &str| server.path().join(name).display().to_string();
    let (key, certificate) = (own("own.key"), own("own.cer"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=nobody"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let said = server.curl("/eureka/apps", &["--key", &key, "--cert", &certificate]).unwrap_err();
    assert!(said.starts_with("curl:"), "{said}");
    server.await_line("add the authority of the client's certificate to the trust store");
    server.await_line("client showed `CN=nobody`, issued by `CN=nobody`");
    server.await_line("CN=Tender Instance Certificate\" \"POST /eureka/apps/svc");
}

#[test]
fn user_and_password_guard_what_is_served_without_tls() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "pass:word\n").unwrap();
    let server = Server::plain(&["--user", "eureka", "--password-file", &file.display().to_string()]);
    let refused = server.ask("/eureka/apps", &[]).is(401).says("ZWEAS105E");
    let realm = "Basic realm=\"API Mediation Discovery Service realm\"";
    assert_eq!(refused.header("www-authenticate").as_deref(), Some(realm));
    server.ask("/eureka/apps", &["-u", "eureka:wrong"]).is(401);
    server.ask("/eureka/apps", &["-u", "eureka:pass:word"]).is(200);
    server.ask("/application/health", &[]).is(200);
}

#[test]
fn service_that_a_rule_names_is_for_its_certificate_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yml");
    let path = file.display().to_string();
    let rules = "registrations:\n  - service: payroll*\n    subject: '*CN=payroll'\n  - service: ours\n    subject: '*CN=Tender \
                 Instance Certificate'\n    alternativeName: DNS:localhost\n";
    std::fs::write(&file, rules).unwrap();
    let server = Server::tls(&["--rules", &path]);
    server.register("ours", "h:ours:1", "").is(204);
    server.register("free", "h:free:1", "").is(204);
    server.register("PayRoll-web", "h:payroll-web:1", "").is(403).says("belongs to another certificate");
    server.ask("/eureka/apps/payroll/h:payroll:1", &["-X", "DELETE"]).is(403);
    server.await_line("ZWEAT403E PayRoll-web may not be announced or changed by");
    assert!(server.await_line("rules.yml:2:5").contains("are for others"));
    server.ask("/eureka/apps/payroll", &[]).is(404);
    // Rules that cannot be used change nothing; better ones hold from then on.
    std::fs::write(&file, "registrations:\n  - servise: x\n").unwrap();
    crate::installation::signal(server.pid(), "HUP");
    server.await_line("rules.yml:2:5: error");
    server.register("payroll", "h:payroll:1", "").is(403);
    std::fs::write(&file, "others: refuse\n").unwrap();
    crate::installation::signal(server.pid(), "HUP");
    crate::world::wait_until("the new rules", || server.register("free", "h:free:1", "").code == 403);
    std::fs::write(&file, "other: refuse\n").unwrap();
    let keys = Keys::get();
    let (key, certificate, trust) =
        (keys.at("localhost.key"), keys.at("localhost.cer"), keys.at("local_ca.cer"));
    let tls = ["--key", &key, "--certificate", &certificate, "--trust", &trust];
    let check = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tender"));
        command.args(["discovery", "run", "--listen", "127.0.0.1:0", "--check", "--rules", &path]).args(more);
        crate::world::answer("--check", &command.output().unwrap())
    };
    check(&tls).ends(16).says("rules.yml:1:1");
    for without in [&["--plain"][..], &[&tls[..], &["--verify", "DISABLED"]].concat()] {
        check(without).ends(16).says("ZWEAD106E").says("clients show none").says("leave --rules out");
    }
}

#[test]
fn name_that_only_looks_like_a_service_of_a_rule_is_no_way_around_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yml");
    std::fs::write(&file, "registrations:\n  - service: mines*\n    subject: '*CN=nobody'\n").unwrap();
    let server = Server::tls(&["--rules", &file.display().to_string()]);
    server.register("mines", "h:mines:1", "").is(403);
    // Each of these is MINES in upper case, as Unicode has it.
    for alike in ["m\u{131}nes", "mine\u{17f}", "M\u{131}NE\u{17f}"] {
        server.register(alike, "h:mines:1", "").is(400).says("names of services and instances are ASCII");
        let body = r#"{"instance":{"instanceId":"a","app":"MINES","hostName":"h","ipAddr":"1","dataCenterInfo":{"name":"MyOwn"}}}"#;
        let post = ["-H", "Content-Type: application/json", "--data-binary", body];
        server.ask(&format!("/eureka/apps/{alike}"), &post).is(400);
        server.ask(&format!("/eureka/apps/{alike}/a"), &["-X", "DELETE"]).is(404);
    }
    server.register("free", "h:fr\u{e9}\u{e9}:1", "").is(400).says("`instanceId` of the instance is");
    server.ask("/eureka/apps/mines", &[]).is(404);
}

#[test]
fn what_is_not_taken_says_which_limit_or_word_is_in_the_way() {
    let server = Server::plain(&[]);
    server.register("svc", "h:svc:1", "").is(204);
    let put = |query: &str| server.ask(&format!("/eureka/apps/svc/h:svc:1/{query}"), &["-X", "PUT"]);
    put("status?value=SLEEPING").is(400).says("`SLEEPING` is no status").says("OUT_OF_SERVICE");
    put("metadata?a=%ff").is(400).says("`%ff` of the query is no text");
    // More than an instance may come to, in pieces that a head may have.
    let piece = "v".repeat(25_000);
    let mut added = 0;
    let refused = loop {
        let reply = put(&format!("metadata?k{added}={piece}"));
        if reply.code != 200 {
            break reply;
        }
        added += 1;
        assert!(added < 400, "it is never too much");
    };
    refused.is(507).says("more than 4194304 bytes of itself");
    let metadata = &server.json("/eureka/instances/h:svc:1")["instance"]["metadata"];
    assert_eq!(metadata.as_object().unwrap().len(), added, "it was refused as a whole");
    server.register("other", "h:other:1", "").is(204);
    // What the server itself keeps is not for others to announce.
    let own = format!("localhost:discovery:{}", server.port);
    let future = r#","lastDirtyTimestamp":"9223372036854775807""#;
    server.register("discovery", &own, future).is(409).says("keeps the instance");
    assert_eq!(server.status_of(&own).as_deref(), Some("UP"));
}
