//! What preparation needs to know of an instance, taken out of its configuration once.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value as Json;
use tender_certificate::RuntimeCertificate;
use tender_certificate::tls::VerifyMode;
use tender_supervisor::plan::LogSettings;

use super::global::port_uses::PortUse;
use super::global::zosmf::Policy;
use super::subject::Subject;
use crate::layout::Layout;

/// An instance, in plain values.
#[derive(Debug)]
pub(crate) struct Model {
    /// The instance directory.
    pub(crate) directory: PathBuf,
    /// Its directories.
    pub(crate) layout: Layout,
    /// The product tree, as configured.
    pub(crate) runtime: PathBuf,
    /// Where extensions are.
    pub(crate) extensions: Option<PathBuf>,
    /// Name of the whole.
    pub(crate) job_name: String,
    /// Version of the product, when its manifest says so.
    pub(crate) version: Option<String>,
    /// Names under which this HA instance is reached.
    pub(crate) hosts: Vec<String>,
    /// Enabled components, in the order of the configuration.
    pub(crate) subjects: Vec<Subject>,
    /// Components that are enabled in some HA instance: shared files of others are stale.
    pub(crate) active_anywhere: BTreeSet<String>,
    /// Ports of all HA instances.
    pub(crate) ports: Vec<PortUse>,
    /// `java.home`.
    pub(crate) java_home: Option<PathBuf>,
    /// `node.home`.
    pub(crate) node_home: Option<PathBuf>,
    /// z/OSMF, when something needs it.
    pub(crate) zosmf: Option<(String, Policy)>,
    /// `zowe.certificate`, or why it cannot be used.
    pub(crate) certificate: Option<Result<RuntimeCertificate, String>>,
    /// `zowe.verifyCertificates`.
    pub(crate) verify: VerifyMode,
    /// The configuration, without secrets.
    pub(crate) effective: Json,
    /// How output is kept.
    pub(crate) log: LogSettings,
    /// `zowe.sysMessages`.
    pub(crate) notable: Vec<String>,
}
