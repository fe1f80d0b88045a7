//! The phase in which all components are configured.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use tender_supervisor::Scope;

use super::configure::{self, Configured};
use super::model::Model;
use super::run::{Failure, Surroundings};
use super::snapshot;
use super::subject::Subject;
use super::{PrepareError, PrepareRequest, Run, State, elapsed_ms, failed_row, left_out, policy};
use crate::layout::{Layout, LayoutError, write_generated};
use crate::message::chain;
use crate::progress::Event;
use crate::register::{api_definition, plugin, shared_library};
use crate::summary::{Outcome, Phase, PhaseSummary, Row};
use crate::{parallel, register};

impl Run<'_> {
    pub(super) fn configure(
        &mut self,
        model: &Model,
        request: &PrepareRequest,
        surroundings: &Surroundings,
        states: &mut BTreeMap<String, State>,
    ) -> Result<Outcome, PrepareError> {
        let began = Instant::now();
        let phase = Phase::Configure;
        let is_in = |subject: &&Subject| states[&subject.name].left_out.is_none();
        let subjects: Vec<&Subject> = model.subjects.iter().filter(is_in).collect();
        self.progress.event(&Event::PhaseBegun { phase, rows: subjects.len() });
        place_instance_files(model)?;
        let shared = snapshot::Shared::default();
        let results = parallel::map(request.bound, &subjects, |subject| {
            let began = Instant::now();
            let mut configured = Configured::default();
            let done =
                configure::configure(subject, &model.layout, &model.runtime, surroundings, &mut configured);
            let done = done.and_then(|()| {
                snapshot::write(&model.layout, subject, &configured.exports, &shared)
                    .map_err(|error| Failure::because(chain(&error)))
            });
            let row = match done {
                Ok(()) if configured.is_run => {
                    let mut output = configured.notices.clone();
                    output.append(&mut configured.output);
                    Row { output, ..Row::new(&subject.name, Outcome::Done, elapsed_ms(began)) }
                }
                Ok(()) => Row::new(&subject.name, Outcome::Nothing, elapsed_ms(began)),
                Err(failure) => failed_row(
                    subject,
                    policy(subject, subject.policies.on_configure, request),
                    failure,
                    began,
                ),
            };
            self.progress.event(&Event::RowDone { phase, row: row.clone() });
            (row, configured)
        });
        let mut rows = Vec::with_capacity(results.len());
        for (row, configured) in results {
            let left_out = (row.outcome == Outcome::Skipped).then(|| left_out(&row, phase));
            states.insert(row.name.clone(), State { configured, left_out });
            rows.push(row);
        }
        if matches!(request.scope, Scope::All) {
            remove_stale(model, states)?;
        }
        Ok(self.close(PhaseSummary { phase, took_ms: elapsed_ms(began), rows }))
    }
}

/// Writes what concerns the whole HA instance: the product's manifest and the configuration without secrets.
fn place_instance_files(model: &Model) -> Result<(), LayoutError> {
    let Layout { workspace, ha_id, .. } = &model.layout;
    if let Ok(manifest) = std::fs::read(model.runtime.join("manifest.json")) {
        write_generated(&workspace.join("manifest.json"), &manifest, 0o660)?;
    }
    let effective = format!("{:#}\n", model.effective);
    write_generated(&model.layout.env().join(format!(".zowe-{ha_id}.json")), effective.as_bytes(), 0o600)?;
    Ok(())
}

/// Removes what components that are gone or disabled left in the workspace.
fn remove_stale(model: &Model, states: &BTreeMap<String, State>) -> Result<(), LayoutError> {
    let here: Vec<&str> = model.subjects.iter().map(|subject| subject.name.as_str()).collect();
    let anywhere: Vec<&str> =
        model.active_anywhere.iter().map(String::as_str).chain(here.iter().copied()).collect();
    // A component that failed before its definitions were rendered keeps those it had.
    let mut keep: Vec<PathBuf> =
        states.values().flat_map(|state| state.configured.definitions.clone()).collect();
    for subject in &model.subjects {
        keep.extend(subject.manifest.static_definitions.iter().map(|file| {
            let name =
                api_definition::file_name(&subject.name, &file.display().to_string(), &model.layout.ha_id);
            model.layout.api_defs().join(name)
        }));
    }
    let _turn = model.layout.take_turn()?;
    register::api_definition::remove_stale(&model.layout, &keep)?;
    shared_library::remove_stale(&model.layout, &anywhere)?;
    plugin::remove_stale(&model.layout, &anywhere)?;
    snapshot::remove_stale(&model.layout, &here, &anywhere)
}
