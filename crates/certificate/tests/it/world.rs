//! A key store directory, and the programs of others that look at it.

use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use jiff::{Timestamp, ToSpan};
use tempfile::TempDir;
use tender_certificate::{
    Check, CheckStatus, Layout, RuntimeCertificate, VerifyRequest,
    setup::{self, Outcome, Plan, SetupError, SetupRequest},
    verify,
};

pub(crate) struct World {
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn keystore_dir(&self) -> PathBuf {
        self.path("keystore")
    }

    pub(crate) fn request(&self) -> SetupRequest {
        SetupRequest {
            host_names: vec!["gateway.example.com".to_owned(), "192.0.2.7".to_owned()],
            ..SetupRequest::new(&self.keystore_dir())
        }
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(&self.keystore_dir(), "localhost", "local_ca").unwrap()
    }

    pub(crate) fn set_up(&self) -> Outcome {
        set_up(&self.request()).unwrap()
    }

    /// The file in the directory of the certificate.
    pub(crate) fn leaf(&self, file: &str) -> String {
        self.layout().leaf(file).display().to_string()
    }

    /// Runs OpenSSL in the directory of the test; its output when it succeeded.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        let (is_well, text) = self.try_openssl(arguments);
        assert!(is_well, "openssl {arguments:?}: {text}");
        text
    }

    /// The same with arguments that have no blanks.
    pub(crate) fn openssl_words(&self, arguments: &str) -> String {
        self.openssl(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn try_openssl(&self, arguments: &[&str]) -> (bool, String) {
        output(Command::new("openssl").args(arguments).current_dir(self.dir.path()))
    }

    /// A key and a self-signed certificate `<name>.key`, `<name>.pem` made by OpenSSL.
    pub(crate) fn openssl_authority(&self, name: &str) {
        self.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "300",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
    }

    /// A certificate `<name>.pem` signed by the authority `ca`, for `<name>.example.com`.
    pub(crate) fn openssl_leaf(&self, name: &str, ca: &str, days: &str) {
        fs::write(
            self.path(&format!("{name}.ext")),
            format!("subjectAltName=DNS:{name}.example.com\nextendedKeyUsage=serverAuth,clientAuth\n"),
        )
        .unwrap();
        self.openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.csr"),
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &format!("{name}.csr"),
            "-CA",
            &format!("{ca}.pem"),
            "-CAkey",
            &format!("{ca}.key"),
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            &format!("{name}.ext"),
            "-out",
            &format!("{name}.pem"),
        ]);
    }

    /// A store `<name>.p12` of the key and certificate `<name>` and the chain in `ca`; password `s3cret`.
    pub(crate) fn openssl_store(&self, name: &str, ca: &str, further: &[&str]) -> PathBuf {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let (ca, out) = (format!("{ca}.pem"), format!("{name}.p12"));
        let mut arguments = vec![
            "pkcs12",
            "-export",
            "-inkey",
            &key,
            "-in",
            &certificate,
            "-certfile",
            &ca,
            "-name",
            name,
            "-passout",
            "pass:s3cret",
            "-out",
            &out,
        ];
        arguments.extend(further);
        self.openssl(&arguments);
        self.path(&out)
    }

    /// Runs keytool with the password in a file; `None` when there is no Java.
    pub(crate) fn keytool(&self, arguments: &[&str]) -> Option<String> {
        if Command::new("keytool").arg("-help").output().is_err() {
            println!("skipped: there is no keytool on this machine");
            return None;
        }
        let (is_well, text) =
            output(Command::new("keytool").args(arguments).env("LC_ALL", "C").current_dir(self.dir.path()));
        assert!(is_well, "keytool {arguments:?}: {text}");
        Some(text)
    }

    /// What keytool lists of a store, whose password is in a file.
    pub(crate) fn keytool_list(&self, store: &str, password_file: &str) -> Option<String> {
        self.keytool(&[
            "-list",
            "-v",
            "-storetype",
            "PKCS12",
            "-keystore",
            store,
            "-storepass:file",
            password_file,
        ])
    }

    /// The names in a directory, sorted.
    pub(crate) fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

pub(crate) fn planned(request: &SetupRequest) -> Result<Plan, SetupError> {
    let now = Timestamp::now();
    setup::plan(request, setup::observe(request, now)?, now)
}

pub(crate) fn set_up(request: &SetupRequest) -> Result<Outcome, SetupError> {
    setup::execute(&planned(request)?)
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

pub(crate) fn in_days(days: i64) -> Timestamp {
    Timestamp::now() + (days * 24).hours()
}

/// The checks at a moment, for hosts.
pub(crate) fn checks(certificate: &RuntimeCertificate, hosts: &[&str], now: Timestamp) -> Vec<Check> {
    let host_names: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    verify(&VerifyRequest { certificate, host_names: &host_names, now, warn_days: 30 })
}

pub(crate) fn failed(checks: &[Check]) -> Vec<&Check> {
    checks.iter().filter(|check| check.status == CheckStatus::Failed).collect()
}

/// Asserts that exactly the checks of this kind failed and that one of them says this.
pub(crate) fn assert_fails(checks: &[Check], what: &str, text: &str) {
    let failed = failed(checks);
    assert!(!failed.is_empty() && failed.iter().all(|check| check.what == what), "{checks:#?}");
    assert!(failed.iter().any(|check| check.text.contains(text)), "{failed:#?}");
}

pub(crate) fn output(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Runs one of the ignored tests in a process of its own, with `directory` in its environment.
pub(crate) fn child(test: &str, program: &OsStr, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", test, "--ignored", "--nocapture"]).env("KEYSTORE_DIRECTORY", directory);
    command
}

/// An OpenSSL server on a port of its choice.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(world: &World, arguments: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(world.dir.path())
            // The server reads its commands from there; it must not see an end.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let port = port_of(&mut reader);
        // A full pipe would stop the server.
        thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn port_of(reader: &mut BufReader<ChildStdout>) -> u16 {
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 0 {
        if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
            return address.rsplit(':').next().unwrap().parse().unwrap();
        }
        line.clear();
    }
    panic!("the server ended before it accepted connections");
}
