//! The phase in which all components are validated, and what a start would make of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tender_config::manifest::{FailurePolicy, Phase as Hook};
use tender_supervisor::Scope;

use super::foresee::{self, Wanting};
use super::model::Model;
use super::planning::{cycle_row, nothing_to_start};
use super::run::{self, Failure, Surroundings};
use super::subject::Subject;
use super::{PrepareRequest, Run, State, elapsed_ms, failed_row, left_out, policy};
use crate::parallel;
use crate::progress::Event;
use crate::summary::{Outcome, Phase, PhaseSummary, Row};

impl Run<'_> {
    pub(super) fn validate(
        &mut self,
        model: &Model,
        request: &PrepareRequest,
        surroundings: &Surroundings,
        states: &mut BTreeMap<String, State>,
    ) -> Outcome {
        let began = Instant::now();
        let phase = Phase::Validate;
        self.progress.event(&Event::PhaseBegun { phase, rows: model.subjects.len() });
        let rows = parallel::map(request.bound, &model.subjects, |subject| {
            let began = Instant::now();
            let fault = match &subject.problem {
                Some(problem) => Err(Failure::because(problem.clone())),
                None => run::check(subject, Hook::Start),
            };
            let cannot_start = fault.is_err();
            let ran = fault.and_then(|()| {
                run::run(subject, Hook::Validate, crate::script::Exports::Dropped, surroundings)
            });
            let row = match ran {
                Ok(ran) if ran.is_run => {
                    Row { output: ran.output, ..Row::new(&subject.name, Outcome::Done, elapsed_ms(began)) }
                }
                Ok(_) => Row::new(&subject.name, Outcome::Nothing, elapsed_ms(began)),
                Err(failure) => {
                    let policy = policy(subject, subject.policies.on_validate, request);
                    // A component whose configuration or start script is wrong cannot be started all the same.
                    let policy = if cannot_start && policy == FailurePolicy::Warn {
                        FailurePolicy::Skip
                    } else {
                        policy
                    };
                    failed_row(subject, policy, failure, began)
                }
            };
            self.progress.event(&Event::RowDone { phase, row: row.clone() });
            row
        });
        for row in &rows {
            let left_out = (row.outcome == Outcome::Skipped).then(|| left_out(row, phase));
            states.insert(row.name.clone(), State { left_out, ..State::default() });
        }
        self.close(PhaseSummary { phase, took_ms: elapsed_ms(began), rows })
    }

    /// Says what a start would make of the components, without configuring any.
    ///
    /// A configure script that cannot be run, what is left out because of what it requires, and that nothing is left.
    pub(super) fn foresee(
        &mut self,
        model: &Model,
        request: &PrepareRequest,
        states: &mut BTreeMap<String, State>,
    ) -> Outcome {
        let began = Instant::now();
        let unusable: Vec<Row> = model
            .subjects
            .iter()
            .filter(|subject| states[&subject.name].left_out.is_none())
            .filter_map(|subject| {
                let checked = [Hook::PreConfigure, Hook::Configure].map(|hook| run::check(subject, hook));
                let failure = checked.into_iter().find_map(Result::err)?;
                let policy = policy(subject, subject.policies.on_configure, request);
                Some(failed_row(subject, policy, failure, began))
            })
            .collect();
        for row in unusable.iter().filter(|row| row.outcome == Outcome::Skipped) {
            states.entry(row.name.clone()).or_default().left_out = Some(left_out(row, Phase::Configure));
        }
        let is_in = |subject: &&Subject| states[&subject.name].left_out.is_none();
        let mut rows: Vec<Row> = model
            .subjects
            .iter()
            .filter(is_in)
            .map(|subject| match subject.manifest.script(&subject.root, Hook::Start) {
                Some(_) => Row::new(&subject.name, Outcome::Done, 0).because("it would start"),
                None => Row::new(&subject.name, Outcome::Nothing, 0).because("it has nothing to start"),
            })
            .collect();
        let starting = rows.iter().filter(|row| row.outcome == Outcome::Done).map(|row| row.name.clone());
        let starting: BTreeSet<String> = starting.collect();
        let subjects = model.subjects.iter().filter(|subject| starting.contains(&subject.name));
        let wanting: Vec<Wanting<'_>> = subjects.map(Subject::wanting).collect();
        let gone: Vec<&str> = states
            .iter()
            .filter(|(_, state)| state.left_out.is_some())
            .map(|(name, _)| name.as_str())
            .collect();
        if matches!(request.scope, Scope::All) {
            for (name, reason) in foresee::unmet(&wanting, &gone) {
                if let Some(row) = rows.iter_mut().find(|row| row.name == name) {
                    (row.outcome, row.reason) = (Outcome::Skipped, Some(reason));
                }
            }
        }
        rows.extend(cycle_row(&wanting));
        if !rows.iter().any(|row| row.outcome == Outcome::Done) {
            let why = nothing_to_start(model);
            self.say("ZWEL0029E", format!("there is no component to start: {why}"));
            rows.push(Row::new("components", Outcome::Failed, 0).because(why));
        }
        let configure =
            if unusable.is_empty() { Outcome::Nothing } else { self.phase(Phase::Configure, unusable) };
        configure.max(self.phase(Phase::Plan, rows))
    }
}
