//! Discovery as a component that the launcher runs, with another whose definition the launcher renders.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::installation::Installation;
use crate::world::{copy, free_ports, wait_until};

const DEFINITION: &str = "\
services:
  - serviceId: echo
    title: Echo
    instanceBaseUrls:
      - http://127.0.0.1:${ZWE_configs_port}
    routes:
      - gatewayUrl: api/v1
        serviceRelativeUrl: /
";

#[test]
fn launcher_runs_discovery_and_what_components_define_is_found_there() {
    let here = Installation::new();
    let components = here.path("product/components");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../components/discovery");
    copy(&ours, &components.join("discovery"));
    fs::create_dir_all(here.path("product/bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tender"), here.path("product/bin/tender")).unwrap();
    let manifest = components.join("echo/manifest.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    let text = text.replace("tender:\n", "apimlServices:\n  static:\n    - file: api.yml\ntender:\n");
    fs::write(&manifest, text).unwrap();
    fs::write(components.join("echo/api.yml"), DEFINITION).unwrap();
    here.tender("certificate init --update-config").ends(0);
    let port = free_ports();
    here.tender("component enable discovery").ends(0);
    here.tender(&format!("config set components.discovery.port={port}")).ends(0);

    here.tender("component verify discovery").ends(0);
    here.tender("start").ends(0);
    here.await_state("discovery", "READY");
    assert_eq!(here.component("discovery")["ports"], serde_json::json!([port]));
    let keys = here.path("instance/keystore/localhost");
    let ask = |path: &str| {
        let at = |name: &str| keys.join(name).display().to_string();
        let output = Command::new("curl")
            .args(["-fsS", "-m", "20", "--cacert", &at("local_ca.cer"), "--cert", &at("localhost.cer")])
            .args(["--key", &at("localhost.key"), "-H", "Accept: application/json"])
            .arg(format!("https://localhost:{port}{path}"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).map_err(|_| said)
    };
    let echo = ask("/eureka/apps/ECHO").unwrap();
    let instance = &echo["application"]["instance"][0];
    assert_eq!(instance["instanceId"], format!("STATIC-127.0.0.1:echo:{}", here.port));
    assert_eq!(instance["metadata"]["apiml.routes.api-v1.gatewayUrl"], "api/v1");
    assert!(ask("/eureka/apps/DISCOVERY").is_ok());

    // What is configured anew is found without a restart of discovery.
    let pid = here.pid("discovery");
    fs::write(components.join("echo/api.yml"), DEFINITION.replace("serviceId: echo", "serviceId: echoes"))
        .unwrap();
    here.tender("restart echo --reconfigure").ends(0);
    wait_until("the new definition", || {
        ask("/eureka/apps/ECHOES").is_ok() && ask("/eureka/apps/ECHO").is_err()
    });
    assert_eq!(here.pid("discovery"), pid);
    here.tender("stop").ends(0);
}

#[test]
fn discovery_without_certificates_is_refused_before_anything_starts() {
    let here = Installation::new();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../components/discovery");
    copy(&ours, &here.path("product/components/discovery"));
    fs::create_dir_all(here.path("product/bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tender"), here.path("product/bin/tender")).unwrap();
    here.tender("component enable discovery").ends(0);
    let answer = here.tender("start");
    assert!(answer.code.is_some_and(|code| code >= 4), "{}", answer.text);
    answer.says("discovery").says("ZWEAM508E");
}
