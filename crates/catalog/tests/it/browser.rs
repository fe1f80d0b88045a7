//! Pages in a real, headless browser.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::json;

use crate::world::{Reply, SAMPLE, World, curl, kept};

const PACKAGES: &[&str] = &["playwright-core@1.65.0", "axe-core@4.14.0"];
/// What they need is taken as of this day.
const BEFORE: &str = "2026-11-25";
const ATTEMPTS: usize = 3;

/// Returns a `node_modules` with the driver of the browser and the checks of accessibility.
fn modules() -> &'static Path {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    MODULES.get_or_init(|| {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("catalog-npm");
        let (modules, done) = (prefix.join("node_modules"), prefix.join(PACKAGES.join(" ")));
        if done.exists() {
            return modules;
        }
        std::fs::create_dir_all(&prefix).unwrap();
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]);
            npm.args(["--no-package-lock", "--prefix"]).arg(&prefix);
            let output = npm.arg(format!("--before={BEFORE}")).args(PACKAGES).output();
            let output =
                output.unwrap_or_else(|fault| panic!("npm does not start (Debian package npm): {fault}"));
            if output.status.success() {
                std::fs::write(&done, "").unwrap();
                return modules;
            }
            said = text(&output);
        }
        panic!(
            "npm did not give {} in {ATTEMPTS} attempts; this test needs them: {said}",
            PACKAGES.join(" ")
        );
    })
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a script of `tests/browser` against what is at `base`, and wants every step of it to be well.
pub(crate) async fn run(script: &str, base: String) {
    let chromium =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser"].iter().find(|path| Path::new(path).exists());
    let chromium = chromium.expect("this test needs a browser: Debian package chromium");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(script);
    let output = tokio::task::spawn_blocking(move || {
        let mut node = Command::new("timeout");
        node.args(["600", "node"]).arg(&script);
        node.env("BASE", base).env("CHROMIUM", chromium).env("MODULES", modules());
        node.env("SCREENSHOTS", kept("screenshots")).output().unwrap()
    });
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

/// An API document with everything that pages show.
fn document() -> String {
    json!({
        "openapi": "3.0.0", "info": { "title": "Pets", "version": "1.0.0", "description": "All about [pets](https://pets.example.com/)." },
        "servers": [{ "url": "/sample/api" }],
        "paths": {
            "/pets": {
                "get": { "tags": ["Pets"], "summary": "All of them", "responses": { "200": { "description": "Pets",
                    "content": { "application/json": { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Pet" } } } } } } },
                "post": { "tags": ["Pets"], "deprecated": true, "responses": { "201": { "description": "Made" } } },
            },
            "/pets/{id}": {
                "parameters": [{ "name": "id", "in": "path", "required": true, "description": "Which pet", "schema": { "type": "string" } }],
                "put": {
                    "tags": ["Pets"], "summary": "Changes one",
                    "parameters": [
                        { "name": "verbose", "in": "query", "schema": { "type": "string" } },
                        { "name": "X-Trace", "in": "header", "schema": { "type": "string" } },
                    ],
                    "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Pet" } } } },
                    "responses": { "default": { "description": "Done" } },
                },
            },
        },
        "components": { "schemas": { "Pet": { "type": "object", "required": ["name"], "properties": {
            "name": { "type": "string", "maxLength": 40 },
            "kind": { "type": "string", "enum": ["cat", "dog"] },
            "friend": { "$ref": "#/components/schemas/Pet" },
        } } } },
    })
    .to_string()
}

/// An API document that wants to be more than text.
fn hostile_document() -> String {
    let script = "<script>globalThis.owned = 1</script><img src=x onerror=\"globalThis.owned = 1\">";
    json!({
        "swagger": "2.0",
        "info": { "title": script, "version": { "a": 1 }, "description": format!("{script} [click](javascript:alert(1)) [data](data:text/html,x)") },
        "externalDocs": { "url": "javascript:alert(1)", "description": script },
        "paths": {
            format!("/{script}"): { "get": { "tags": [script], "summary": script, "parameters": "none", "responses": [1, 2] } },
            "/x": { "post": {
                "tags": { "a": 1 }, "summary": 7, "description": script,
                "parameters": [null, 7, { "name": script, "in": "query", "type": ["string"], "enum": [script], "description": script },
                    { "in": "body", "name": "b", "schema": { "$ref": "#/definitions/Loop" } }],
                "responses": { "200": { "description": script, "schema": { "$ref": "#/definitions/__proto__" } } },
            } },
        },
        "definitions": { "Loop": { "$ref": "#/definitions/Loop" } },
    })
    .to_string()
}

fn thousand() -> String {
    let mut text = String::new();
    let mut tiles = String::from("catalogUiTiles:\n");
    for at in 0..999 {
        writeln!(
            text,
            "  - serviceId: s{at}\n    title: Service {at} of many\n    catalogUiTileId: t{at}\n    instanceBaseUrls: ['http://localhost:SERVICE/s{at}']"
        )
        .unwrap();
        writeln!(tiles, "  t{at}: {{title: Tile {at}, description: One of many}}").unwrap();
    }
    format!("services:\n{text}{tiles}")
}

/// A service that is announced rather than defined, and may so say anything of its pages.
async fn announce(world: &World, service: &str, status: &str, metadata: serde_json::Value) {
    let port = world.service_at.port;
    let instance = json!({ "instance": {
        "instanceId": format!("localhost:{service}:{port}"), "app": service, "hostName": "localhost",
        "ipAddr": "127.0.0.1", "status": status, "vipAddress": service,
        "port": { "$": port, "@enabled": "true" }, "securePort": { "$": 0, "@enabled": "false" },
        "homePageUrl": "javascript:alert(1)", "statusPageUrl": "javascript:alert(2)", "healthCheckUrl": "data:text/html,x",
        "dataCenterInfo": { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn" },
        "metadata": metadata,
    } });
    let url = format!("http://localhost:{}/eureka/apps/{service}", world.discovery_port());
    let text = instance.to_string();
    curl(&["-H", "Content-Type: application/json", "-d", &text, &url]).await.is(204, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn catalog_is_used_by_people_with_a_keyboard_and_a_thousand_services() {
    let world = World::new(&thousand()).await;
    world.define("sample", SAMPLE).await;
    world.service.set("/sample/docs", Reply::json(document()));
    world.service.set("/hostile/docs", Reply::json(hostile_document()));
    world.service.set("/broken/docs", Reply::status(404));
    let image = "<img src=x onerror=alert(1)>";
    let about = |service: &str, title: &str| {
        json!({
            "apiml.service.title": title, "apiml.service.description": title,
            "apiml.catalog.tile.id": "announced", "apiml.catalog.tile.title": format!("{title} tile"),
            "apiml.routes.api.gatewayUrl": "api/v1", "apiml.routes.api.serviceUrl": "/",
            "apiml.apiInfo.0.apiId": format!("{title}\"'"), "apiml.apiInfo.0.gatewayUrl": "api/v1", "apiml.apiInfo.0.version": "1.0.0",
            "apiml.apiInfo.0.documentationUrl": "javascript:alert(3)",
            "apiml.apiInfo.0.swaggerUrl": format!("/{service}/docs"),
        })
    };
    announce(&world, "hostile", "UP", about("hostile", image)).await;
    let mut broken = about("broken", "Broken");
    broken["apiml.catalog.tile.id"] = "fallen".into();
    announce(&world, "broken", "DOWN", broken).await;
    announce(&world, "untiled", "UP", json!({ "apiml.service.title": "Untiled" })).await;
    world.follow().await;
    run("catalog.mjs", format!("http://localhost:{}", world.gateway_at.port)).await;
}
