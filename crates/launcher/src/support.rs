//! The support bundle: what somebody needs to find out what is wrong, and no secret.
//!
//! `tender-support.<time>.tar.gz`, mode 0600, with `MANIFEST` as its first file: what is in it and what was left out.
//! Key stores, keys and password files are never looked at. Text that is put in is searched for every secret of the
//! configuration, and for whatever stands where secrets stand (`redact`).

mod redact;

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use tender_config::environment::{self, EnvText};
use tender_config::node::{Node, Value};

use crate::discover;
use crate::instance::{Instance, InstanceError, Loaded};
use crate::launch;
use crate::layout::Layout;
use crate::prepare::looks_secret;
use crate::register::api_definition::entries;
use redact::{REDACTED, redact};

/// The last part of a log that is taken, in bytes.
const LOG_BYTES_MAX: u64 = 5 << 20;
/// All logs together, in bytes.
const LOGS_BYTES_MAX: u64 = 100 << 20;
/// Shorter values are no secrets that could be searched for.
const SECRET_BYTES_MIN: usize = 4;

/// Says why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum SupportError {
    /// The bundle could not be written.
    #[error("write the bundle `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no such instance.
    #[error("find the instance")]
    Instance(#[from] InstanceError),
}

/// Writes a bundle into the directory `target` and returns its path.
///
/// A configuration that cannot be read is no hindrance: then that is what the bundle tells.
pub fn collect(instance: &Instance, target: &Path) -> Result<PathBuf, SupportError> {
    let time = Timestamp::now().strftime("%Y-%m-%d-%H-%M-%S").to_string();
    let path = target.join(format!("tender-support.{time}.tar.gz"));
    let failed = |source| SupportError::Write { path: path.clone(), source };
    let loaded = instance.load();
    let mut bundle = Bundle { secrets: Vec::new(), files: Vec::new(), notes: Vec::new() };
    match &loaded {
        Ok(loaded) => {
            bundle.secrets = secrets(loaded);
            bundle.instance(instance, loaded);
        }
        Err(error) => {
            let mut text = crate::message::chain(error);
            if let InstanceError::Configuration { report, .. } = error {
                text = format!("{text}\n{report}");
            }
            bundle.text("configuration/problems.txt", &text);
        }
    }
    bundle.configuration_files(instance);
    bundle.host();
    write(&path, &bundle).map_err(failed)?;
    Ok(path)
}

/// What is to be in the bundle, redacted.
struct Bundle {
    secrets: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    notes: Vec<String>,
}

impl Bundle {
    fn text(&mut self, name: &str, text: &str) {
        let redacted = redact(text, &self.secrets);
        self.files.push((name.to_owned(), redacted.into_bytes()));
    }

    fn file(&mut self, name: &str, path: &Path) {
        match fs::read(path) {
            Ok(bytes) => self.text(name, &String::from_utf8_lossy(&bytes)),
            Err(error) => self.notes.push(format!("{}: {error}", path.display())),
        }
    }

    fn instance(&mut self, instance: &Instance, loaded: &Loaded) {
        self.text("configuration/problems.txt", &loaded.report.to_string());
        self.text("configuration/effective.json", &format!("{:#}\n", loaded.instance.root().to_json()));
        let list = serde_json::to_string_pretty(&discover::components(loaded))
            .expect("a list of plain values is JSON");
        self.text("components.json", &list);
        for component in &loaded.instance.components {
            self.file(&format!("components/{}/manifest.yaml", component.name), &component.manifest.file);
            if let Ok(found) = environment::component(&loaded.instance, &component.name) {
                let lines: Vec<String> = found
                    .iter()
                    .map(|(name, value)| match &value.text {
                        EnvText::Plain(text) if !looks_secret(name) => format!("{name}={text}"),
                        _ => format!("{name}={REDACTED}"),
                    })
                    .collect();
                self.text(&format!("components/{}/environment.txt", component.name), &lines.join("\n"));
            }
        }
        if let Some(runtime) = loaded.instance.runtime_directory() {
            self.file("product/manifest.json", &runtime.join("manifest.json"));
        }
        let Ok(layout) = loaded.layout() else { return };
        let status = launch::status(instance.directory(), &layout.ha_id);
        let status = status.map_or_else(
            || "the instance does not run\n".to_owned(),
            |status| serde_json::to_string_pretty(&status).expect("a status is JSON"),
        );
        self.text("status.json", &status);
        self.definitions(&layout);
        self.logs(&layout.logs);
    }

