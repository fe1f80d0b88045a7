//! The Zowe CLI as it is published: it logs in at the gateway, configures itself by it, and lists data sets through it.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{Running, curl};
use crate::packages::zowe_cli;
use crate::world::{free_ports, wait_until};

/// Answers for z/OSMF, and tells in its answers which token it got.
const ZOSMF: &str = r#"
import http.server, json, sys
class Zosmf(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *arguments):
        pass
    def do_GET(self):
        token = 'apimlAuthenticationToken=' in self.headers.get('Cookie', '')
        if not token:
            status, answer = 401, {}
        elif self.path.startswith('/zosmf/restfiles/ds?dslevel='):
            names = [self.path.split('=')[1] + suffix for suffix in ('.A', '.B')]
            status, answer = 200, {'items': [{'dsname': name} for name in names], 'returnedRows': 2, 'JSONversion': 1}
        else:
            status, answer = 404, {'path': self.path}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Zosmf).serve_forever()
"#;

/// Runs the CLI with a home of its own; returns its code and what it said.
fn zowe(home: &Path, gateway: u16, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("node");
    command.arg(zowe_cli().join("@zowe/cli/lib/main.js")).args(words);
    command.args(["--host", "localhost", "--port", &gateway.to_string(), "--reject-unauthorized", "false"]);
    let output =
        command.env("ZOWE_CLI_HOME", home).env("FORCE_COLOR", "0").current_dir(home).output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.code(), text)
}

fn certificate(directory: &Path) {
    let mut command = Command::new("openssl");
    command.current_dir(directory).args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
    command.args(["-keyout", "gateway.key", "-out", "gateway.crt", "-subj", "/CN=localhost"]);
    let output = command.args(["-addext", "subjectAltName=DNS:localhost"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn cli_logs_in_configures_itself_lists_and_logs_out() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    certificate(directory.path());
    let file = |name: &str| directory.path().join(name).display().to_string();
    let ports = free_ports();
    let (discovery_port, gateway_port, zosmf_port) = (ports, ports + 1, ports + 2);
    let _discovery = Running::tender(
        &["discovery", "run", "--plain", "--listen", &format!("127.0.0.1:{discovery_port}")],
        discovery_port,
    );
    std::fs::write(file("zosmf.py"), ZOSMF).unwrap();
    let mut python = Command::new("python3");
    let _zosmf = Running::start(python.arg(file("zosmf.py")).arg(zosmf_port.to_string()), zosmf_port);
    register_zosmf(discovery_port, zosmf_port);
    let (crt, key) = (file("gateway.crt"), file("gateway.key"));
    let (listen, eureka) =
        (format!("127.0.0.1:{gateway_port}"), format!("http://127.0.0.1:{discovery_port}/eureka"));
    let _gateway = Running::tender(
        &[
            "gateway",
            "run",
            "--key",
            &key,
            "--certificate",
            &crt,
            "--trust",
            &crt,
            "--listen",
            &listen,
            "--discovery",
            &eureka,
            "--provider",
            "dummy",
        ],
        gateway_port,
    );
    let base = format!("https://localhost:{gateway_port}");
    wait_until("the gateway knows z/OSMF", || {
        curl(&["-k", &format!("{base}/ibmzosmf/api/v1/info")]).0 == 401
    });

    let login = ["auth", "login", "apiml", "--user", "user", "--password", "user", "--show-token"];
    let (code, said) = zowe(&home, gateway_port, &login);
    assert_eq!(code, Some(0), "{said}");
    let token =
        said.lines().map(str::trim).find(|line| line.starts_with("eyJ")).unwrap_or_else(|| panic!("{said}"));
    let with_token = ["--token-type", "apimlAuthenticationToken", "--token-value", token];
    let list = [&["files", "list", "ds", "USER", "--base-path", "ibmzosmf/api/v1"][..], &with_token].concat();
    let (code, said) = zowe(&home, gateway_port, &list);
    assert!(code == Some(0) && said.contains("USER.A") && said.contains("USER.B"), "{said}");
    let init = ["config", "auto-init", "--user", "user", "--password", "user", "--dry-run"];
    let (code, said) = zowe(&home, gateway_port, &init);
    assert!(code == Some(0) && said.contains(r#""basePath": "/ibmzosmf/api/v1""#), "{said}");
    let logout = [&["auth", "logout", "apiml"][..], &with_token].concat();
    let (code, said) = zowe(&home, gateway_port, &logout);
    assert!(code == Some(0) && said.contains("revoked"), "{said}");
    let (code, said) = zowe(&home, gateway_port, &list);
    assert!(code != Some(0), "the token was logged out: {said}");
    let wrong = ["auth", "login", "apiml", "--user", "user", "--password", "wrong"];
    let (code, said) = zowe(&home, gateway_port, &wrong);
    assert!(code != Some(0) && said.contains("401"), "{said}");
}

fn register_zosmf(discovery: u16, port: u16) {
    let document = json!({ "instance": {
        "instanceId": format!("localhost:ibmzosmf:{port}"), "app": "ibmzosmf", "hostName": "localhost",
        "ipAddr": "127.0.0.1", "status": "UP", "vipAddress": "ibmzosmf",
        "port": { "$": port, "@enabled": "true" }, "securePort": { "$": 0, "@enabled": "false" },
        "dataCenterInfo": { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn" },
        "metadata": {
            "apiml.routes.api_v1.gatewayUrl": "api/v1", "apiml.routes.api_v1.serviceUrl": "/",
            "apiml.service.title": "z/OSMF", "apiml.apiInfo.0.apiId": "ibm.zosmf",
            "apiml.apiInfo.0.gatewayUrl": "api/v1", "apiml.apiInfo.0.version": "1.0.0",
            "apiml.authentication.scheme": "zoweJwt",
        },
    } });
    let url = format!("http://127.0.0.1:{discovery}/eureka/apps/ibmzosmf");
    let (status, answer) = curl(&["-H", "Content-Type: application/json", "-d", &document.to_string(), &url]);
    assert_eq!(status, 204, "{answer}");
}
