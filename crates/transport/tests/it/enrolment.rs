//! From a join token to a system that CSMWORK can log in to.

use std::{
    collections::BTreeMap,
    fs,
    io::Cursor,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
};

use jiff::{Timestamp, ToSpan};
use tender_transport::{
    client::{ConnectSecurity, FtpsLink, Link, LinkError},
    enrolment::{
        ENROL_WORD, EnrolmentError, FurtherFiles, JoinToken, OFFERED_FILES, accept, accepted_files, enrol,
        offer,
    },
    identity::Identity,
    server::{Access, Security, ServeConfig, SiteCode, SiteReply, SiteWords},
};

use crate::world::{Running, World, connect_config};

const FURTHER: [&str; 1] = ["root.json"];

/// The managed system's side of the last step, as an agent does it.
struct Enroller {
    dir: PathBuf,
    identity: PathBuf,
    token: JoinToken,
    accepted: Mutex<Option<FurtherFiles>>,
}

impl SiteWords for Enroller {
    fn words(&self) -> Vec<&'static str> {
        vec![ENROL_WORD]
    }

    fn answer(&self, _word: &str, _arguments: &str) -> SiteReply {
        let identity = Identity::open(&self.identity).unwrap();
        match accept(&self.dir, &self.token, &identity, &FURTHER, Timestamp::now()) {
            Ok(files) => {
                *self.accepted.lock().unwrap() = Some(files);
                SiteReply { code: SiteCode::Done, text: "enrolled".into() }
            }
            Err(error) => SiteReply { code: SiteCode::Refused, text: error.to_string() },
        }
    }
}

struct Candidate {
    world: World,
    token: JoinToken,
    enroller: Arc<Enroller>,
    running: Running,
}

impl Candidate {
    fn new() -> Self {
        let world = World::new();
        let expires = Timestamp::now() + 1.hour();
        let token = JoinToken::create("vm09", world.authority.fingerprint(), expires).unwrap();
        // A person carries the word over.
        let token = JoinToken::decode(&token.encode()).unwrap();
        let (dir, identity) = (world.path("enrol"), world.path("vm09"));
        offer(&dir, &token, &Identity::create(&identity).unwrap()).unwrap();
        let security = Security::Enrolment {
            identity: identity.clone(),
            system: "vm09".into(),
            password: token.login_password(),
        };
        let mut config = ServeConfig::new(dir.clone(), security);
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.passive_ports = 0..=0;
        config.access =
            Access::Only { read: OFFERED_FILES.map(str::to_owned).to_vec(), write: accepted_files(FURTHER) };
        let enroller = Enroller { dir, identity, token: token.clone(), accepted: Mutex::default() };
        let enroller = Arc::new(enroller);
        let words: Arc<dyn SiteWords> = Arc::<Enroller>::clone(&enroller);
        let running = Running::start_with(config, words, mpsc::channel().1, mpsc::channel().0);
        Self { world, token, enroller, running }
    }

    fn connect(&self, password: String) -> Result<FtpsLink, LinkError> {
        let security = ConnectSecurity::Enrolment { password };
        FtpsLink::connect(&connect_config(self.running.control, security))
    }

    fn link(&self) -> FtpsLink {
        self.connect(self.token.login_password()).unwrap()
    }

    fn enrol(&self, link: &mut dyn Link) -> Result<String, EnrolmentError> {
        enrol(link, &self.token, &self.world.authority, &["127.0.0.1".into()], &further(), Timestamp::now())
    }

    fn is_enrolled(&self) -> bool {
        Identity::open(&self.enroller.identity).unwrap().is_enrolled()
    }
}

fn further() -> FurtherFiles {
    BTreeMap::from([("root.json".to_owned(), b"root of trust".to_vec())])
}

#[test]
fn system_enrolled_with_its_token_can_be_logged_in_to() {
    let mut candidate = Candidate::new();
    let certificate = candidate.enrol(&mut candidate.link()).unwrap();
    let identity = Identity::open(&candidate.enroller.identity).unwrap();
    assert_eq!(identity.certificate_pem().unwrap(), certificate);
    assert_eq!(*candidate.enroller.accepted.lock().unwrap(), Some(further()));
    assert!(identity.expires().unwrap() > Timestamp::now());
    candidate.running.stop();

    let mut config = candidate.world.config();
    config.security = Security::Required { identity: candidate.enroller.identity.clone() };
    let running = Running::start(config);
    candidate.world.connect(&running).list("").unwrap();
}

