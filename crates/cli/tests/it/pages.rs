//! Catalog and desktop as components: run by the launcher, over TLS, reached through the gateway.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::installation::Installation;
use crate::world::{copy, free_ports, wait_until};

/// Asks with curl; returns status, headers, and body.
fn curl(arguments: &[&str]) -> (u16, String, String) {
    let mut command = Command::new("curl");
    command.args(["-sSi", "--max-time", "60", "--path-as-is"]).args(arguments);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    (status, head.to_owned(), body.to_owned())
}

#[test]
fn launcher_runs_catalog_and_desktop_and_users_reach_them_through_the_gateway() {
    let here = Installation::new();
    let names = ["discovery", "gateway", "api-catalog", "app-server"];
    for name in names {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../components").join(name);
        copy(&ours, &here.path("product/components").join(name));
    }
    fs::create_dir_all(here.path("product/bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tender"), here.path("product/bin/tender")).unwrap();
    here.tender("certificate init --update-config").ends(0);
    let ports = free_ports();
    for (offset, name) in (0..).zip(names) {
        here.tender(&format!("component enable {name}")).ends(0);
        here.tender(&format!("config set components.{name}.port={}", ports + offset)).ends(0);
        here.tender(&format!("component verify {name}")).ends(0);
    }
    here.tender("config set components.gateway.provider=dummy").ends(0);
    here.tender(&format!("config set zowe.externalPort={}", ports + 1)).ends(0);
    here.tender("start").ends(0);
    for name in names {
        here.await_state(name, "READY");
    }
    let authority = here.path("instance/keystore/localhost/local_ca.cer").display().to_string();
    let trusted = |more: &[&str]| curl(&[&["--cacert", authority.as_str()], more].concat());
    let base = format!("https://localhost:{}", ports + 1);
    for (page, words) in [("apicatalog", "<title>API Catalog</title>"), ("zlux", "<title>Desktop</title>")] {
        let page = format!("{base}/{page}/ui/v1/");
        wait_until("the gateway leads to the page", || {
            let (status, _, body) = trusted(&[&page]);
            status == 200 && body.contains(words)
        });
    }
    let api = format!("{base}/apicatalog/api/v1");
    assert_eq!(trusted(&[&format!("{api}/containers")]).0, 401);
    let (status, head, body) =
        trusted(&["-d", r#"{"username":"user","password":"user"}"#, &format!("{api}/auth/login")]);
    assert_eq!(status, 204, "{head}{body}");
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    let asked = |path: &str| -> Value {
        let (status, head, body) = trusted(&["-H", &cookie, &format!("{base}{path}")]);
        assert_eq!(status, 200, "{path}: {head}{body}");
        serde_json::from_str(&body).unwrap_or_else(|_| json!(body))
    };
    let tiles = asked("/apicatalog/api/v1/containers");
    let tile = tiles.as_array().unwrap().iter().find(|tile| tile["id"] == "apimediationlayer").unwrap();
    assert_eq!((&tile["status"], &tile["services"][0]["serviceId"]), (&json!("UP"), &json!("apicatalog")));
    // As `zowe.externalDomains` has it, which is the name of this machine.
    let page = tile["services"][0]["homePageUrl"].as_str().unwrap();
    let public = page.strip_suffix("/apicatalog/ui/v1/").unwrap();
    assert!(public.starts_with("https://") && public.ends_with(&format!(":{}", ports + 1)), "{page}");
    // The catalog reads its own document over TLS, as it does those of others.
    let document = asked("/apicatalog/api/v1/apidoc/apicatalog");
    assert_eq!(document["servers"][0]["url"], json!(format!("{public}/apicatalog/api/v1")), "{document}");
    // Discovery takes it of the certificate of the catalog.
    let refresh = format!("{api}/static-api/refresh");
    let (status, head, body) = trusted(&["-X", "POST", "-H", &cookie, &refresh]);
    assert!(status == 200 && body.contains("apicatalog"), "{head}{body}");
    let listed = asked("/zlux/ui/v1/plugins");
    let plugin = &listed["pluginDefinitions"][0];
    assert_eq!((&plugin["identifier"], &listed["problems"]), (&json!("org.tender.api-catalog"), &json!([])));
    let page = asked(&format!("/zlux/ui/v1/{}", plugin["start"].as_str().unwrap()));
    assert!(page.as_str().unwrap().contains(&format!("{public}/apicatalog/ui/v1/")), "{page}");
    asked(&format!("/zlux/ui/v1/{}", plugin["icon"].as_str().unwrap()));
    here.tender("stop").ends(0);
}

#[test]
fn pages_that_are_not_configured_well_say_so_and_how_to_go_on() {
    let tender = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tender")).args(words).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    for service in ["catalog", "desktop"] {
        let (code, said) = tender(&[service, "run"]);
        assert!(code == Some(16) && said.contains("--plain"), "{service}: {code:?} {said}");
        let (code, said) = tender(&[service, "run", "--plain", "--gateway", "nowhere"]);
        assert!(code == Some(24) && said.contains("`nowhere` of --gateway"), "{service}: {code:?} {said}");
        let words = [service, "run", "--plain", "--open", "--check"];
        let (code, said) = tender(&words);
        assert!(code == Some(0) && said.contains("would let everybody"), "{service}: {code:?} {said}");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let (code, said) = tender(&[service, "run", "--plain", "--open", "--listen", &address]);
        assert!(code == Some(12) && said.contains(&address), "{service}: {code:?} {said}");
    }
    let (code, said) = tender(&["catalog", "run", "--plain", "--discovery", "ftp://h/"]);
    assert!(code == Some(24) && said.contains("`ftp://h/` of --discovery"), "{code:?} {said}");
}

#[test]
fn api_document_is_checked_before_anybody_serves_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("api.yaml");
    let check = |text: &str, more: &[&str]| {
        fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
        command.args(["catalog", "check"]).arg(&file).args([
            "--service",
            "payroll",
            "--route",
            "api/v1=/payroll/api",
        ]);
        let output = command.args(more).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let document =
        "openapi: 3.0.0\nservers: [{url: /payroll}]\npaths: {/api/a: {get: {}}, /admin: {get: {}}}\n";
    let (code, said) = check(document, &[]);
    assert!(code == Some(4) && said.contains("no route leads to /admin"), "{code:?} {said}");
    assert!(said.contains("1 operations would be at https://localhost:7554/payroll/api/v1"), "{said}");
    let (code, said) = check(document, &["--route", "api/v2=/payroll/admin", "--json"]);
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &answer["data"]["unreachable"]), (Some(0), &json!([])), "{said}");
    let (code, said) = check("{\n\"openapi\": }", &[]);
    assert!(code == Some(16) && said.contains("line 2 column 12"), "{code:?} {said}");
    fs::remove_file(&file).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tender"))
        .args(["catalog", "check", "/no/file", "--service", "s", "--route", "a=b"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(28));
}
