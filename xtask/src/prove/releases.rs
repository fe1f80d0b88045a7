//! The releases: fetched once as archives, unpacked by `unzip` and `tar`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::program;
use crate::registry;
use crate::workspace::Workspace;

/// Versions of each product.
pub(super) const VERSIONS: usize = 3;

/// Where a version comes from.
#[derive(Debug)]
enum Source {
    /// A wheel from PyPI.
    Wheel(&'static str),
    /// A package from npm with what it needs, as of a day.
    Npm { package: &'static str, before: &'static str },
}

/// A product in three successive versions.
#[derive(Debug)]
pub(super) struct Product {
    /// The component it is serviced as.
    pub(super) component: &'static str,
    versions: [Source; VERSIONS],
}

/// A library, a native executable, and a program with links to its executables.
pub(super) const PRODUCTS: &[Product] = &[
    Product {
        component: "requests",
        versions: [
            Source::Wheel("requests==2.32.3"),
            Source::Wheel("requests==2.32.4"),
            Source::Wheel("requests==2.32.5"),
        ],
    },
    Product {
        component: "ninja",
        versions: [
            Source::Wheel("ninja==1.11.1.1"),
            Source::Wheel("ninja==1.11.1.2"),
            Source::Wheel("ninja==1.11.1.3"),
        ],
    },
    Product {
        component: "terser",
        versions: [
            Source::Npm { package: "terser@5.31.0", before: "2024-06-01" },
            Source::Npm { package: "terser@5.31.1", before: "2024-07-01" },
            Source::Npm { package: "terser@5.31.3", before: "2024-08-01" },
        ],
    },
];

/// The archives, and where they are unpacked.
#[derive(Debug)]
pub(super) struct Releases {
    archives: PathBuf,
    trees: PathBuf,
}

impl Releases {
    /// Fetches what is not there yet; archives outlive the stage.
    pub(super) fn fetch(workspace: &Workspace, stage: &Path) -> Result<Self, Failure> {
        let archives = workspace.root().join("target/prove/archives");
        fs::create_dir_all(&archives).map_err(Failure::file("make", &archives))?;
        let releases = Self { archives, trees: stage.join("trees") };
        for product in PRODUCTS {
            for version in 0..VERSIONS {
                let archive = releases.archive(product, version);
                if !archive.exists() {
                    println!("    fetching {}", product.versions[version].name());
                    product.versions[version].fetch(&archive, &workspace.root().join("target/bench/venv"))?;
                }
            }
        }
        Ok(releases)
    }

    fn archive(&self, product: &Product, version: usize) -> PathBuf {
        let source = &product.versions[version];
        let ending = if matches!(source, Source::Wheel(_)) { "whl" } else { "tar" };
        self.archives.join(format!("{}.{ending}", source.name().replace(['/', '@', '='], "-")))
    }

    /// Returns the names of all products in one version.
    pub(super) fn names(&self, version: usize) -> String {
        PRODUCTS.iter().map(|product| product.versions[version].name()).collect::<Vec<_>>().join(", ")
    }

    /// Makes the release with all products in one version, as a vendor has it: one directory for each component.
    pub(super) fn release(&self, version: usize) -> Result<String, Failure> {
        let release = self.trees.join("vendor").join(version.to_string());
        for product in PRODUCTS {
            let component = release.join(product.component);
            if !component.exists() {
                self.unpack(product, version, &component)?;
            }
        }
        Ok(release.to_string_lossy().into_owned())
    }

    /// Unpacks the archive once more, into a directory that Tender never sees.
    pub(super) fn unpacked_again(&self, product: &Product, version: usize) -> Result<PathBuf, Failure> {
        let tree = self.trees.join("expected").join(version.to_string()).join(product.component);
        if !tree.exists() {
            self.unpack(product, version, &tree)?;
        }
        Ok(tree)
    }

    fn unpack(&self, product: &Product, version: usize, tree: &Path) -> Result<(), Failure> {
        fs::create_dir_all(tree).map_err(Failure::file("make", tree))?;
        let archive = self.archive(product, version);
        match product.versions[version] {
            Source::Wheel(_) => {
                program::run(Command::new("unzip").arg("-q").arg(&archive).arg("-d").arg(tree))?;
            }
            Source::Npm { .. } => {
                program::run(Command::new("tar").arg("-xpf").arg(&archive).arg("-C").arg(tree))?;
            }
        }
        // A component has a manifest; it is the one file that does not come from the archive.
        let manifest = tree.join("manifest.yaml");
        let text =
            format!("name: {}\nversion: {version}.0.0\ntitle: {}\n", product.component, product.component);
        fs::write(&manifest, text).map_err(Failure::file("write", &manifest))
    }
}

impl Source {
    fn name(&self) -> &'static str {
        match self {
            Self::Wheel(name) | Self::Npm { package: name, .. } => name,
        }
    }

    /// Fetches the archive; it appears under its name when it is complete.
    fn fetch(&self, archive: &Path, venv: &Path) -> Result<(), Failure> {
        let part = archive.with_extension("part");
        if part.exists() {
            fs::remove_dir_all(&part).map_err(Failure::file("remove", &part))?;
        }
        fs::create_dir_all(&part).map_err(Failure::file("make", &part))?;
        let made = match self {
            Self::Wheel(requirement) => registry::download_wheel(requirement, &part, venv)?,
            Self::Npm { package, before } => {
                let tree = part.join("tree");
                registry::install_npm_tree(package, before, &tree)?;
                let packed = part.join("packed.tar");
                program::run(Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(&packed).arg("."))?;
                packed
            }
        };
        fs::rename(&made, archive).map_err(Failure::file("rename", &made))?;
        fs::remove_dir_all(&part).map_err(Failure::file("remove", &part))
    }
}
