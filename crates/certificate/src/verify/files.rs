//! Are the files there, and closed to those who should not read them?

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::Report;
use crate::{Password, RuntimeCertificate};

const WORLD: u32 = 0o007;
const GROUP_WRITES: u32 = 0o020;

pub(super) fn check(certificate: &RuntimeCertificate, report: &mut Report) {
    check_file(&certificate.keystore.file, true, report);
    check_file(&certificate.truststore.file, false, report);
    let mut passwords: Vec<&Path> = Vec::new();
    for store in [&certificate.keystore, &certificate.truststore] {
        if let Some(Password::File(path)) = &store.password
            && !passwords.contains(&path.as_path())
        {
            passwords.push(path);
        }
    }
    for path in passwords {
        check_file(path, true, report);
    }
    if let Some(pem) = &certificate.pem {
        if let Some(key) = &pem.key {
            check_file(key, true, report);
        }
        if let Some(path) = &pem.certificate {
            check_file(path, false, report);
        }
        for path in pem.certificate_authorities.iter().flat_map(crate::OneOrMany::paths) {
            check_file(&path, false, report);
        }
    }
}

fn check_file(path: &Path, is_secret: bool, report: &mut Report) {
    let shown = path.display();
    if let Err(error) = File::open(path) {
        let text = match error.kind() {
            io::ErrorKind::NotFound => "it is not there".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "this user may not read it; run the check as the user of the instance".to_owned()
            }
            _ => error.to_string(),
        };
        return report.failed("file", shown, text);
    }
    let Ok(metadata) = fs::metadata(path) else { return };
    if !metadata.is_file() {
        return report.failed("file", shown, "it is no file");
    }
    let mode = metadata.mode() & 0o777;
    if is_secret && mode & WORLD != 0 {
        let text = format!("everyone on this machine can get at it (mode {mode:04o}); set it to 0400");
        report.failed("mode", shown, text);
    } else if mode & (GROUP_WRITES | 0o002) != 0 {
        report.warning("mode", shown, format!("others than its owner can change it (mode {mode:04o})"));
    } else {
        report.passed("file", shown, format!("it can be read (mode {mode:04o})"));
    }
}
