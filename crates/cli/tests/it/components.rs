//! Extensions, certificates, checks and bundles of an instance.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::installation::{Installation, script};

/// Makes an extension of one version in a directory.
fn extension(here: &Installation, directory: &str, version: &str, install: &str) {
    let root = here.path(directory);
    script(&root.join("bin/start.sh"), "exec sleep 100000");
    script(&root.join("bin/install.sh"), install);
    fs::write(
        root.join("manifest.yaml"),
        format!(
            "name: bell\nversion: {version}\ncommands:\n  install: bin/install.sh\n  start: bin/start.sh\n"
        ),
    )
    .unwrap();
}

fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn extension_is_installed_upgraded_rolled_back_and_removed() {
    let here = Installation::new();
    extension(&here, "one", "1.0.0", "echo ringing > rung");
    run("tar", &["-czf", "one.tar.gz", "-C", "one", "."], &here.path(""));
    here.tender("component install one.tar.gz --check").ends(0).says("bell");
    assert!(!here.path("instance/extensions/bell").exists());
    here.tender("component install one.tar.gz").ends(0).says("bell").says("1.0.0");
    assert_eq!(fs::read_to_string(here.path("instance/extensions/bell/rung")).unwrap(), "ringing\n");
    here.tender("component install one.tar.gz").ends(16).says("upgrade");
    here.tender("component list").ends(0).says("bell").says("echo");
    assert!(here.tender("config get components.bell.enabled").ends(0).text.contains("true"));

    extension(&here, "bad", "2.0.0", "echo 'no tower' >&2; exit 3");
    run("tar", &["-cf", "bad.tar", "bad"], &here.path(""));
    let refused = here.tender("component upgrade bad.tar");
    assert_ne!(refused.code, Some(0));
    refused.says("no tower");
    here.tender("component list").says("1.0.0");
    assert!(here.path("instance/extensions/bell/rung").exists(), "the old one is back");

    extension(&here, "two", "2.0.0", "echo twice > rung");
    here.tender("component upgrade two").ends(0).says("2.0.0");
    here.tender("component disable bell").ends(0);
    assert!(here.tender("config get components.bell.enabled").text.contains("false"));
    here.tender("component enable bell").ends(0);
    here.tender("component uninstall echo").ends(16);
    here.tender("component uninstall bell").ends(0);
    assert!(!here.path("instance/extensions/bell").exists());
    here.tender("component uninstall bell").ends(28);
    here.tender("component enable nosuch").ends(28);
    here.tender("component install /nowhere/at/all").ends(28);
    // Without HA instances there is none to switch a component in.
    here.tender("component disable echo -i lpar1").ends(28).says("no HA instance is");
    here.tender("config validate").ends(0);
}

#[test]
fn archive_that_leaves_its_directory_is_refused() {
    let here = Installation::new();
    let python = "import tarfile, io\nt = tarfile.open('evil.tar', 'w')\nfor n in ['bell/manifest.yaml', \
                  '../../escaped']:\n    i = tarfile.TarInfo(n)\n    b = b'name: bell\\n'\n    i.size = len(b)\n    \
                  t.addfile(i, io.BytesIO(b))\nt.close()\n";
    run("python3", &["-c", python], &here.path(""));
    let refused = here.tender("component install evil.tar");
    assert_ne!(refused.code, Some(0), "{}", refused.text);
    assert!(!here.path("escaped").exists() && !here.path("instance/escaped").exists());
    assert!(!here.path("instance/extensions/bell").exists());
}

#[test]
fn certificates_of_an_instance_hold_for_openssl_and_are_renewed() {
    let here = Installation::new();
    here.tender("certificate verify").ends(28).says("certificate init");
    here.tender("certificate init --host api.example.com --check").ends(0);
    assert!(!here.path("instance/keystore").exists());
    here.tender("certificate init --host api.example.com --update-config").ends(0).says("api.example.com");
    here.tender("certificate verify").ends(0).says("passed");
    here.tender("validate").ends(0);
    let keystore = here.path("instance/keystore");
    let leaf = keystore.join("localhost/localhost.cer");
    let verified = run(
        "openssl",
        &[
            "verify",
            "-CAfile",
            "local_ca/local_ca.cer",
            "-verify_hostname",
            "api.example.com",
            "localhost/localhost.cer",
        ],
        &keystore,
    );
    assert!(verified.contains("OK"));
    let key = fs::metadata(keystore.join("localhost/localhost.key")).unwrap().permissions().mode();
    assert_eq!(key & 0o077, 0, "the key is its owner's alone");
    let shown = here.tender(&format!("certificate show {}", leaf.display())).ends(0).says("api.example.com");
    assert!(!shown.text.contains("PRIVATE KEY"));
    here.tender("certificate init").ends(16).says("--overwrite");
    here.tender("certificate renew --when-due").ends(0).says("nothing to renew");
    let before = fs::read(&leaf).unwrap();
    here.tender("certificate renew").ends(0);
    assert_ne!(fs::read(&leaf).unwrap(), before);
    here.tender("certificate verify").ends(0);
    let store = keystore.join("localhost/localhost.keystore.p12");
    let password = keystore.join("localhost/localhost.keystore.password");
    let export = format!(
        "certificate export {} --password-file {} --pem pem --private-key",
        store.display(),
        password.display()
    );
    here.tender(&export).ends(0);
    run("openssl", &["pkey", "-in", "localhost.key", "-noout"], &here.path("pem"));
}

