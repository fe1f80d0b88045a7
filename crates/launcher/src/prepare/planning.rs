//! The phase in which the plan is made of what was configured.

use std::collections::BTreeMap;
use std::time::Instant;

use tender_config::manifest::FailurePolicy;
use tender_supervisor::Scope;
use tender_supervisor::plan::{self, LeftOut, Plan};

use super::foresee::{self, Wanting};
use super::model::Model;
use super::run::Surroundings;
use super::subject::Subject;
use super::{
    PrepareError, PrepareRequest, Run, State, elapsed_ms, failed_row, global, left_out, planned, policy,
};
use crate::fingerprint::DigestCache;
use crate::parallel;
use crate::progress::Event;
use crate::summary::{Outcome, Phase, PhaseSummary, Row};

impl Run<'_> {
    pub(super) fn plan(
        &mut self,
        model: &Model,
        request: &PrepareRequest,
        surroundings: &Surroundings,
        mut states: BTreeMap<String, State>,
    ) -> Result<Option<Plan>, PrepareError> {
        let began = Instant::now();
        let phase = Phase::Plan;
        let cache = DigestCache::load(&model.layout.private().join("digests.json"));
        let probe_arguments = crate::probe::arguments(model.verify, &global::authorities(model));
        let shared = planned::Shared {
            prelude: &surroundings.prelude,
            program: &request.program,
            probe_arguments: &probe_arguments,
            cache: &cache,
        };
        let is_in = |subject: &&Subject| states[&subject.name].left_out.is_none();
        let subjects: Vec<&Subject> = model.subjects.iter().filter(is_in).collect();
        self.progress.event(&Event::PhaseBegun { phase, rows: subjects.len() });
        let planned = parallel::map(request.bound, &subjects, |subject| {
            let began = Instant::now();
            let exports = &states[&subject.name].configured.exports;
            (planned::component(subject, exports, &shared), elapsed_ms(began))
        });
        cache.save();
        let (mut rows, mut components) = (Vec::new(), Vec::new());
        for (subject, (result, took_ms)) in subjects.iter().zip(planned) {
            let row = match result {
                Ok(Some(component)) => {
                    components.push(component);
                    Row::new(&subject.name, Outcome::Done, took_ms)
                }
                Ok(None) => {
                    Row::new(&subject.name, Outcome::Nothing, took_ms).because("it has nothing to start")
                }
                Err(failure) => {
                    let policy = match policy(subject, FailurePolicy::Skip, request) {
                        FailurePolicy::Fail => FailurePolicy::Fail,
                        _ => FailurePolicy::Skip,
                    };
                    let row = failed_row(subject, policy, failure, began);
                    states.entry(subject.name.clone()).or_default().left_out = Some(left_out(&row, phase));
                    row
                }
            };
            self.progress.event(&Event::RowDone { phase, row: row.clone() });
            rows.push(row);
        }
        let mut left: Vec<LeftOut> = states.into_values().filter_map(|state| state.left_out).collect();
        if matches!(request.scope, Scope::All) {
            drop_dependents(&mut components, &mut left, &mut rows);
            rows.extend(cycle_row(&components.iter().map(wanting).collect::<Vec<_>>()));
        }
        if self.close(PhaseSummary { phase, took_ms: elapsed_ms(began), rows }) == Outcome::Failed {
            return Ok(None);
        }
        Ok(Some(self.announce(model, components, left)))
    }

    /// Says what will be started and makes the plan of it.
    fn announce(&mut self, model: &Model, components: Vec<plan::Component>, left_out: Vec<LeftOut>) -> Plan {
        let names: Vec<&str> = components.iter().map(|component| component.name.as_str()).collect();
        if names.is_empty() {
            let why = nothing_to_start(model);
            self.say("ZWEL0029E", format!("there is no component to start: {why}"));
        } else {
            self.say("ZWEL0016I", format!("components to start: {}", names.join(", ")));
        }
        self.say("ZWEL0018I", "the instance is prepared");
        Plan {
            instance: plan::Instance {
                id: model.layout.ha_id.clone(),
                job_name: model.job_name.clone(),
                directory: model.directory.clone(),
                runtime_directory: model.runtime.clone(),
                log_directory: model.layout.logs.clone(),
                private_directory: model.layout.private(),
                version: model.version.clone(),
            },
            components,
            left_out,
            log: model.log.clone(),
            notable: model.notable.clone(),
        }
    }
}

/// Leaves out what requires a component that is left out, and what requires that, and so on.
fn drop_dependents(components: &mut Vec<plan::Component>, left: &mut Vec<LeftOut>, rows: &mut [Row]) {
    let gone: Vec<&str> = left.iter().map(|one| one.name.as_str()).collect();
    let unmet = foresee::unmet(&components.iter().map(wanting).collect::<Vec<_>>(), &gone);
    for (name, reason) in unmet {
        components.retain(|component| component.name != name);
        if let Some(row) = rows.iter_mut().find(|row| row.name == name) {
            (row.outcome, row.reason) = (Outcome::Skipped, Some(reason.clone()));
        }
        left.push(LeftOut { name, phase: "requires".to_owned(), reason, output: Vec::new() });
    }
}

fn wanting(component: &plan::Component) -> Wanting<'_> {
    Wanting { name: &component.name, requires: &component.requires, after: &component.after }
}

/// Says that components wait for each other, when they do: then none of them could ever start.
pub(super) fn cycle_row(components: &[Wanting<'_>]) -> Option<Row> {
    let way = foresee::cycle(components)?;
    let reason = format!("components wait for each other: {}", way.join(" → "));
    Some(Row::new("order of starts", Outcome::Failed, 0).because(reason))
}

/// Says why no component is to be started.
pub(super) fn nothing_to_start(model: &Model) -> &'static str {
    if model.subjects.is_empty() {
        "none is enabled; `tender component list` shows what there is, `tender component enable` enables it"
    } else {
        "those that are enabled are left out or have nothing to start"
    }
}