#[test]
fn system_in_enrolment_lets_nobody_in_without_the_token() {
    let candidate = Candidate::new();
    let other = JoinToken::create("vm09", candidate.world.authority.fingerprint(), candidate.token.expires())
        .unwrap();
    for password in [other.login_password(), "none".into()] {
        let refused = candidate.connect(password);
        assert!(matches!(refused, Err(LinkError::LoginRefused { code: 530, .. })), "{refused:?}");
    }
}

#[test]
fn system_in_enrolment_shows_and_takes_the_files_of_enrolment_alone() {
    let candidate = Candidate::new();
    fs::write(candidate.enroller.dir.join("other"), b"private").unwrap();
    let mut link = candidate.link();
    let names: Vec<String> = link.list("").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["csr.pem", "csr.proof"]);
    let refused = |result| assert!(matches!(result, Err(LinkError::Refused { code: 550, .. })), "{result:?}");
    refused(link.retrieve("other", 100).map(drop));
    refused(link.store("csr.pem", &mut Cursor::new(b"x"), 0, &mut |_| {}).map(drop));
    refused(link.store("another", &mut Cursor::new(b"x"), 0, &mut |_| {}).map(drop));
    refused(link.rename("csr.pem", "cert.pem"));
    refused(link.make_dir("sub"));
}

#[test]
fn request_swapped_on_the_way_is_not_signed() {
    let candidate = Candidate::new();
    let stranger = Identity::create(&candidate.world.path("stranger")).unwrap();
    fs::write(candidate.enroller.dir.join("csr.pem"), stranger.csr_pem("vm09").unwrap()).unwrap();
    let refused = candidate.enrol(&mut candidate.link());
    assert!(
        matches!(refused, Err(EnrolmentError::NotProved { what: "certificate request", .. })),
        "{refused:?}"
    );
    assert!(!candidate.enroller.dir.join("cert.pem").exists());
}

#[test]
fn bundle_swapped_on_the_way_is_not_installed() {
    for name in ["cert.pem", "ca.pem", "root.json", "bundle.proof", "csr.pem"] {
        let candidate = Candidate::new();
        candidate.enrol(&mut candidate.link()).unwrap();
        let Enroller { dir, identity, token, .. } = &*candidate.enroller;
        for file in ["cert.pem", "ca.pem"] {
            fs::remove_file(identity.join(file)).unwrap();
        }
        let mut changed = fs::read(dir.join(name)).unwrap();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(dir.join(name), changed).unwrap();
        let refused = accept(dir, token, &Identity::open(identity).unwrap(), &FURTHER, Timestamp::now());
        assert!(matches!(refused, Err(EnrolmentError::NotProved { .. })), "{name}: {refused:?}");
        assert!(!candidate.is_enrolled(), "{name}");
    }
}

#[test]
fn bundle_with_a_further_file_left_out_is_not_installed() {
    let candidate = Candidate::new();
    candidate.enrol(&mut candidate.link()).unwrap();
    let Enroller { dir, identity, token, .. } = &*candidate.enroller;
    let refused = accept(dir, token, &Identity::open(identity).unwrap(), &[], Timestamp::now());
    assert!(matches!(refused, Err(EnrolmentError::NotProved { .. })), "{refused:?}");
}

#[test]
fn token_out_of_time_is_refused_on_both_ends() {
    let candidate = Candidate::new();
    let late = candidate.token.expires();
    let refused = enrol(
        &mut candidate.link(),
        &candidate.token,
        &candidate.world.authority,
        &["127.0.0.1".into()],
        &further(),
        late,
    );
    assert!(matches!(refused, Err(EnrolmentError::Expired { .. })), "{refused:?}");
    let Enroller { dir, identity, token, .. } = &*candidate.enroller;
    let refused = accept(dir, token, &Identity::open(identity).unwrap(), &FURTHER, late);
    assert!(matches!(refused, Err(EnrolmentError::Expired { .. })), "{refused:?}");
}

#[test]
fn principal_with_another_authority_than_the_tokens_does_not_sign() {
    let candidate = Candidate::new();
    let other =
        tender_transport::authority::Authority::create(&candidate.world.path("other-ca"), "other").unwrap();
    let refused = enrol(
        &mut candidate.link(),
        &candidate.token,
        &other,
        &["127.0.0.1".into()],
        &further(),
        Timestamp::now(),
    );
    assert!(matches!(refused, Err(EnrolmentError::OtherAuthority { .. })), "{refused:?}");
    assert!(!candidate.is_enrolled());
}
