use std::os::unix::fs::PermissionsExt;

use super::*;

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("c");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("manifest.yaml"), "name: c\n").unwrap();
        fs::write(root.join("bin/start.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(root.join("bin/start.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("start.sh", root.join("bin/link")).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, directory: &str, shell: &str) -> PathBuf {
        let status = Command::new("sh").args(["-c", shell]).current_dir(self.path(directory)).status().unwrap();
        assert!(status.success(), "{shell}");
        self.path("a")
    }

    fn copy(&self, source: &Path) -> Result<PathBuf, SourceError> {
        let work = self.path("work");
        fs::create_dir_all(&work).unwrap();
        let dest = self.path("dest");
        copy(source, &work, &dest)?;
        assert!(!work.join("objects").exists());
        Ok(dest)
    }
}

#[test]
fn every_form_gives_the_same_component() {
    for (directory, shell) in [
        ("c", "tar cf ../a ."),
        ("c", "tar czf ../a ."),
        ("c", "tar cJf ../a ."),
        ("c", "tar c . | zstd -q -o ../a"),
        (".", "tar cf a c"),
        ("c", "python3 -c \"
import zipfile, os
z = zipfile.ZipFile('../a', 'w')
z.write('manifest.yaml'); z.write('bin/start.sh')
i = zipfile.ZipInfo('bin/link'); i.external_attr = 0o120777 << 16; z.writestr(i, 'start.sh')
z.close()\""),
        ("c", "python3 -c \"
import os
def entry(name, mode, data):
    n = name.encode() + bytes(1)
    return ('070707' + '%06o' * 7 % (0, 0, mode, 0, 0, 1, 0) + '%011o%06o%011o' % (0, len(n), len(data))).encode() + n + data
open('../a', 'wb').write(entry('.', 0o40755, b'') + entry('./manifest.yaml', 0o100644, b'name: c' + bytes([10]))
    + entry('bin/start.sh', 0o100755, open('bin/start.sh', 'rb').read()) + entry('bin/link', 0o120777, b'start.sh')
    + entry('TRAILER!!!', 0, b''))\""),
    ] {
        let world = World::new();
        let dest = world.copy(&world.run(directory, shell)).unwrap_or_else(|error| panic!("{shell}: {error:?}"));
        assert_eq!(fs::read_to_string(dest.join("manifest.yaml")).unwrap(), "name: c\n", "{shell}");
        let mode = fs::metadata(dest.join("bin/start.sh")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o755, "{shell}");
        assert_eq!(fs::read_link(dest.join("bin/link")).unwrap(), Path::new("start.sh"), "{shell}");
    }
    let world = World::new();
    assert!(world.copy(&world.path("c")).unwrap().join("bin/start.sh").exists());
}

#[test]
fn archive_that_leads_out_is_refused_and_nothing_is_written() {
    let world = World::new();
    let archive = world.run("c", "tar cPf ../a manifest.yaml --transform 's,bin/start.sh,../../evil,' bin/start.sh");
    let error = world.copy(&archive).unwrap_err();
    assert!(matches!(error, SourceError::Import { .. }), "{error:?}");
    symlink("/etc", world.path("c/etc")).unwrap();
    let error = world.copy(&world.path("c")).unwrap_err();
    assert!(matches!(error, SourceError::Import { .. }), "{error:?}");
    assert!(!world.path("dest").exists() && !world.path("evil").exists());
}

#[test]
fn source_without_manifest_or_of_no_kind_is_refused() {
    let world = World::new();
    fs::remove_file(world.path("c/manifest.yaml")).unwrap();
    assert!(matches!(world.copy(&world.path("c")), Err(SourceError::NoManifest { .. })));
    fs::write(world.path("a"), "nothing").unwrap();
    assert!(matches!(world.copy(&world.path("a")), Err(SourceError::Import { .. })));
    assert!(matches!(world.copy(&world.path("none")), Err(SourceError::Missing { .. })));
}
