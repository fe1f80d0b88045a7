//! The desktop: what is listed, what is handed out, and windows in a browser.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tender_catalog::{Desktop, DesktopSettings};
use tender_certificate::tls::Roots;

use crate::browser;
use crate::world::{Running, SAMPLE, World, curl, outward, serve};

/// A directory of plugins as the launcher leaves it.
struct Plugins(tempfile::TempDir);

impl Plugins {
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(this.0.path().join("plugins")).unwrap();
        this
    }

    fn add(&self, definition: &Value, files: &[(&str, &str)]) {
        let identifier = definition["identifier"].as_str().unwrap();
        let location = self.0.path().join("pluginDirs").join(identifier);
        fs::create_dir_all(&location).unwrap();
        fs::write(location.join("pluginDefinition.json"), definition.to_string()).unwrap();
        for (name, text) in files {
            let path = location.join("web").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.point(identifier, &json!({ "identifier": identifier, "pluginLocation": location }));
    }

    fn point(&self, name: &str, pointer: &Value) {
        fs::write(self.0.path().join(format!("plugins/{name}.json")), pointer.to_string()).unwrap();
    }

    fn serve(&self, world: &World, is_open: bool) -> Running {
        let gateway = world.on_gateway("");
        let desktop = Desktop::new(DesktopSettings {
            outward: outward(Roots::of(Vec::new())),
            gateways: vec![gateway.parse().unwrap()],
            public: gateway,
            plugins: self.0.path().join("plugins"),
            places: BTreeMap::new(),
            is_open,
        });
        serve(desktop.unwrap())
    }
}

/// Defines an application as the launcher writes it for a page in a frame.
fn framed(identifier: &str, title: &str, content: &Value) -> Value {
    let mut web = json!({
        "framework": "iframe", "startingPage": "index.html",
        "launchDefinition": { "pluginShortNameKey": title, "pluginShortNameDefault": title, "imageSrc": "images/icon.svg" },
        "isSingleWindowApp": true, "defaultWindowStyle": { "width": 700, "height": 500 },
    });
    for (key, value) in content.as_object().unwrap() {
        web[key] = value.clone();
    }
    json!({ "identifier": identifier, "apiVersion": "2.0.0", "pluginVersion": "1.0.0", "pluginType": "application", "webContent": web })
}

const ICON: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>"#;

const NOTES: &str = "
export function mount(element, context) {
  const said = document.createElement('p');
  said.textContent = `mounted ${context.identifier}`;
  const button = document.createElement('button');
  button.textContent = 'Rename';
  button.addEventListener('click', () => context.setTitle('My notes'));
  element.append(said, button);
  return () => { globalThis.unmounted = (globalThis.unmounted ?? 0) + 1; };
}
";

#[tokio::test]
async fn applications_are_listed_to_everybody_and_their_files_to_users() {
    let (world, plugins) = (World::new(SAMPLE).await, Plugins::new());
    plugins.add(
        &framed("org.a", "A", &json!({})),
        &[("index.html", "<p style='color:red'>page"), ("images/icon.svg", ICON)],
    );
    plugins.point("org.broken", &json!({ "identifier": "org.broken", "pluginLocation": "/nowhere" }));
    fs::write(plugins.0.path().join("key"), "secret").unwrap();
    std::os::unix::fs::symlink("../../../key", plugins.0.path().join("pluginDirs/org.a/web/out")).unwrap();
    let desktop = plugins.serve(&world, false);
    let url = |path: &str| format!("http://localhost:{}{path}", desktop.port);
    let listed = curl(&[&url("/plugins")]).await;
    let listed = listed.is(200, "org.a").json();
    assert_eq!(listed["pluginDefinitions"][0]["webContent"]["framework"], "iframe");
    assert!(listed.get("problems").is_none(), "paths are for users alone: {listed}");
    let user = ["-u", "user:user"];
    curl(&[&user[..], &[&url("/plugins")]].concat()).await.is(200, "/nowhere/pluginDefinition.json");
    let page = url("/plugins/org.a/web/index.html");
    curl(&[&page]).await.is(401, "ZWEAS105E");
    let found = curl(&[&user[..], &[&page]].concat()).await;
    let policy = found.is(200, "text/html").header("content-security-policy").unwrap().to_owned();
    assert!(
        policy.contains(&format!("frame-src 'self' http://localhost:{}", world.gateway_at.port)),
        "{policy}"
    );
    for path in [
        "../pluginDefinition.json",
        "%2e%2e/pluginDefinition.json",
        "..%2f..%2f..%2fkey",
        "out",
        "images",
        "none",
        "%2fetc%2fpasswd",
    ] {
        let address = url(&format!("/plugins/org.a/web/{path}"));
        let answer = curl(&[&user[..], &[&address]].concat()).await;
        assert!(answer.status == 404 && !answer.body.contains("secret"), "{path}: {answer:?}");
    }
    curl(&[&user[..], &[&url("/plugins/org.nobody/web/index.html")]].concat()).await.is(404, "org.nobody");
    curl(&[&url("/ZLUX/plugins/org.a/web/index.html"), "-u", "user:user"]).await.is(200, "page");
    let open = plugins.serve(&world, true);
    curl(&[&format!("http://localhost:{}/plugins/org.a/web/images/icon.svg", open.port)])
        .await
        .is(200, "image/svg+xml");
    curl(&[&format!("http://localhost:{}/zlux", open.port)]).await.is(302, "location: /zlux/");
    curl(&[&format!("http://localhost:{}/application/health", open.port)]).await.is(200, "UP");
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_opened_moved_minimised_and_found_again() {
    let (world, plugins) = (World::new(SAMPLE).await, Plugins::new());
    let gateway = world.on_gateway("");
    let page = format!(
        "<!doctype html><html lang=en><head><title>API Catalog</title></head><body style='margin:0'>\
         <iframe title=catalog src='{gateway}/apicatalog/ui/v1/' style='border:0;width:100vw;height:100vh'></iframe></body></html>"
    );
    let icon = ("images/icon.svg", ICON);
    plugins.add(&framed("org.catalog", "API Catalog", &json!({})), &[("index.html", &page), icon]);
    plugins
        .add(&framed("org.notes", "Notes", &json!({ "framework": "module" })), &[("main.js", NOTES), icon]);
    plugins.add(&framed("org.old", "Old", &json!({ "framework": "angular2" })), &[icon]);
    let elsewhere = json!({ "startingPage": "https://elsewhere.example.com/" });
    plugins.add(&framed("org.wanderer", "Wanderer", &elsewhere), &[icon]);
    let hostile = json!({ "framework": "module", "entry": "../../nothing.js" });
    plugins.add(&framed("org.img", "<img src=x onerror=alert(1)>", &hostile), &[icon]);
    plugins.point(
        "org.lost",
        &json!({ "identifier": "org.lost", "pluginLocation": "x", "relativeTo": "$NOBODY" }),
    );
    let desktop = plugins.serve(&world, false);
    let definition = DEFINITION.replace("PORT", &desktop.port.to_string());
    world.define("desktop", &definition).await;
    browser::run("desktop.mjs", gateway).await;
}

const DEFINITION: &str = "\
services:
  - serviceId: zlux
    title: Desktop
    instanceBaseUrls: ['http://localhost:PORT']
    homePageRelativeUrl: /
    routes:
      - {gatewayUrl: ui/v1, serviceRelativeUrl: ''}
      - {gatewayUrl: api/v1, serviceRelativeUrl: ''}
";
