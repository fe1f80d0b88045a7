//! A principal with a small release, and what a vendor makes for it.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tender_content::NoProgress;
use tender_package::{ComponentName, FixId, LevelName, Outcome, ReturnCode, SystemName, Variant, Vrm};
use tender_service::envelope::{FixSource, Options, create};
use tender_service::link::Patience;
use tender_service::shapes::{EnvelopeKind, Fix, Requisite};
use tender_service::system::Target;
use tender_service::verbs::{
    Initialize, ServiceFunction, SrvlvlAdd, SrvlvlPackage, SrvlvlSend, SrvlvlService, SystemAdd, VendorSet,
};
use tender_service::{Context, Mode, Principal, Verb, perform};

use crate::fleet::FileFleet;

pub(crate) struct Site {
    pub(crate) dir: PathBuf,
    pub(crate) principal: Principal,
    pub(crate) fleet: FileFleet,
    /// Removes the directory at the end; a child process works in its parent's.
    _own: Option<tempfile::TempDir>,
}

pub(crate) fn vrm() -> Vrm {
    Vrm::new("720").unwrap()
}

pub(crate) fn level(name: &str) -> LevelName {
    LevelName::new(name).unwrap()
}

pub(crate) fn fix_id(name: &str) -> FixId {
    FixId::new(name).unwrap()
}

pub(crate) fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn fix(id: &str, component: &str) -> Fix {
    Fix {
        id: fix_id(id),
        component: ComponentName::new(component).unwrap(),
        description: format!("corrects {component}"),
        problems: Vec::new(),
        requisites: Vec::new(),
        supersedes: Vec::new(),
        holds: Vec::new(),
        memo: None,
        categories: Vec::new(),
        parts: Vec::new(),
    }
}

/// A fix, the parts it lays down with their text, and the fix whose result it starts from instead of the media.
pub(crate) type Change<'a> = (Fix, &'a [(&'a str, &'a str)], Option<&'a str>);

pub(crate) const CONFIG: &str = "one = 1\ntwo = 2\nthree = 3\nfour = 4\nfive = 5\nsix = 6\n";

impl Site {
    pub(crate) fn new() -> Self {
        let own = tempfile::tempdir().unwrap();
        let dir = own.path().to_owned();
        media(&dir);
        Self { _own: Some(own), ..Self::open(&dir) }
    }

    /// Opens the site that another process works in too.
    pub(crate) fn open(dir: &Path) -> Self {
        let principal = Principal::open(&dir.join("principal")).unwrap();
        Self { dir: dir.to_owned(), principal, fleet: FileFleet::new(&dir.join("fleet")), _own: None }
    }

    /// A site where the release is initialised and the vendor known.
    pub(crate) fn initialised() -> Self {
        let site = Self::new();
        site.initialise();
        site
    }

    pub(crate) fn initialise(&self) {
        self.done(&self.initialize());
        self.run(&VendorSet { name: "acme".to_owned(), key: None, is_unsigned: true });
    }

    pub(crate) fn initialize(&self) -> Initialize {
        Initialize { vrm: vrm(), from: self.dir.join("media") }
    }

    pub(crate) fn perform(&self, verb: &dyn Verb, mode: Mode) -> Outcome {
        let patience = Patience { poll_first_ms: 1, poll_max_ms: 5, deadline_ms: 10_000 };
        let context = Context {
            operator: "operator".to_owned(),
            fleet: &self.fleet,
            enroller: &self.fleet,
            progress: &NoProgress,
            now: Timestamp::now,
            patience,
        };
        perform(verb, &self.principal, &context, mode)
    }

    pub(crate) fn run(&self, verb: &dyn Verb) -> Outcome {
        self.perform(verb, Mode::Run)
    }

    /// Runs a verb that must end without fault.
    #[track_caller]
    pub(crate) fn done(&self, verb: &dyn Verb) -> Outcome {
        let outcome = self.run(verb);
        assert!(outcome.code <= ReturnCode::Warning, "{}: {:#?}", verb.word(), outcome.messages);
        outcome
    }

