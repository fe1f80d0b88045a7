//! The JavaScript engine: set up, bounded, asked.

use std::time::{Duration, Instant};

use rquickjs::context::intrinsic::{Eval, Json as JsonIntrinsic, MapSet, RegExp, RegExpCompiler};
use rquickjs::{CatchResultExt as _, CaughtError, Context, Ctx, Function, Object, Runtime};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::evaluate::scan::{OPENING, Piece};
use crate::evaluate::{Template, TemplateLimits};
use crate::key_path::Step;
use crate::node::{Node, Value};

const PRELUDE: &str = include_str!("prelude.js");

/// The value of a template.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) value: Json,
    /// Something in it was `undefined`.
    pub(super) has_undefined: bool,
}

/// Says why a template has no value.
#[derive(Debug)]
pub(super) enum Fault {
    /// The expression is no JavaScript, or throws.
    Expression(String),
    /// Templates that need each other, by their numbers.
    Cycle(Vec<usize>),
    /// Time or memory ran out.
    Limit(String),
    /// Another template, which this one asks for, has no value.
    Elsewhere,
}

/// What the engine answers.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Fault { at: usize, message: String, cycle: Option<Vec<usize>> },
    Value { value: Json, undefined: bool },
}

type Outcomes = Vec<(usize, Result<Outcome, Fault>)>;

/// Evaluates the wanted templates; the others are evaluated as far as these ask for them.
pub(super) fn run(
    root: &Node,
    templates: &[Template],
    wanted: &[usize],
    limits: &TemplateLimits,
) -> Outcomes {
    let refused = |message: String| match wanted.first() {
        Some(first) => vec![(*first, Err(Fault::Limit(message)))],
        None => Vec::new(),
    };
    let Ok(runtime) = Runtime::new() else { return refused("the script engine does not start".to_owned()) };
    runtime.set_memory_limit(limits.memory_bytes);
    runtime.set_max_stack_size(limits.stack_bytes);
    let deadline = Instant::now() + Duration::from_millis(limits.time_ms);
    runtime.set_interrupt_handler(Some(Box::new(move || Instant::now() > deadline)));
    let context = match Context::custom::<(Eval, RegExpCompiler, RegExp, JsonIntrinsic, MapSet)>(&runtime) {
        Ok(context) => context,
        Err(fault) => return refused(format!("the script engine does not start: {fault}")),
    };
    context.with(|ctx| {
        Session::begin(&ctx, root, templates)
            .map_or_else(refused, |session| session.ask_all(wanted, deadline))
    })
}

/// An engine that holds the configuration.
struct Session<'js> {
    ctx: Ctx<'js>,
    controls: Object<'js>,
    /// Templates that are no JavaScript.
    broken: Vec<(usize, String)>,
}

