//! A principal's authority, one managed system and its server, in a directory of their own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tender_transport::{
    authority::{Authority, CertificateUse, Validity},
    client::{ConnectConfig, ConnectSecurity, FtpsLink, LinkError},
    identity::Identity,
    server::{Bound, Notice, Security, ServeConfig, ServeError, SiteCode, SiteReply, SiteWords, serve},
};
use tokio::sync::oneshot;

/// Long enough for a busy machine; passed only when something is wrong.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    dir: TempDir,
    pub(crate) authority: Authority,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let authority = Authority::create(&dir.path().join("ca"), "test").unwrap();
        let world = Self { dir, authority };
        fs::create_dir(world.root()).unwrap();
        world.enrolled("system", &system_use());
        world.enrolled("work", &CertificateUse::Work);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The directory that is served.
    pub(crate) fn root(&self) -> PathBuf {
        self.path("incoming")
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// An identity with a certificate of the authority.
    pub(crate) fn enrolled(&self, name: &str, usage: &CertificateUse) -> PathBuf {
        let dir = self.path(name);
        let identity = Identity::create(&dir).unwrap();
        let certificate = self.authority.issue(&identity.csr_pem(name).unwrap(), usage).unwrap();
        identity.install(&certificate, self.authority.ca_pem()).unwrap();
        dir
    }

    /// An identity whose certificate installing would refuse: of `issuer`, for the given days.
    pub(crate) fn smuggled(
        &self,
        name: &str,
        issuer: &Authority,
        usage: &CertificateUse,
        validity: Validity,
    ) -> PathBuf {
        let dir = self.path(name);
        let identity = Identity::create(&dir).unwrap();
        let request = identity.csr_pem(name).unwrap();
        fs::write(dir.join("cert.pem"), issuer.issue_for(&request, usage, validity).unwrap()).unwrap();
        fs::write(dir.join("ca.pem"), self.authority.ca_pem()).unwrap();
        dir
    }

    /// A server for this system on loopback, with any free ports.
    pub(crate) fn config(&self) -> ServeConfig {
        let mut config = ServeConfig::new(self.root(), Security::Required { identity: self.path("system") });
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.passive_ports = 0..=0;
        config
    }

    pub(crate) fn serve(&self) -> Running {
        Running::start(self.config())
    }

    /// How CSMWORK connects to it.
    pub(crate) fn connect_config(&self, running: &Running) -> ConnectConfig {
        let security = ConnectSecurity::Certificate { identity: self.path("work") };
        connect_config(running.control, security)
    }

    pub(crate) fn connect(&self, running: &Running) -> FtpsLink {
        FtpsLink::connect(&self.connect_config(running)).unwrap()
    }

    pub(crate) fn connect_as(&self, running: &Running, identity: &Path) -> Result<FtpsLink, LinkError> {
        let security = ConnectSecurity::Certificate { identity: identity.to_owned() };
        FtpsLink::connect(&connect_config(running.control, security))
    }
}

pub(crate) fn connect_config(control: SocketAddr, security: ConnectSecurity) -> ConnectConfig {
    let mut config = ConnectConfig::new("localhost", security);
    config.host = control.ip().to_string();
    config.port = control.port();
    config
}

pub(crate) fn system_use() -> CertificateUse {
    CertificateUse::System { name: "vm01".into(), addresses: vec!["localhost".into(), "127.0.0.1".into()] }
}

/// Words for tests: ECHO says what it hears, REFUSE says no, WAIT says nothing until it is released.
pub(crate) struct Words {
    notices: Mutex<Sender<Notice>>,
    releases: Mutex<Receiver<()>>,
}

impl SiteWords for Words {
    fn words(&self) -> Vec<&'static str> {
        vec!["CSMECHO", "CSMREFUSE", "CSMWAIT"]
    }

    fn answer(&self, word: &str, arguments: &str) -> SiteReply {
        match word {
            "CSMECHO" => SiteReply { code: SiteCode::Done, text: format!("heard: {arguments}\nall of it") },
            "CSMREFUSE" => SiteReply { code: SiteCode::Refused, text: "never".into() },
            "CSMWAIT" => {
                self.releases.lock().unwrap().recv_timeout(DEADLINE).expect("released in time");
                SiteReply { code: SiteCode::Done, text: "released".into() }
            }
            other => panic!("{other} was not registered"),
        }
    }

    fn notice(&self, notice: &Notice) {
        // A test that is over listens no more.
        self.notices.lock().unwrap().send(notice.clone()).ok();
    }
}

/// A running server; stops when dropped.
pub(crate) struct Running {
    pub(crate) control: SocketAddr,
    pub(crate) notices: Receiver<Notice>,
    pub(crate) release: Sender<()>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Running {
    pub(crate) fn start(config: ServeConfig) -> Self {
        let (notices_tx, notices) = channel();
        let (release, releases) = channel();
        let words = Words { notices: Mutex::new(notices_tx), releases: Mutex::new(releases) };
        Self::start_with(config, Arc::new(words), notices, release)
    }

    pub(crate) fn start_with(
        config: ServeConfig,
        words: Arc<dyn SiteWords>,
        notices: Receiver<Notice>,
        release: Sender<()>,
    ) -> Self {
        let (ready_tx, ready) = oneshot::channel::<Bound>();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let served = runtime.block_on(serve(config, words, ready_tx, async move { drop(stopped.await) }));
            runtime.shutdown_background();
            served
        });
        let control = ready.blocking_recv().expect("the server starts").control;
        Self { control, notices, release, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn stop(&mut self) {
        if let (Some(stop), Some(thread)) = (self.stop.take(), self.thread.take()) {
            stop.send(()).ok();
            thread.join().unwrap().unwrap();
        }
    }

    /// Waits for a notice that fits.
    pub(crate) fn wait_for(&self, fits: impl Fn(&Notice) -> bool) -> Notice {
        let start = Instant::now();
        loop {
            let left = DEADLINE.saturating_sub(start.elapsed());
            let notice = self.notices.recv_timeout(left).expect("the notice comes in time");
            if fits(&notice) {
                return notice;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what} in time");
        std::thread::yield_now();
    }
}

/// Bytes that do not repeat within a block.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// An error with all its causes.
pub(crate) fn explain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", explain(source)),
        None => error.to_string(),
    }
}