    /// Runs a verb that must end with this return code, and returns what it said.
    #[track_caller]
    pub(crate) fn refused(&self, verb: &dyn Verb, code: ReturnCode) -> String {
        let outcome = self.run(verb);
        assert_eq!(outcome.code, code, "{}: {:#?}", verb.word(), outcome.messages);
        let lines = outcome
            .messages
            .iter()
            .map(|message| format!("{message} [{}]", message.hint.as_deref().unwrap_or_default()));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Makes an envelope of one fix that lays `parts` over a component of the media, or over what `over` made.
    pub(crate) fn envelope(&self, name: &str, fixes: Vec<Change<'_>>) -> PathBuf {
        self.envelope_with_memo(name, None, fixes)
    }

    pub(crate) fn envelope_with_memo(
        &self,
        name: &str,
        memo: Option<&str>,
        fixes: Vec<Change<'_>>,
    ) -> PathBuf {
        let mut sources = Vec::new();
        for (fix, parts, over) in fixes {
            let component = fix.component.to_string();
            let from = match over {
                Some(earlier) => self.dir.join("made").join(earlier).join(&component),
                None => self.dir.join("media").join(&component),
            };
            let to = self.dir.join("made").join(fix.id.as_str()).join(&component);
            copy(&from, &to);
            for (path, text) in parts {
                write(to.join(path), text);
            }
            sources.push(FixSource { fix, from: Some(from), to, is_overlay: false });
        }
        let options = Options {
            name: name.to_owned(),
            kind: EnvelopeKind::Rsu,
            vendor: "acme".to_owned(),
            vrm: Some(vrm()),
            memo: memo.map(str::to_owned),
            holds: Vec::new(),
        };
        let out = self.dir.join(format!("{name}.envelope"));
        create(sources, &options, None, &out, &NoProgress).unwrap();
        out
    }

    /// The first RSU: UM1 changes alpha, UM2 changes beta and needs UM1.
    pub(crate) fn rsu1(&self) -> PathBuf {
        let mut second = fix("UM2", "beta");
        second.requisites.push(Requisite::Pre { fix: fix_id("UM1") });
        self.envelope(
            "rsu1",
            vec![
                (fix("UM1", "alpha"), &[("lib/a.txt", "a1\n")], None),
                (second, &[("src/b.txt", "b1\n")], None),
            ],
        )
    }

    /// The second RSU: UM3 supersedes UM1.
    pub(crate) fn rsu2(&self) -> PathBuf {
        let mut third = fix("UM3", "alpha");
        third.supersedes.push(fix_id("UM1"));
        third.memo = Some("read this first".to_owned());
        let config = CONFIG.replace("six = 6", "six = 66");
        self.envelope("rsu2", vec![(third, &[("lib/a.txt", "a2\n"), ("etc/app.conf", &config)], Some("UM1"))])
    }

    pub(crate) fn add_level(&self, name: &str, basedon: &str) {
        self.done(&SrvlvlAdd {
            vrm: vrm(),
            level: level(name),
            basedon: level(basedon),
            variant: None,
            description: "test".to_owned(),
        });
    }

    pub(crate) fn service(&self, name: &str, envelope: &Path) -> SrvlvlService {
        SrvlvlService {
            vrm: vrm(),
            level: level(name),
            component: None,
            envelopes: vec![envelope.to_owned()],
            select: Vec::new(),
            exclude: Vec::new(),
            include: Vec::new(),
            function: ServiceFunction::Install,
            redo: false,
        }
    }

    pub(crate) fn package(&self, name: &str) -> SrvlvlPackage {
        SrvlvlPackage { vrm: vrm(), level: level(name), memory_bytes_max: None }
    }

    pub(crate) fn send(&self, name: &str, target: &str, is_stable: bool) -> SrvlvlSend {
        SrvlvlSend {
            memory_bytes_max: None,
            vrm: vrm(),
            level: level(name),
            target: target.parse::<Target>().unwrap(),
            is_stable,
            lose: Vec::new(),
            is_repacked: false,
            force: None,
            parallel_max: None,
        }
    }

    pub(crate) fn system_add(&self, name: &str, level_name: &str) -> SystemAdd {
        SystemAdd {
            vrm: vrm(),
            system: SystemName::new(name).unwrap(),
            level: level(level_name),
            variant: Variant::default(),
            host: "localhost".to_owned(),
            port: 4535,
            is_tls_required: true,
        }
    }

    /// Adds a system that runs BASE.
    pub(crate) fn add_system(&self, name: &str) {
        let base = self.base();
        self.fleet.install(name, base, Some(base));
        self.done(&self.system_add(name, "BASE"));
        self.done(&self.system_add(name, "BASE"));
    }

    pub(crate) fn base(&self) -> tender_content::Digest {
        let data = self.query("BASE");
        serde_json::from_value(data["content"].clone()).unwrap()
    }

    /// Returns what SRVLVL QUERY says for machines.
    pub(crate) fn query(&self, name: &str) -> serde_json::Value {
        let query = tender_service::verbs::SrvlvlQuery { vrm: vrm(), level: Some(level(name)), system: None };
        self.done(&query).data
    }

    /// Reads a part of a level as it would run.
    pub(crate) fn part(&self, name: &str, component: &str, path: &str) -> Option<String> {
        let setup = tender_service::verbs::SrvlvlVmfsetup {
            vrm: vrm(),
            level: level(name),
            component: Some(ComponentName::new(component).unwrap()),
        };
        let data = self.done(&setup).data;
        let key = format!("TENDER_COMPONENT_{}", component.to_ascii_uppercase());
        let dir = data["environment"][key].as_str().unwrap().to_owned();
        fs::read_to_string(Path::new(&dir).join(path)).ok()
    }
}

/// Install media of two components; beta is built.
fn media(dir: &Path) {
    let media = dir.join("media");
    write(media.join("alpha/lib/a.txt"), "a0\n");
    write(media.join("alpha/etc/app.conf"), CONFIG);
    write(media.join("beta/src/b.txt"), "b0\n");
    write(media.join("beta/build.sh"), "mkdir -p out && tr a-z A-Z < src/b.txt > out/b.txt\n");
    let manifest = "name: beta\ntender:\n  restart: web\n  build:\n    - object: out\n      inputs: [\"src/*\"]\n      command: [sh, build.sh]\n      outputs: [out/b.txt]\n      keep_inputs: true\n";
    write(media.join("beta/manifest.yaml"), manifest);
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