impl<'js> Session<'js> {
    fn begin(ctx: &Ctx<'js>, root: &Node, templates: &[Template]) -> Result<Self, String> {
        let text = |fault: CaughtError<'_>| {
            format!("the configuration does not fit into the script engine: {}", told(&fault))
        };
        let data = ctx.json_parse(without_templates(root).to_string()).catch(ctx).map_err(text)?;
        let prelude: Function<'js> = ctx.eval(PRELUDE).catch(ctx).map_err(text)?;
        let controls: Object<'js> = prelude.call((data,)).catch(ctx).map_err(text)?;
        let install: Function<'js> = controls.get("install").catch(ctx).map_err(text)?;
        let mut broken = Vec::new();
        for (id, template) in templates.iter().enumerate() {
            let pieces = rquickjs::Array::new(ctx.clone()).catch(ctx).map_err(text)?;
            for (at, piece) in template.pieces.iter().enumerate() {
                let placed = match piece {
                    Piece::Text(piece) => pieces.set(at, piece.as_str()),
                    Piece::Expression(source) => match compile(ctx, source) {
                        Ok(function) => pieces.set(at, function),
                        Err(message) => {
                            let throws = "(function () { throw new Error('it is no JavaScript'); })";
                            broken.push((id, message));
                            ctx.eval::<Function<'js>, _>(throws).and_then(|function| pieces.set(at, function))
                        }
                    },
                };
                placed.catch(ctx).map_err(text)?;
            }
            let path: Vec<String> = template.path.steps.iter().map(property).collect();
            install.call::<_, ()>((id, path, pieces)).catch(ctx).map_err(text)?;
        }
        let begin: Function<'js> = controls.get("begin").catch(ctx).map_err(text)?;
        begin.call::<_, ()>(()).catch(ctx).map_err(text)?;
        Ok(Self { ctx: ctx.clone(), controls, broken })
    }

    fn ask_all(&self, wanted: &[usize], deadline: Instant) -> Outcomes {
        let mut outcomes: Outcomes =
            self.broken.iter().map(|(id, message)| (*id, Err(Fault::Expression(message.clone())))).collect();
        for id in wanted {
            if self.broken.iter().any(|(broken, _)| broken == id) {
                continue;
            }
            match self.ask(*id) {
                Ok(Answer::Value { value, undefined }) => {
                    outcomes.push((*id, Ok(Outcome { value, has_undefined: undefined })));
                }
                Ok(Answer::Fault { cycle: Some(cycle), .. }) => {
                    let is_member = cycle.contains(id);
                    let lowest = cycle.iter().min().copied();
                    // A cycle that nobody in it was asked for still has to be told.
                    if !is_member && !wanted.iter().any(|other| lowest == Some(*other)) {
                        outcomes.extend(lowest.map(|lowest| (lowest, Err(Fault::Cycle(cycle)))));
                        outcomes.push((*id, Err(Fault::Elsewhere)));
                    } else {
                        outcomes
                            .push((*id, Err(if is_member { Fault::Cycle(cycle) } else { Fault::Elsewhere })));
                    }
                }
                Ok(Answer::Fault { at, message, .. }) if at == *id => {
                    outcomes.push((*id, Err(Fault::Expression(message))));
                }
                Ok(Answer::Fault { at, message, .. }) => {
                    if !wanted.contains(&at) && !self.broken.iter().any(|(broken, _)| *broken == at) {
                        outcomes.push((at, Err(Fault::Expression(message))));
                    }
                    outcomes.push((*id, Err(Fault::Elsewhere)));
                }
                Err(message) => {
                    let culprit = self.current().unwrap_or(*id);
                    let is_late = Instant::now() > deadline;
                    let message = if is_late { "evaluating it takes too long".to_owned() } else { message };
                    outcomes.push((culprit, Err(Fault::Limit(message))));
                    // The engine is in no state to be asked again.
                    let answered: Vec<usize> = outcomes.iter().map(|(id, _)| *id).collect();
                    let rest = wanted.iter().filter(|id| !answered.contains(id));
                    outcomes.extend(rest.map(|id| (*id, Err(Fault::Elsewhere))));
                    break;
                }
            }
        }
        outcomes
    }

    fn ask(&self, id: usize) -> Result<Answer, String> {
        let answer: String = self
            .controls
            .get("ask")
            .and_then(|ask: Function<'js>| ask.call((id,)))
            .catch(&self.ctx)
            .map_err(|fault| format!("evaluating it needs too much: {}", told(&fault)))?;
        serde_json::from_str(&answer).map_err(|_| "its value cannot be written as text".to_owned())
    }

    fn current(&self) -> Option<usize> {
        let current: i32 =
            self.controls.get("current").and_then(|current: Function<'js>| current.call(())).ok()?;
        usize::try_from(current).ok()
    }
}

fn compile<'js>(ctx: &Ctx<'js>, source: &str) -> Result<Function<'js>, String> {
    let wrapped = |body: &str| format!("(function () {{ 'use strict'; return (\n{body}\n); }})");
    let outcome = ctx.eval::<Function<'js>, _>(wrapped(source)).catch(ctx);
    let fault = match outcome {
        Ok(function) => return Ok(function),
        Err(fault) => told(&fault),
    };
    // An arrow function that is called without brackets around it: the engine of the reference takes it.
    if let Some(body) = source.trim_end().strip_suffix("()").filter(|body| body.contains("=>")) {
        if let Ok(function) = ctx.eval::<Function<'js>, _>(wrapped(&format!("({body})()"))) {
            return Ok(function);
        }
        ctx.catch();
    }
    Err(fault)
}

fn told(fault: &CaughtError<'_>) -> String {
    match fault {
        CaughtError::Exception(exception) => exception.message().unwrap_or_else(|| "it throws".to_owned()),
        CaughtError::Error(error) => error.to_string(),
        CaughtError::Value(_) => "it was stopped".to_owned(),
    }
}

fn property(step: &Step) -> String {
    match step {
        Step::Key(key) => key.clone(),
        Step::Index(index) => index.to_string(),
    }
}

/// Turns the tree into JSON with nothing in place of templates.
fn without_templates(node: &Node) -> Json {
    match &node.value {
        Value::Text(text) if text.contains(OPENING) => Json::Null,
        Value::Sequence(elements) => Json::Array(elements.iter().map(without_templates).collect()),
        Value::Mapping(mapping) => Json::Object(
            mapping
                .entries()
                .iter()
                .map(|entry| (entry.key.clone(), without_templates(&entry.node)))
                .collect(),
        ),
        _ => node.to_json(),
    }
}
