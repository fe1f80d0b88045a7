//! No text is accepted as a token or ticket that was not issued, and claims that are accepted keep what tokens promise,
//! even when the server's own key has signed them.

#![no_main]

use std::cell::RefCell;

use aws_lc_rs::signature::Ed25519KeyPair;
use libfuzzer_sys::fuzz_target;
use tender_identity::{
    Moment, TicketOptions, TicketRefusal, TicketService, TokenOptions, TokenRefusal, TokenRequest, TokenService,
};

const NOW: Moment = Moment { unix_s: 1_700_000_000, steady_ms: 1_000_000 };

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let six = |bits: &[u8]| {
        let value = bits.iter().fold(0, |value, bit| value * 2 + usize::from(*bit == b'1'));
        char::from(ALPHABET[value << (6 - bits.len())])
    };
    bits.as_bytes().chunks(6).map(six).collect()
}

/// Reads what base64url writes.
fn bytes_of(text: &str) -> Vec<u8> {
    let value = |found: char| match found {
        'A'..='Z' => found as u32 - 'A' as u32,
        'a'..='z' => found as u32 - 'a' as u32 + 26,
        '0'..='9' => found as u32 - '0' as u32 + 52,
        '-' => 62,
        _ => 63,
    };
    let bits: String = text.chars().map(|found| format!("{:06b}", value(found))).collect();
    let byte = |bits: &[u8]| bits.iter().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit == b'1'));
    bits.as_bytes().chunks_exact(8).map(byte).collect()
}

struct Server {
    _dir: tempfile::TempDir,
    tokens: TokenService,
    tickets: TicketService,
    /// The server's own key, so that what stands behind the signature is reached.
    key: Ed25519KeyPair,
    /// A token that was issued.
    issued: String,
}

impl Server {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = dir.path().join("keys");
        let server = "ZWESIS_STD".parse().expect("a name");
        let mut tokens = TokenService::open(&keys, server, TokenOptions::default(), NOW).expect("keys");
        let mut tickets = TicketService::open(&keys, TicketOptions::default(), NOW).expect("secrets");
        tickets.define(NOW, &"TSO".parse().expect("a name")).expect("a secret");
        let user = "BOB".parse().expect("a name");
        let request = TokenRequest { user, application: None, lifetime_s: None };
        let issued = tokens.issue(NOW, &request).expect("a token").text;
        let file = std::fs::read(keys.join("signing.json")).expect("the file of keys");
        let file: serde_json::Value = serde_json::from_slice(&file).expect("JSON");
        let seed = bytes_of(file["keys"][0]["seed"].as_str().expect("a private half"));
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key");
        Self { _dir: dir, tokens, tickets, key, issued }
    }

    fn signed(&self, header: &str, claims: &str) -> String {
        let signed = format!("{header}.{claims}");
        format!("{signed}.{}", base64url(self.key.sign(signed.as_bytes()).as_ref()))
    }

    fn whole(&mut self, text: &str) {
        let issued = self.issued.clone();
        assert_eq!(self.tokens.validate(NOW, text, None).is_ok(), text == issued);
        let (user, application) = ("BOB".parse().expect("a name"), "TSO".parse().expect("a name"));
        let refusal = self.tickets.evaluate(NOW, &user, &application, text).expect_err("none was issued");
        assert!(!matches!(refusal, TicketRefusal::Files { .. }), "{refusal}");
    }

    fn header(&mut self, header: &[u8]) {
        let mut parts = self.issued.split('.');
        let (known, claims) = (parts.next().expect("a header"), parts.next().expect("claims"));
        let header = base64url(header);
        let (text, is_known) = (self.signed(&header, claims), header == known);
        match self.tokens.validate(NOW, &text, None) {
            Ok(_) => assert!(is_known),
            Err(refusal) => {
                assert!(!is_known);
                assert!(refusal.to_string().is_ascii() && refusal.to_string().len() < 300, "{refusal}");
            }
        }
    }

    fn claims(&mut self, claims: &[u8]) {
        let header = self.issued.split('.').next().expect("a header").to_owned();
        let text = self.signed(&header, &base64url(claims));
        match self.tokens.validate(NOW, &text, None) {
            Ok(claims) => {
                assert_eq!(claims.iss.as_str(), "ZWESIS_STD");
                assert!(claims.exp > NOW.unix_s && claims.exp - claims.iat.min(claims.nbf) <= 3600);
                assert!(claims.iat.max(claims.nbf) <= NOW.unix_s + 30 && claims.aud.is_none());
                assert!(claims.sub.as_str().is_ascii());
            }
            Err(refusal) => assert!(!matches!(refusal, TokenRefusal::Signature | TokenRefusal::UnknownKey { .. })),
        }
    }
}

thread_local! {
    static SERVER: RefCell<Server> = RefCell::new(Server::new());
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    SERVER.with_borrow_mut(|server| match kind % 3 {
        0 => server.whole(&String::from_utf8_lossy(rest)),
        1 => server.header(rest),
        _ => server.claims(rest),
    });
});
