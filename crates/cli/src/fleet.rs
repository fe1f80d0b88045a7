//! Joins the principal with the transport: connections to managed systems, and their enrolment.
//!
//! `service` says what it needs of a managed system and `transport` moves files and words; this is the one place that
//! knows both, and the names that files have on the other side.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan as _};
use tender_content::{Progress, durable};
use tender_package::report::SystemInfo;
use tender_package::request::{Request, RequestResult, RequestState};
use tender_package::{SystemName, Vrm};
use tender_service::link::{
    Address, Enroller, Fleet, Invitation, LinkError, ManagedSystem, Reading, RepoFile, Welcome,
};
use tender_transport::WORK_USER;
use tender_transport::authority::{Authority, AuthorityError, CertificateUse};
use tender_transport::client::{ConnectConfig, ConnectSecurity, FtpsLink, Link, LinkError as TransportError};
use tender_transport::enrolment::{self, EnrolmentError, JoinToken, TokenError};
use tender_transport::identity::{Identity, IdentityError};
use tender_transport::revocation::{RevocationError, Revocations};

/// How long a join token may be used.
const TOKEN_VALID_HOURS: i64 = 72;
/// CSMWORK's certificate is renewed this long before it ends.
const RENEW_DAYS: i64 = 60;
/// How long a system may take from accepting its certificate to serving with it.
const CHANGE_OVER: Duration = Duration::from_secs(15);
/// Largest result of a request; a SERVCHECK that finds everything changed fits.
const RESULT_BYTES_MAX: u64 = 256 << 20;

/// Largest part changed by hand that is fetched.
const PART_BYTES_MAX: u64 = 1 << 30;

