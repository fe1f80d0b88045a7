//! Requests of every kind through the gateway.

use super::Programs;
use crate::failure::Failure;
use crate::load::gateway::{Way, backend, load, make_certificate, ours};
use crate::load::{free_ports, work_dir};
use crate::workspace::Workspace;

/// Seconds of each load.
const SECONDS: u32 = 2;

/// Leads requests through it, small and large, over all ways that they can come.
pub(super) fn train(workspace: &Workspace, programs: &Programs) -> Result<(), Failure> {
    let work = work_dir(workspace, "train-gateway")?;
    let [backend_port, registry_port] = free_ports()?;
    let backend = backend(&work, backend_port, registry_port)?;
    make_certificate(&work)?;
    let gateway = ours(&programs.tender, &work, registry_port)?;
    for way in Way::ALL {
        for (file, connections) in [("1k", 64), ("1k", 300), ("1m", 16)] {
            load(&gateway, way, file, connections, SECONDS, &work)?;
        }
    }
    // What was counted is written at the end.
    for served in [Some(gateway.plain), gateway.tls].into_iter().flatten() {
        served.end()?;
    }
    drop(backend);
    Ok(())
}
