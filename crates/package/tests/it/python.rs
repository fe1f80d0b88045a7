//! Independence: python-tuf reads what we write, and refuses what we refuse.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::Timestamp;
use tender_package::Mode;
use tender_package::manifest::target;
use tender_package::repository::{Expiry, TargetCustom};

use crate::fixture::{Fixture, SERVLINK, content, level};

/// The client the test was written against.
const REQUIREMENT: &str = "tuf==6.0.0";
const ATTEMPTS: usize = 3;

/// Returns a Python that has python-tuf, installing it below `target/` at first use.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let venv = target.join("python-tuf");
    let python = venv.join("bin/python");
    let has_tuf = |python: &Path| {
        python.exists() && run(Command::new(python).args(["-c", "import tuf.ngclient"])).status.success()
    };
    if has_tuf(&python) {
        return python;
    }
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    assert!(made.status.success(), "python3 -m venv failed (Debian package python3-venv): {}", text(&made));
    let mut said = String::new();
    for _ in 0..ATTEMPTS {
        let pip = run(Command::new(&python).args(["-m", "pip", "install", "--quiet", REQUIREMENT]));
        if pip.status.success() && has_tuf(&python) {
            return python;
        }
        said = text(&pip);
    }
    panic!("PyPI did not give {REQUIREMENT} in {ATTEMPTS} attempts; this test needs it: {said}");
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

struct Client<'f> {
    fixture: &'f Fixture,
    python: PathBuf,
}

impl Client<'_> {
    fn download(&self, repository: &Path, name: &str) -> Output {
        let dir = self.fixture.dir.path();
        let root = dir.join("root.json");
        std::fs::write(&root, self.fixture.keys.trusted_root()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/client.py");
        run(Command::new(&self.python).arg(script).args([
            repository,
            &dir.join("client"),
            &root,
            Path::new(name),
            &dir.join("out"),
        ]))
    }
}

#[test]
fn python_tuf_on_our_repository_downloads_and_refuses_as_it_should() {
    let fixture = Fixture::new(Timestamp::now(), &Expiry::default());
    let client = Client { fixture: &fixture, python: python() };
    let out = fixture.dir.path().join("out");
    let old = fixture.dir.path().join("old");
    fixture.receive(&old);

    let output = client.download(&fixture.repo(), SERVLINK);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(std::fs::read(&out).unwrap(), vec![7; 300_000]);

    let custom = TargetCustom { state: Mode::Stable, content: content(), generation: 1 };
    fixture.open().set_custom(&target::manifest(&level()), &custom, Timestamp::now()).unwrap();
    let output = client.download(&fixture.repo(), &target::manifest(&level()));
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("STABLE"), "{}", text(&output));

    // The client has seen the newer timestamp and must not go back.
    let output = client.download(&old, SERVLINK);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("BadVersionNumberError"), "{}", text(&output));

    let path = fixture.open().files_for(&[SERVLINK.to_owned()]).unwrap()[0].path.clone();
    let mut bytes = vec![7; 300_000];
    bytes[299_999] = 8;
    std::fs::write(fixture.repo().join(path), bytes).unwrap();
    std::fs::remove_file(&out).unwrap();
    let output = client.download(&fixture.repo(), SERVLINK);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("LengthOrHashMismatchError"), "{}", text(&output));
    assert!(!out.exists());
}