/// Why the principal's keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The certificate authority.
    #[error("open the certificate authority of the principal")]
    Authority(#[source] AuthorityError),
    /// The identity of CSMWORK.
    #[error("open the identity of CSMWORK")]
    Identity(#[source] IdentityError),
    /// The list of revoked certificates.
    #[error("use the list of revoked certificates")]
    Revocation(#[source] RevocationError),
    /// The old identity could not be put aside, or the list not be kept.
    #[error("put `{}` in place", path.display())]
    Place {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The principal's way to its managed systems, over FTP with TLS.
#[derive(Debug)]
pub(crate) struct FtpsFleet {
    keys: PathBuf,
    authority: Authority,
}

impl FtpsFleet {
    /// Opens the keys below `keys`, making the authority and the identity of CSMWORK the first time.
    pub(crate) fn open(keys: &Path) -> Result<Self, KeysError> {
        let directory = keys.join("ca");
        let authority = if directory.exists() {
            Authority::open(&directory)
        } else {
            Authority::create(&directory, "Tender principal")
        }
        .map_err(KeysError::Authority)?;
        let fleet = Self { keys: keys.to_owned(), authority };
        fleet.prepare_work_identity()?;
        Ok(fleet)
    }

    fn work_identity(&self) -> PathBuf {
        self.keys.join("csmwork")
    }

    fn revocations_path(&self) -> PathBuf {
        self.keys.join("ca/revocations")
    }

    /// Reads the list of revoked certificates that systems must have; the empty one before the first revocation.
    fn revocations(&self) -> Result<(Revocations, String), KeysError> {
        let path = self.revocations_path();
        match fs::read_to_string(&path) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(Default::default()),
            Err(source) => Err(KeysError::Place { path, source }),
            Ok(text) => {
                let list = Revocations::verify(&text, self.authority.ca_pem());
                Ok((list.map_err(KeysError::Revocation)?, text))
            }
        }
    }

    /// Revokes the certificate in use; the list is written first, so that a kill leaves it revoked and the next
    /// command makes the new one.
    fn revoke_work(&self) -> Result<String, KeysError> {
        let identity = Identity::open(&self.work_identity()).map_err(KeysError::Identity)?;
        let print = identity.fingerprint().map_err(KeysError::Identity)?;
        let (mut list, _) = self.revocations()?;
        list.number += 1;
        list.certificates.insert(print.clone());
        let text = self.authority.sign_revocations(&list).map_err(KeysError::Authority)?;
        let path = self.revocations_path();
        durable::write_atomically(&path, text.as_bytes())
            .map_err(|source| KeysError::Place { path, source: io::Error::other(source) })?;
        self.prepare_work_identity()?;
        Ok(print)
    }

    /// Removes an identity whose certificate was revoked: the next one has a key of its own.
    fn drop_revoked_identity(&self) -> Result<(), KeysError> {
        let path = self.work_identity();
        let (list, _) = self.revocations()?;
        let Ok(identity) = Identity::open(&path) else { return Ok(()) };
        let is_revoked = identity.fingerprint().is_ok_and(|print| list.certificates.contains(&print));
        if !is_revoked {
            return Ok(());
        }
        // It goes as a whole: of half an identity, the key that was stolen might be used again.
        tender_content::remove_tree(&path)
            .map_err(|source| KeysError::Place { path, source: io::Error::other(source) })
    }

    fn prepare_work_identity(&self) -> Result<(), KeysError> {
        self.drop_revoked_identity()?;
        let identity = Identity::open_or_create(&self.work_identity()).map_err(KeysError::Identity)?;
        let renew_from = Timestamp::now() + (RENEW_DAYS * 24).hours();
        if identity.is_enrolled() && identity.expires().map_err(KeysError::Identity)? > renew_from {
            return Ok(());
        }
        let request = identity.csr_pem(WORK_USER).map_err(KeysError::Identity)?;
        let certificate =
            self.authority.issue(&request, &CertificateUse::Work).map_err(KeysError::Authority)?;
        identity.install(&certificate, self.authority.ca_pem()).map_err(KeysError::Identity)
    }

    fn token_path(&self, address: &Address) -> PathBuf {
        self.keys.join("join").join(address.system.as_str())
    }

    /// The certificate of an enrolled system is kept; having it means that its join token was used.
    fn certificate_path(&self, address: &Address) -> PathBuf {
        self.keys.join("systems").join(format!("{}.pem", address.system))
    }

    fn config(&self, address: &Address, security: ConnectSecurity) -> ConnectConfig {
        let mut config = ConnectConfig::new(&address.host, security);
        config.port = address.port;
        // The name in the certificate does not change when the system moves to another address.
        config.server_name = Some(certificate_name(address));
        config
    }

    /// Decides how to reach a system: TLS, unless both ends were told otherwise.
    ///
    /// NOREQUIRE alone changes nothing: clear text also needs the password that the system's own configuration names.
    fn security(&self, address: &Address) -> ConnectSecurity {
        if address.is_tls_required {
            return self.certificate();
        }
        match fs::read_to_string(self.clear_password_path(address)) {
            Ok(password) => {
                warn_clear_text(address);
                ConnectSecurity::Clear { password: password.trim_end().to_owned() }
            }
            Err(_) => self.certificate(),
        }
    }

    fn certificate(&self) -> ConnectSecurity {
        ConnectSecurity::Certificate { identity: self.work_identity() }
    }

    /// Holds the password of a system that allows clear text; the administrator copies it here by hand.
    fn clear_password_path(&self, address: &Address) -> PathBuf {
        self.keys.join("clear").join(address.system.as_str())
    }
}

fn warn_clear_text(address: &Address) {
    // A warning that cannot be shown does not stop the work.
    drop(writeln!(
        io::stderr(),
        "CSM0061W {}: NOREQUIRE is set; everything sent, the password included, can be read and changed on the way",
        address.system
    ));
}

fn certificate_name(address: &Address) -> String {
    address.system.as_str().to_ascii_lowercase()
}

fn shown(address: &Address) -> String {
    format!("{} ({}:{})", address.system, address.host, address.port)
}

/// Says in the principal's words what the transport said.
fn told(address: &Address, what: &str, fault: TransportError) -> LinkError {
    let address = shown(address);
    let what = what.to_owned();
    match fault {
        TransportError::Unreachable { source, .. } => {
            LinkError::Unreachable { address, source: Some(Box::new(source)) }
        }
        TransportError::Tls { why, .. } => LinkError::Untrusted { address, reason: why },
        TransportError::LoginRefused { code, text, .. } => {
            LinkError::Untrusted { address, reason: format!("login refused: {code} {text}") }
        }
        TransportError::Refused { doing, code, text, .. } => {
            LinkError::Refused { address, what: doing, reason: format!("{code} {text}") }
        }
        TransportError::Lost { offset, .. } => {
            LinkError::Lost { address, sent_bytes: offset, source: Some(Box::new(fault)) }
        }
        TransportError::Timeout { timeout_ms, .. } => {
            LinkError::Timeout { address, what, waited_s: timeout_ms / 1000 }
        }
        other => LinkError::Protocol { address, what, source: Some(Box::new(other)) },
    }
}

impl Fleet for FtpsFleet {
    fn connect(&self, address: &Address) -> Result<Box<dyn ManagedSystem>, LinkError> {
        let mut connected = self.dial(address)?;
        let (list, text) = self.revocations().map_err(|fault| LinkError::Protocol {
            address: shown(address),
            what: "the list of revoked certificates".to_owned(),
            source: Some(Box::new(fault)),
        })?;
        if list.number == 0 {
            return Ok(Box::new(connected));
        }
        let info = connected.info()?;
        if info.revocations >= list.number {
            connected.first = Some(info);
            return Ok(Box::new(connected));
        }
        connected.replace("revocations", text.as_bytes())?;
        match connected.ask::<u64>("CSMREVOKE", "") {
            // An older Tender there does not know the word.
            Err(LinkError::Refused { .. }) => {
                connected.first = Some(info);
                return Ok(Box::new(connected));
            }
            answered => answered.map(drop)?,
        }
        // The system ends every session, so that nobody stays who came in with what is revoked now.
        self.await_end(connected);
        self.await_certificate(address)?;
        self.dial(address).map(|connected| Box::new(connected) as Box<dyn ManagedSystem>)
    }
}

impl Enroller for FtpsFleet {
    fn invite(&self, address: &Address) -> Result<Invitation, LinkError> {
        let protocol = |fault: Box<dyn std::error::Error + Send + Sync>| LinkError::Protocol {
            address: shown(address),
            what: "the join token".to_owned(),
            source: Some(fault),
        };
        let path = self.token_path(address);
        let now = Timestamp::now();
        let kept = fs::read_to_string(&path)
            .ok()
            .and_then(|word| JoinToken::decode(word.trim_end()).ok())
            .filter(|token| token.expires() > now);
        let token = match kept {
            Some(token) => token,
            None => make_token(&path, address, self.authority.fingerprint(), now).map_err(protocol)?,
        };
        let token = token.encode();
        Ok(Invitation { command: format!("tender agent enrol {token}"), token })
    }

    fn complete(&self, address: &Address, welcome: &Welcome) -> Result<(), LinkError> {
        let kept = self.certificate_path(address);
        if kept.exists() {
            return Ok(());
        }
        let path = self.token_path(address);
        let not_enrolled = || LinkError::NotEnrolled { address: shown(address) };
        let word = fs::read_to_string(&path).map_err(|_| not_enrolled())?;
        let token = JoinToken::decode(word.trim_end()).map_err(|_| not_enrolled())?;
        let config = self.config(address, ConnectSecurity::Enrolment { password: token.login_password() });
        let mut link = match FtpsLink::connect(&config) {
            Ok(link) => link,
            // An earlier attempt may have ended after the other side had installed its certificate.
            Err(fault) => {
                let certified = self.config(address, self.certificate());
                FtpsLink::connect(&certified).map_err(|_| told(address, "the enrolment", fault))?;
                return self
                    .keep_certificate(&kept, b"enrolled\n", &path)
                    .map_err(|source| kept_fault(address, source));
            }
        };
        let further = BTreeMap::from([("root.json".to_owned(), welcome.trusted_root.clone())]);
        let addresses = [certificate_name(address), address.host.clone()];
        let certificate =
            enrolment::enrol(&mut link, &token, &self.authority, &addresses, &further, Timestamp::now())
                .map_err(|fault| enrolment_fault(address, fault))?;
        self.await_certificate(address)?;
        self.keep_certificate(&kept, certificate.as_bytes(), &path)
            .map_err(|source| kept_fault(address, source))
    }

    fn renew(&self) -> Result<String, LinkError> {
        self.revoke_work().map_err(|fault| LinkError::Protocol {
            address: WORK_USER.to_owned(),
            what: "the revocation".to_owned(),
            source: Some(Box::new(fault)),
        })
    }

    fn forget(&self, system: &SystemName) -> Result<(), LinkError> {
        let certificate = self.keys.join("systems").join(format!("{system}.pem"));
        for path in [certificate, self.keys.join("join").join(system.as_str())] {
            match fs::remove_file(&path) {
                Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
                    return Err(LinkError::Protocol {
                        address: system.to_string(),
                        what: format!("forgetting {}", path.display()),
                        source: Some(Box::new(fault)),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl FtpsFleet {
    fn dial(&self, address: &Address) -> Result<Connected, LinkError> {
        let config = self.config(address, self.security(address));
        let link = FtpsLink::connect(&config).map_err(|fault| told(address, "the connection", fault))?;
        Ok(Connected { address: address.clone(), link: Box::new(link), made: BTreeSet::new(), first: None })
    }

    /// Waits until the system has ended a session.
    #[expect(clippy::unused_self, reason = "one of the ways to wait for a system")]
    fn await_end(&self, mut connected: Connected) {
        let began = Instant::now();
        let (_keep, clock) = mpsc::channel::<()>();
        while connected.info().is_ok() && began.elapsed() < CHANGE_OVER {
            clock.recv_timeout(Duration::from_millis(50)).unwrap_or_default();
        }
    }

    /// Waits until the system has taken its certificate into use and lets CSMWORK in with it.
    fn await_certificate(&self, address: &Address) -> Result<(), LinkError> {
        let began = Instant::now();
        // Nobody ever sends: the receiver is a clock that needs no busy loop.
        let (_keep, clock) = mpsc::channel::<()>();
        loop {
            let config = self.config(address, self.certificate());
            match FtpsLink::connect(&config) {
                Ok(_) => return Ok(()),
                Err(fault) if began.elapsed() > CHANGE_OVER => {
                    return Err(told(address, "the connection after enrolment", fault));
                }
                Err(_) => clock.recv_timeout(Duration::from_millis(50)).unwrap_or_default(),
            }
        }
    }

    /// Writes down that a system is enrolled; its join token is used up from then on.
    fn keep_certificate(&self, kept: &Path, certificate: &[u8], token: &Path) -> io::Result<()> {
        if let Some(directory) = kept.parent() {
            fs::create_dir_all(directory)?;
        }
        durable::write_atomically(kept, certificate).map_err(io::Error::other)?;
        match fs::remove_file(token) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
            _ => Ok(()),
        }
    }
}

fn kept_fault(address: &Address, source: io::Error) -> LinkError {
    LinkError::Protocol {
        address: shown(address),
        what: "keeping the certificate".to_owned(),
        source: Some(Box::new(source)),
    }
}

fn enrolment_fault(address: &Address, fault: EnrolmentError) -> LinkError {
    match fault {
        EnrolmentError::Link { source, .. } => told(address, "the enrolment", source),
        EnrolmentError::NotProved { .. } | EnrolmentError::OtherAuthority { .. } => {
            LinkError::Untrusted { address: shown(address), reason: fault.to_string() }
        }
        other => LinkError::Protocol {
            address: shown(address),
            what: "the enrolment".to_owned(),
            source: Some(Box::new(other)),
        },
    }
}

fn make_token(
    path: &Path,
    address: &Address,
    fingerprint: &str,
    now: Timestamp,
) -> Result<JoinToken, Box<dyn std::error::Error + Send + Sync>> {
    let expires = now + TOKEN_VALID_HOURS.hours();
    let token = JoinToken::create(address.system.as_str(), fingerprint, expires)
        .map_err(|fault: TokenError| Box::new(fault))?;
    if let Some(directory) = path.parent() {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    durable::write_atomically(path, token.encode().as_bytes())?;
    Ok(token)
}

/// One connected managed system.
struct Connected {
    address: Address,
    link: Box<dyn Link>,
    /// Directories that were made on this connection.
    made: BTreeSet<String>,
    /// What the system said of itself when it was connected to, until someone asks.
    first: Option<SystemInfo>,
}

impl Connected {
    fn told(&self, what: &str) -> impl FnOnce(TransportError) -> LinkError + use<> {
        let address = self.address.clone();
        let what = what.to_owned();
        move |fault| told(&address, &what, fault)
    }

    fn make_parents(&mut self, name: &str) -> Result<(), LinkError> {
        for (at, _) in name.match_indices('/') {
            let directory = &name[..at];
            if !self.made.contains(directory) {
                let fault = self.told(directory);
                self.link.make_dir(directory).map_err(fault)?;
                self.made.insert(directory.to_owned());
            }
        }
        Ok(())
    }

    /// Sends a small file so that the other side sees the old or the new one, never a part.
    fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<(), LinkError> {
        self.make_parents(name)?;
        let beside = format!("{name}.new");
        let fault = self.told(name);
        self.link.store(&beside, &mut Cursor::new(bytes), 0, &mut |_| {}).map_err(fault)?;
        let fault = self.told(name);
        self.link.rename(&beside, name).map_err(fault)
    }

    fn ask<T: serde::de::DeserializeOwned>(&mut self, word: &str, arguments: &str) -> Result<T, LinkError> {
        let fault = self.told(word);
        let answer = self.link.site(word, arguments).map_err(fault)?;
        serde_json::from_str(answer.trim()).map_err(|source| LinkError::Protocol {
            address: shown(&self.address),
            what: word.to_owned(),
            source: Some(Box::new(source)),
        })
    }
}

impl ManagedSystem for Connected {
    fn info(&mut self) -> Result<SystemInfo, LinkError> {
        match self.first.take() {
            Some(info) => Ok(info),
            None => self.ask("CSMINFO", ""),
        }
    }

    fn missing(&mut self, vrm: &Vrm, files: &[RepoFile]) -> Result<Vec<RepoFile>, LinkError> {
        let mut missing = Vec::new();
        for file in files {
            let name = format!("{vrm}/{}", file.path);
            let fault = self.told(&name);
            if file.is_metadata || self.link.size(&name).map_err(fault)? != Some(file.bytes) {
                missing.push(file.clone());
            }
        }
        Ok(missing)
    }

    fn upload(
        &mut self,
        vrm: &Vrm,
        repo_root: &Path,
        files: &[RepoFile],
        progress: &dyn Progress,
    ) -> Result<u64, LinkError> {
        let mut sent = 0;
        for file in files {
            let name = format!("{vrm}/{}", file.path);
            let path = repo_root.join(&file.path);
            if file.is_metadata {
                let bytes = fs::read(&path).map_err(|source| {
                    told(&self.address, &name, TransportError::Source { path: path.clone(), source })
                })?;
                self.replace(&name, &bytes)?;
                sent += bytes.len() as u64;
                progress.advance(bytes.len() as u64);
                continue;
            }
            self.make_parents(&name)?;
            let fault = self.told(&name);
            let mut at = 0;
            let mut tell = |position: u64| {
                progress.advance(position.saturating_sub(at));
                at = position;
            };
            sent += self.link.resume(&name, &path, &mut tell).map_err(fault)?.sent;
        }
        Ok(sent)
    }

    fn begin(&mut self, request: &Request) -> Result<RequestState, LinkError> {
        let text = serde_json::to_vec_pretty(request).map_err(|source| LinkError::Protocol {
            address: shown(&self.address),
            what: "the request".to_owned(),
            source: Some(Box::new(source)),
        })?;
        self.replace(&format!("requests/{}.json", request.id), &text)?;
        self.ask("CSMAGENT", &request.id)
    }

    fn state(&mut self, id: &str) -> Result<RequestState, LinkError> {
        self.ask("CSMSTAT", id)
    }

    fn result(&mut self, id: &str) -> Result<RequestResult, LinkError> {
        let name = format!("results/{id}.json");
        let fault = self.told(&name);
        let text = self.link.retrieve(&name, RESULT_BYTES_MAX).map_err(fault)?;
        serde_json::from_slice(&text).map_err(|source| LinkError::Protocol {
            address: shown(&self.address),
            what: name,
            source: Some(Box::new(source)),
        })
    }

    fn read(&mut self, what: Reading, from: u64) -> Result<Vec<u8>, LinkError> {
        let (name, bytes_max) = match what {
            Reading::Changes => ("changes/changes.json".to_owned(), RESULT_BYTES_MAX),
            Reading::Part(digest) => (format!("changes/{}", digest.to_hex()), PART_BYTES_MAX),
            Reading::Audit => ("logs/audit.log".to_owned(), RESULT_BYTES_MAX),
        };
        let fault = self.told(&name);
        self.link.retrieve_from(&name, from, bytes_max).map_err(fault)
    }

    fn acknowledge(&mut self, id: &str) -> Result<(), LinkError> {
        let fault = self.told("CSMACK");
        self.link.site("CSMACK", id).map_err(fault).map(drop)
    }
}
