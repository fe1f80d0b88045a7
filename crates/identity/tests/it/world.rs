//! Names, services, and this program once more as another process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tender_identity::{
    ApplicationName, IssuedToken, Moment, Rate, TicketOptions, TicketService, TokenOptions, TokenRequest,
    TokenService, UserName,
};

/// Where the other process finds what it works on.
const DIRECTORY: &str = "TENDER_IDENTITY_TEST";

pub(crate) fn user() -> UserName {
    "BOB".parse().unwrap()
}

pub(crate) fn application() -> ApplicationName {
    "MYAPP".parse().unwrap()
}

/// Without a bound on wrong tickets: used ones are wrong ones, and the tests present many.
pub(crate) fn tickets(directory: &Path) -> TicketService {
    let rate = Rate { burst: 1_000_000, per_minute: 1_000_000 };
    let options = TicketOptions { rate, ..TicketOptions::default() };
    TicketService::open(&directory.join("keys"), options, Moment::now()).unwrap()
}

pub(crate) fn tokens(directory: &Path) -> TokenService {
    let server = "ZWESIS_STD".parse().unwrap();
    TokenService::open(&directory.join("keys"), server, TokenOptions::default(), Moment::now()).unwrap()
}

/// Makes so many tickets of one user, no two alike.
pub(crate) fn make_tickets(service: &mut TicketService, count: usize) -> Vec<String> {
    service.define(Moment::now(), &application()).unwrap();
    let mut made = Vec::new();
    while made.len() < count {
        // A second has only so many numbers; the time is given with each call, so none has to be waited for.
        let mut moment = Moment::now();
        moment.unix_s -= (made.len() / 100) as u64;
        made.push(service.generate(moment, &user(), &application()).unwrap().code);
    }
    made
}

/// Makes so many tokens, each of another user: many of one are revoked all at once.
pub(crate) fn make_tokens(service: &mut TokenService, count: usize) -> Vec<IssuedToken> {
    let request = |number: usize| {
        let user = format!("BOB{number}").parse().unwrap();
        TokenRequest { user, application: None, lifetime_s: None }
    };
    (0..count).map(|number| service.issue(Moment::now(), &request(number)).unwrap()).collect()
}

/// Runs one of the ignored tests as another process, with standard output piped.
pub(crate) fn other(test: &str, directory: &Path) -> Child {
    command(Command::new(std::env::current_exe().unwrap()), test, directory).spawn().unwrap()
}

/// Adds what makes a command run one of the ignored tests.
pub(crate) fn command(mut command: Command, test: &str, directory: &Path) -> Command {
    command
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Returns the directory that this process was given, if it is another process of a test.
pub(crate) fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Leaves for another process what was made.
pub(crate) fn keep(directory: &Path, made: &[String]) {
    std::fs::write(directory.join("made"), made.join("\n")).unwrap();
}

/// Takes what was left.
pub(crate) fn kept(directory: &Path) -> Vec<String> {
    std::fs::read_to_string(directory.join("made")).unwrap().lines().map(str::to_owned).collect()
}

/// Says, as another process, that a number is done.
pub(crate) fn say(number: usize) {
    let mut output = std::io::stdout();
    writeln!(output, "done {number}").unwrap();
    output.flush().unwrap();
}

/// Returns all numbers that another process says, and how it ended. It is killed when it has said so many.
pub(crate) fn heard(mut process: Child, until: Option<usize>) -> (ExitStatus, Vec<usize>) {
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let (mut numbers, mut line, mut is_killed) = (Vec::new(), String::new(), false);
    // What it said before it died still comes.
    while output.read_line(&mut line).unwrap() > 0 {
        numbers.extend(line.trim().strip_prefix("done ").map(|number| number.parse::<usize>().unwrap()));
        line.clear();
        if !is_killed && until.is_some_and(|count| numbers.len() >= count) {
            process.kill().unwrap();
            is_killed = true;
        }
    }
    (process.wait().unwrap(), numbers)
}
