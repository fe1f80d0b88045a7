//! The operator's end.

use std::time::{Duration, Instant};

use tender_xmem::code::CmsCode;
use tender_xmem::control::{Control, OUTPUT_LAST};
use tender_xmem::frame::{Header, Kind};
use tender_xmem::socket::{Connection, Listener, control_path, name_directory};

use crate::server::{name, options};

#[test]
fn modify_yields_the_lines_of_its_answer_and_its_outcome() {
    let run = tempfile::tempdir().expect("a directory");
    std::fs::create_dir_all(name_directory(run.path(), &name())).expect("a directory");
    let absent = Control::connect(&name(), &options(run.path())).expect_err("nobody listens");
    assert_eq!(absent.code(), Some(CmsCode::ServerDown));
    let listener = Listener::bind(&control_path(run.path(), &name()), 4).expect("listening");
    let server = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(10);
        let connection = loop {
            match listener.accept() {
                Ok(connection) => break connection,
                Err(_) => assert!(Instant::now() < until, "nobody came"),
            }
        };
        let mut buffer = Connection::buffer();
        while let Ok(frame) = connection.receive_until(&mut buffer, 0, Some(until)) {
            assert_eq!(frame.header.kind, Kind::Command);
            let mut output = Header::new(Kind::Output, frame.header.sequence);
            for line in ["ZWES0220I", "", "D:"] {
                connection.send(&output, line.as_bytes(), &[]).expect("a line");
            }
            (output.detail, output.code) = (OUTPUT_LAST, 8);
            connection.send(&output, &frame.payload, &[]).expect("the last line");
        }
    });
    let mut control = Control::connect(&name(), &options(run.path())).expect("connected");
    let mut output = control.modify("DISPLAY").expect("sent");
    let lines: Vec<String> = output.by_ref().map(|line| line.expect("a line")).collect();
    assert_eq!(lines, ["ZWES0220I", "", "D:", "DISPLAY"]);
    assert_eq!(output.outcome(), Some(8));
    // The rest of an answer that nobody read is not taken for the next one's.
    assert_eq!(control.modify("ONE").expect("sent").next().expect("a line").expect("a line"), "ZWES0220I");
    let lines: Vec<String> = control.modify("").expect("sent").map(|line| line.expect("a line")).collect();
    assert_eq!(lines, ["ZWES0220I", "", "D:"]);
    drop(control);
    server.join().expect("the server");
}
