//! The probe of z/OSMF: only when something needs it, with a limit of time, tried again, and by policy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::https;
use crate::message::chain;

/// What follows from a z/OSMF that does not answer (`zowe.launchScript.startupChecks.zosmf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Policy {
    /// It is not asked.
    Disabled,
    /// A warning.
    #[default]
    Warn,
    /// An error.
    Fail,
    /// It is waited for, and an error if it does not come.
    Wait,
}

impl Policy {
    /// Reads the word of the configuration; anything unknown is the default.
    pub(crate) fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "disabled" | "off" | "false" => Self::Disabled,
            "fail" | "exit" | "error" => Self::Fail,
            "wait" => Self::Wait,
            _ => Self::Warn,
        }
    }

    /// Says whether a z/OSMF that does not answer stops the start.
    pub(crate) fn is_fatal(self) -> bool {
        matches!(self, Self::Fail | Self::Wait)
    }

    /// Returns how long it is asked.
    pub(crate) fn limits(self) -> Limits {
        // After a restart of the whole system z/OSMF needs minutes.
        let all = if self == Self::Wait { Duration::from_secs(600) } else { Duration::from_secs(15) };
        Limits { question: Duration::from_secs(5), all }
    }
}

/// How the probe is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Time for one question.
    pub(crate) question: Duration,
    /// Time for all of them.
    pub(crate) all: Duration,
}

/// Asks until it answers 200 or the time is over; says why it did not.
pub(crate) fn probe(url: &str, tls: &Arc<ClientConfig>, limits: Limits) -> Result<(), String> {
    let began = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        let asked = Instant::now();
        let answer = https::status(url, &[("X-CSRF-ZOSMF-HEADER", "true")], tls, limits.question);
        let reason = match answer {
            Ok(200) => return Ok(()),
            Ok(code) => format!("it answers {code}"),
            Err(error) => chain(&error),
        };
        let next = limits.question.saturating_sub(asked.elapsed());
        if began.elapsed() + next >= limits.all {
            return Err(format!(
                "z/OSMF at {url}: {reason} (asked {tries} times in {} s)",
                began.elapsed().as_secs()
            ));
        }
        // A refusal comes at once; the next question is not put before the first one's time is over.
        std::thread::park_timeout(next);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use tender_certificate::tls::VerifyMode;

    use super::*;

    /// Answers one question after the other with these, then listens no more; ends with the requests.
    fn server(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/zosmf/info", listener.local_addr().unwrap());
        let handle = std::thread::spawn(move || {
            let answer = |text: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
                String::from_utf8_lossy(&buffer[..count]).into_owned()
            };
            answers.iter().map(answer).collect()
        });
        (url, handle)
    }

    fn tls() -> Arc<ClientConfig> {
        crate::probe::tls(VerifyMode::Disabled, &[]).unwrap()
    }

    #[test]
    fn server_that_is_not_up_yet_is_asked_again_until_it_is() {
        let (url, server) = server(&["HTTP/1.1 503 x\r\n\r\n", "nonsense\r\n", "HTTP/1.1 200 OK\r\n\r\n"]);
        // Long enough for a busy machine; the answers come at once, so a question hardly waits.
        let limits = Limits { question: Duration::from_millis(200), all: Duration::from_secs(60) };
        probe(&url, &tls(), limits).unwrap();
        let requests = server.join().unwrap();
        assert_eq!(requests.len(), 3);
        let is_whole = |text: &String| {
            text.starts_with("GET /zosmf/info HTTP/1.1\r\n") && text.contains("X-CSRF-ZOSMF-HEADER: true\r\n")
        };
        assert!(requests.iter().all(is_whole), "{requests:?}");
    }

    #[test]
    fn server_that_stays_away_is_given_up_within_the_limit_and_the_reason_told() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let limits = Limits { question: Duration::from_millis(50), all: Duration::from_millis(300) };
        let url = format!("http://127.0.0.1:{port}/zosmf/info");
        let reason = probe(&url, &tls(), limits).unwrap_err();
        assert!(reason.contains(&url) && reason.contains("Connection refused"), "{reason}");
        let tries = reason.split("asked ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!((1..=6).contains(&tries.parse::<u32>().unwrap()), "{reason}");
    }

    #[test]
    fn words_of_the_configuration_are_policies() {
        let words = ["disabled", "FAIL", "warn", "wait", "?"];
        let policies = [Policy::Disabled, Policy::Fail, Policy::Warn, Policy::Wait, Policy::Warn];
        assert_eq!(words.map(Policy::parse), policies);
        assert!(Policy::Wait.is_fatal() && Policy::Fail.is_fatal() && !Policy::Warn.is_fatal());
        assert!(Policy::Wait.limits().all > Policy::Fail.limits().all);
    }
}
