//! Managed systems for tests: each is a directory, so that it survives when the principal is killed.
//!
//! A system verifies what it receives as a real one does, with the TUF client, and refuses what is not STABLE.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::{Digest, Progress};
use tender_package::manifest::{FORMAT, LevelManifest, LevelRef};
use tender_package::report::{BaseInfo, ServcheckReport, SlotInfo, SystemInfo, TestRun};
use tender_package::repository::Verified;
use tender_package::request::{PROTOCOL, Request, RequestResult, RequestState, Verb};
use tender_package::{Message, Mode, Outcome, Severity, SystemName, Variant, Vrm};
use tender_service::link::{
    Address, Enroller, Fleet, Invitation, LinkError, ManagedSystem, Reading, RepoFile, Welcome,
};

pub(crate) struct FileFleet {
    pub(crate) root: PathBuf,
    pub(crate) uploads: AtomicU32,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) info: SystemInfo,
    pub(crate) results: Vec<RequestResult>,
    pub(crate) loads: u32,
}

impl FileFleet {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), uploads: AtomicU32::new(0) }
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.root.join(name.to_ascii_uppercase())
    }

    /// Makes a system that runs `current`, or nothing yet.
    pub(crate) fn install(&self, name: &str, base: Digest, current: Option<Digest>) {
        let vrm = Vrm::new("720").unwrap();
        let level = LevelRef { vrm: vrm.clone(), level: "ADOPTED".parse().unwrap(), generation: 0 };
        let slot = |content| SlotInfo { level, content, mode: Mode::Stable, since: Timestamp::UNIX_EPOCH };
        let info = SystemInfo {
            protocol: PROTOCOL,
            format: FORMAT,
            tool: "test".to_owned(),
            system: name.to_ascii_uppercase(),
            clock: Timestamp::UNIX_EPOCH,
            variant: Variant::default(),
            is_managed: false,
            bases: vec![BaseInfo { vrm, base }],
            test: None,
            current: current.map(slot),
            previous: None,
            overrides: Vec::new(),
            open_requests: Vec::new(),
            free_bytes: 1 << 40,
            audit: None,
            changes: None,
            revocations: 0,
        };
        fs::create_dir_all(self.dir(name).join("incoming")).unwrap();
        self.save(name, &State { info, results: Vec::new(), loads: 0 });
    }

    pub(crate) fn load(&self, name: &str) -> State {
        serde_json::from_slice(&fs::read(self.dir(name).join("state.json")).unwrap()).unwrap()
    }

    pub(crate) fn save(&self, name: &str, state: &State) {
        let text = serde_json::to_vec(state).unwrap();
        tender_content::durable::write_atomically(&self.dir(name).join("state.json"), &text).unwrap();
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut SystemInfo)) {
        let mut state = self.load(name);
        change(&mut state.info);
        self.save(name, &state);
    }
}

impl FileSystem {
    /// A system with a file `test-instance` has a test instance, which comes to what the file says.
    fn test_run(&self, verb: &Verb) -> Option<TestRun> {
        let said = fs::read_to_string(self.fleet.dir(&self.name).join("test-instance")).ok()?;
        let Verb::Load { level, mode: Mode::Test, .. } = verb else { return None };
        Some(TestRun {
            level: level.clone(),
            began: Timestamp::UNIX_EPOCH,
            took_ms: 1,
            is_ready: said == "ready",
            summary: said,
            components: Vec::new(),
        })
    }
}

impl Fleet for FileFleet {
    fn connect(&self, address: &Address) -> Result<Box<dyn ManagedSystem>, LinkError> {
        let name = address.system.to_string();
        if !self.dir(&name).join("state.json").exists() || self.dir(&name).join("down").exists() {
            let address = format!("{}:{}", address.host, address.port);
            return Err(LinkError::Unreachable { address, source: None });
        }
        self.uploads.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(FileSystem { fleet: Self::new(&self.root), name }))
    }
}

impl Enroller for FileFleet {
    fn invite(&self, address: &Address) -> Result<Invitation, LinkError> {
        let token = format!("join-{}", address.system);
        Ok(Invitation { command: format!("tender agent enrol {token}"), token })
    }

    fn complete(&self, address: &Address, welcome: &Welcome) -> Result<(), LinkError> {
        let dir = self.dir(address.system.as_str());
        if !dir.exists() {
            return Err(LinkError::NotEnrolled { address: address.host.clone() });
        }
        fs::write(dir.join("root.json"), &welcome.trusted_root).unwrap();
        Ok(())
    }

    fn renew(&self) -> Result<String, LinkError> {
        Ok("0".repeat(64))
    }

    fn forget(&self, system: &SystemName) -> Result<(), LinkError> {
        fs::write(self.dir(system.as_str()).join("forgotten"), "").unwrap();
        Ok(())
    }
}

struct FileSystem {
    fleet: FileFleet,
    name: String,
}

impl FileSystem {
    fn manifest(&self, level: &LevelRef) -> Result<(LevelManifest, Mode), String> {
        let dir = self.fleet.dir(&self.name);
        let root = fs::read(dir.join("root.json")).map_err(|error| error.to_string())?;
        let repo = dir.join("incoming").join(level.vrm.as_str());
        let verified = Verified::load(&repo, &root, &dir.join("trust")).map_err(|error| error.to_string())?;
        let (manifest, custom) = verified.manifest(level).map_err(|error| error.to_string())?;
        for component in &manifest.components {
            if let Some(servlink) = &component.servlink {
                verified.verify(&servlink.target).map_err(|error| error.to_string())?;
            }
        }
        Ok((manifest, custom.state))
    }