#[test]
fn verification_looks_at_a_running_instance_from_outside() {
    let here = Installation::new();
    assert_ne!(here.tender("verify").code, Some(0));
    here.tender("start").ends(0);
    here.tender("verify").ends(0).says("echo");
    here.tender("stop echo").ends(0);
    assert_ne!(here.tender("verify").says("echo").code, Some(0));
}

#[test]
fn support_bundle_has_what_is_needed_and_no_secret() {
    let here = Installation::new();
    here.tender("certificate init --update-config").ends(0);
    let path = here.path("instance/keystore/localhost/localhost.keystore.password");
    let password = fs::read_to_string(path).unwrap().trim().to_owned();
    here.configure_more("  environments:\n    DB_PASSWORD: swordfish4711\n");
    // The secret in clear text is warned of.
    here.tender("start").ends(4).says("DB_PASSWORD");
    fs::create_dir_all(here.path("bundles")).unwrap();
    let document = here.json("support --target-dir bundles");
    assert_eq!(document["code"], 0, "{document}");
    let bundle = document["data"]["path"].as_str().unwrap();
    fs::create_dir_all(here.path("out")).unwrap();
    run("tar", &["-xzf", bundle, "-C", "out"], &here.path(""));
    let listed = run("find", &["out", "-type", "f"], &here.path(""));
    assert!(listed.contains("MANIFEST") && listed.contains("zowe.yaml"), "{listed}");
    for secret in ["swordfish4711", &password, "PRIVATE KEY"] {
        let found =
            Command::new("grep").args(["-raF", secret, "out"]).current_dir(here.path("")).output().unwrap();
        assert_eq!(found.status.code(), Some(1), "a secret is in the bundle: {found:?}");
    }
    assert!(!listed.contains(".p12") && !listed.contains(".key"), "{listed}");
}

#[test]
fn command_named_zwe_takes_its_words() {
    let here = Installation::new();
    let link = here.path("zwe");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tender"), &link).unwrap();
    let config = here.at("instance/zowe.yaml");
    let zwe = |words: &[&str]| {
        let mut command = Command::new(&link);
        command.args(words).args(["-c", &config]).env("TENDER_HOME", here.path("home"));
        command.output().unwrap()
    };
    assert_eq!(zwe(&["start"]).status.code(), Some(0));
    let output = zwe(&["internal", "get-launch-components"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "pulse,echo", "{output:?}");
    let output = zwe(&["config", "get", "--path", "components.echo.port"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains(&here.port.to_string()), "{output:?}");
    assert_eq!(zwe(&["stop"]).status.code(), Some(0));
    assert_eq!(zwe(&["init", "vsam"]).status.code(), Some(120));
}

#[test]
fn certificates_made_without_an_instance_are_taken_over_by_the_command_that_is_named() {
    let here = Installation::new();
    let made = here.tender("certificate init").ends(0);
    let command =
        made.text.split('`').find(|piece| piece.starts_with("tender certificate init --update-config"));
    let command = command.unwrap_or_else(|| panic!("no command: {}", made.text)).to_owned();
    assert!(made.text.contains("\nzowe:\n  certificate:\n    keystore:\n"), "{}", made.text);
    here.tender("certificate verify").ends(28);
    here.tender(command.strip_prefix("tender ").unwrap()).ends(0).says("is there already");
    here.tender("certificate verify").ends(0);
    here.tender("certificate show").ends(0).says("localhost").says("SHA-256");
    here.tender("certificate init").ends(16).says("--overwrite");
}

#[test]
fn change_of_components_says_how_it_is_taken_over() {
    let here = Installation::new();
    extension(&here, "one", "1.0.0", "true");
    for line in ["component install one", "component disable bell", "component uninstall bell"] {
        here.tender(line).ends(0).says("tender reload");
    }
}