    fn definitions(&mut self, layout: &Layout) {
        for path in entries(&layout.api_defs()).unwrap_or_default() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.file(&format!("api-defs/{name}"), &path);
        }
    }

    /// The configuration as it was written: comments often tell more than values.
    fn configuration_files(&mut self, instance: &Instance) {
        for (number, path) in instance.config().paths().iter().enumerate() {
            let candidates = ["zowe.yaml", "instance.env"].map(|name| path.join(name));
            let files: Vec<PathBuf> = if path.is_dir() { candidates.into() } else { vec![path.clone()] };
            for file in files.iter().filter(|file| file.is_file()) {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.file(&format!("configuration/{number}-{name}"), file);
            }
        }
    }

    fn logs(&mut self, directory: &Path) {
        let mut found = Vec::new();
        collect_logs(directory, &mut found);
        // The newest first: they are what is wanted when there is too much.
        found.sort_by_key(|(_, changed)| std::cmp::Reverse(*changed));
        let mut left = LOGS_BYTES_MAX;
        for (path, _) in found {
            let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
            let limit = LOG_BYTES_MAX.min(left);
            if limit == 0 {
                self.notes.push(format!("logs/{name}: left out, there were too many"));
                continue;
            }
            match tail(&path, limit) {
                Ok((bytes, skipped)) => {
                    left -= bytes.len() as u64;
                    if skipped > 0 {
                        self.notes.push(format!("logs/{name}: its first {skipped} bytes are left out"));
                    }
                    self.text(&format!("logs/{name}"), &String::from_utf8_lossy(&bytes));
                }
                Err(error) => self.notes.push(format!("logs/{name}: {error}")),
            }
        }
    }

    fn host(&mut self) {
        let uname = rustix::system::uname();
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let text = format!(
            "{} {} {} {}\ntender {}\n\n{release}",
            uname.sysname().to_string_lossy(),
            uname.nodename().to_string_lossy(),
            uname.release().to_string_lossy(),
            uname.machine().to_string_lossy(),
            env!("CARGO_PKG_VERSION")
        );
        self.text("host.txt", &text);
        self.text("processes.txt", &processes());
    }
}

fn collect_logs(directory: &Path, found: &mut Vec<(PathBuf, std::time::SystemTime)>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            collect_logs(&entry.path(), found);
        } else if metadata.is_file() {
            found.push((entry.path(), metadata.modified().unwrap_or(std::time::UNIX_EPOCH)));
        }
    }
}

/// Reads the last `limit` bytes of a file; returns them and how many were before them.
fn tail(path: &Path, limit: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(limit);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes, skipped))
}

/// Lists the processes of this host: id, parent, user, program. Arguments are left out: they may hold secrets.
fn processes() -> String {
    let mut lines = vec!["pid ppid uid program".to_owned()];
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()).unwrap_or("?").to_owned()
        };
        lines.push(format!("{pid} {} {} {}", field("PPid:"), field("Uid:"), field("Name:")));
    }
    lines.join("\n")
}

/// Returns every secret of the configuration that can be had; longest first, so that none leaves a rest of another.
fn secrets(loaded: &Loaded) -> Vec<String> {
    let mut found = Vec::new();
    collect_secrets(loaded.instance.root(), &mut found);
    collect_secrets(loaded.configuration.root(), &mut found);
    found.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.dedup();
    found
}

fn collect_secrets(node: &Node, found: &mut Vec<String>) {
    match &node.value {
        // One that cannot be fetched here cannot stand in a log of ours either.
        Value::Secret(source) => found.extend(source.resolve().ok().map(|secret| secret.expose().to_owned())),
        Value::Sequence(elements) => elements.iter().for_each(|element| collect_secrets(element, found)),
        Value::Mapping(mapping) => mapping.entries().iter().for_each(|entry| {
            if let Some(text) = entry.node.text().filter(|_| looks_secret(&entry.key)) {
                found.push(text.to_owned());
            }
            collect_secrets(&entry.node, found);
        }),
        _ => {}
    }
}

fn write(path: &Path, bundle: &Bundle) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new()
        .prefix(".tender-support.")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(directory)?;
    {
        let mut archive = tar::Builder::new(GzEncoder::new(&mut temporary, Compression::default()));
        let mut manifest =
            String::from("Content of this bundle; values of secrets are replaced by (secret).\n\n");
        for (name, bytes) in &bundle.files {
            writeln!(manifest, "{:>10}  {name}", bytes.len()).expect("a string takes everything");
        }
        if !bundle.notes.is_empty() {
            manifest.push_str("\nLeft out:\n");
            for note in &bundle.notes {
                writeln!(manifest, "  {note}").expect("a string takes everything");
            }
        }
        append(&mut archive, "MANIFEST", manifest.as_bytes())?;
        for (name, bytes) in &bundle.files {
            append(&mut archive, name, bytes)?;
        }
        archive.into_inner()?.finish()?.flush()?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn append(archive: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(Timestamp::now().as_second()).unwrap_or(0));
    archive.append_data(&mut header, format!("tender-support/{name}"), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_log_gives_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(tail(&path, 4).unwrap(), (b"6789".to_vec(), 6));
    }
}