    fn execute(&self, state: &mut State, verb: &Verb) -> Result<String, String> {
        let info = &mut state.info;
        match verb {
            Verb::Load { level, mode, .. } => {
                let (manifest, signed) = self.manifest(level)?;
                if *mode == Mode::Stable && signed != Mode::Stable {
                    return Err(format!("{level} is not signed as STABLE"));
                }
                state.loads += 1;
                if info.current.as_ref().is_some_and(|current| current.level == *level) {
                    return Ok(format!("{level} is in production already"));
                }
                if level.level.is_base() {
                    info.bases = vec![BaseInfo { vrm: level.vrm.clone(), base: manifest.content }];
                }
                info.test = Some(SlotInfo {
                    level: level.clone(),
                    content: manifest.content,
                    mode: *mode,
                    since: Timestamp::UNIX_EPOCH,
                });
                Ok(format!("{level} loaded"))
            }
            Verb::Put2prod { .. } => {
                let test = info.test.take().ok_or("nothing is loaded")?;
                info.previous = info.current.replace(test);
                Ok("in production".to_owned())
            }
            Verb::Fallback => {
                let previous = info.previous.take().ok_or("there is no previous level")?;
                info.previous = info.current.replace(previous);
                Ok("back".to_owned())
            }
            Verb::Unload => {
                info.test = None;
                Ok("slot test is empty".to_owned())
            }
            Verb::Enter | Verb::Leave => {
                info.is_managed = *verb == Verb::Enter;
                Ok(verb.word().to_owned())
            }
            _ => Ok("looked".to_owned()),
        }
    }
}

impl ManagedSystem for FileSystem {
    fn info(&mut self) -> Result<SystemInfo, LinkError> {
        Ok(self.fleet.load(&self.name).info)
    }

    fn missing(&mut self, vrm: &Vrm, files: &[RepoFile]) -> Result<Vec<RepoFile>, LinkError> {
        let incoming = self.fleet.dir(&self.name).join("incoming").join(vrm.as_str());
        let is_there = |file: &RepoFile| {
            fs::metadata(incoming.join(&file.path)).is_ok_and(|metadata| metadata.len() == file.bytes)
        };
        Ok(files.iter().filter(|file| file.is_metadata || !is_there(file)).cloned().collect())
    }

    fn upload(
        &mut self,
        vrm: &Vrm,
        repo_root: &Path,
        files: &[RepoFile],
        _progress: &dyn Progress,
    ) -> Result<u64, LinkError> {
        let incoming = self.fleet.dir(&self.name).join("incoming").join(vrm.as_str());
        for file in files {
            let to = incoming.join(&file.path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(repo_root.join(&file.path), to).unwrap();
        }
        Ok(files.iter().map(|file| file.bytes).sum())
    }

    fn begin(&mut self, request: &Request) -> Result<RequestState, LinkError> {
        let mut state = self.fleet.load(&self.name);
        if state.results.iter().all(|result| result.request.id != request.id) {
            let mut outcome = Outcome::default();
            match self.execute(&mut state, &request.verb) {
                Ok(text) => outcome.say(Message::csm(900, Severity::I, text)),
                Err(text) => outcome.say(Message::csm(901, Severity::E, text)),
            }
            let servcheck = matches!(request.verb, Verb::Servcheck { .. }).then(|| ServcheckReport {
                made: Timestamp::UNIX_EPOCH,
                checks: Vec::new(),
                drift: Vec::new(),
                fixes: Vec::new(),
            });
            state.results.push(RequestResult {
                request: request.clone(),
                began: Timestamp::UNIX_EPOCH,
                ended: Timestamp::UNIX_EPOCH,
                outcome,
                info: state.info.clone(),
                servcheck,
                test_run: self.test_run(&request.verb),
            });
            self.fleet.save(&self.name, &state);
        }
        self.state(&request.id)
    }

    fn state(&mut self, id: &str) -> Result<RequestState, LinkError> {
        let state = self.fleet.load(&self.name);
        let result = state.results.iter().find(|result| result.request.id == id);
        Ok(result.map_or(RequestState::Unknown, |result| RequestState::Ended { code: result.outcome.code }))
    }

    fn result(&mut self, id: &str) -> Result<RequestResult, LinkError> {
        let state = self.fleet.load(&self.name);
        Ok(state.results.into_iter().find(|result| result.request.id == id).unwrap())
    }

    fn read(&mut self, what: Reading, from: u64) -> Result<Vec<u8>, LinkError> {
        let name = match what {
            Reading::Changes => "changes.json".to_owned(),
            Reading::Part(digest) => digest.to_hex(),
            Reading::Audit => "audit.log".to_owned(),
        };
        let refused = |error: std::io::Error| LinkError::Refused {
            address: self.name.clone(),
            what: name.clone(),
            reason: error.to_string(),
        };
        let bytes = fs::read(self.fleet.dir(&self.name).join(&name)).map_err(refused)?;
        Ok(bytes[usize::try_from(from).unwrap().min(bytes.len())..].to_vec())
    }

    fn acknowledge(&mut self, _id: &str) -> Result<(), LinkError> {
        Ok(())
    }
}
