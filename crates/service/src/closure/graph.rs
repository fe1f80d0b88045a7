//! Fixes as numbers, and who names whom.

use std::collections::HashMap;

use tender_package::{ComponentName, FixId};

use super::Question;
use crate::shapes::{Fix, Requisite};

/// Number of a fix: known fixes first, in service order.
pub(super) type Number = u32;

/// Stands for no fix.
pub(super) const NONE: Number = Number::MAX;

/// A conditional requisite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition {
    /// The fix that must be on, or [`NONE`].
    pub(super) on: Number,
    /// Whether the component it names is in the level.
    pub(super) is_component_there: bool,
    /// The fix needed then.
    pub(super) needs: Number,
}

/// What each fix names.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    /// The id of every number.
    pub(super) ids: Vec<&'a FixId>,
    /// The fix of every number that was received; the others follow.
    pub(super) fixes: Vec<&'a Fix>,
    /// Must be on before.
    pub(super) pre: Vec<Vec<Number>>,
    /// Must go on together.
    pub(super) co: Vec<Vec<Number>>,
    /// Must not be on.
    pub(super) npre: Vec<Vec<Number>>,
    /// Contained fixes.
    pub(super) supersedes: Vec<Vec<Number>>,
    /// Received fixes that contain a fix.
    pub(super) superseders: Vec<Vec<Number>>,
    /// Conditional requisites.
    pub(super) conditions: Vec<Vec<Condition>>,
    numbers: HashMap<&'a FixId, Number>,
}

fn number_of(index: usize) -> Number {
    Number::try_from(index).expect("there are fewer than 2^32 fixes")
}

/// Indexes a vector by a number.
pub(super) fn at(number: Number) -> usize {
    number as usize
}

impl<'a> Graph<'a> {
    pub(super) fn new(question: &Question<'a>) -> Self {
        let place: HashMap<&ComponentName, usize> =
            question.components.iter().enumerate().map(|(place, name)| (name, place)).collect();
        let mut fixes: Vec<&Fix> = question.received.iter().collect();
        fixes.sort_by_cached_key(|fix| (place.get(&fix.component).copied().unwrap_or(usize::MAX), &fix.id));
        fixes.dedup_by(|a, b| a.id == b.id);
        let mut graph = Self {
            ids: Vec::with_capacity(fixes.len()),
            numbers: HashMap::with_capacity(fixes.len() * 2),
            fixes,
            pre: Vec::new(),
            co: Vec::new(),
            npre: Vec::new(),
            supersedes: Vec::new(),
            superseders: Vec::new(),
            conditions: Vec::new(),
        };
        for index in 0..graph.fixes.len() {
            graph.intern(&graph.fixes[index].id);
        }
        for index in 0..graph.fixes.len() {
            graph.connect(index, &place);
        }
        let others = question.on.iter().map(|fix| &fix.id).chain(question.want).chain(question.excluded);
        let holds =
            question.holds.iter().flat_map(|hold| std::iter::once(&hold.fix).chain(&hold.hold.resolved_by));
        for id in others.chain(holds) {
            graph.intern(id);
        }
        let total = graph.ids.len();
        for lists in
            [&mut graph.pre, &mut graph.co, &mut graph.npre, &mut graph.supersedes, &mut graph.superseders]
        {
            lists.resize_with(total, Vec::new);
        }
        graph.conditions.resize_with(total, Vec::new);
        graph
    }

    fn intern(&mut self, id: &'a FixId) -> Number {
        let next = number_of(self.ids.len());
        let number = *self.numbers.entry(id).or_insert(next);
        if number == next {
            self.ids.push(id);
            self.superseders.push(Vec::new());
        }
        number
    }

    fn connect(&mut self, index: usize, place: &HashMap<&ComponentName, usize>) {
        let fix = self.fixes[index];
        let (mut pre, mut co, mut npre, mut conditions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // What other systems need is asked when the fix goes into production, not when it goes into a level.
        let here = fix.requisites.iter().filter(|one| !matches!(one, Requisite::Fleet { .. }));
        for requisite in here {
            let needs = self.intern(requisite.fix());
            match requisite {
                Requisite::Pre { .. } => pre.push(needs),
                Requisite::Co { .. } => co.push(needs),
                Requisite::Npre { .. } => npre.push(needs),
                Requisite::Fleet { .. } => {}
                Requisite::If { component, when: on, .. } => conditions.push(Condition {
                    on: on.as_ref().map_or(NONE, |on| self.intern(on)),
                    is_component_there: component.as_ref().is_none_or(|name| place.contains_key(name)),
                    needs,
                }),
            }
        }
        let supersedes: Vec<_> = fix.supersedes.iter().map(|older| self.intern(older)).collect();
        for older in &supersedes {
            self.superseders[at(*older)].push(number_of(index));
        }
        self.pre.push(pre);
        self.co.push(co);
        self.npre.push(npre);
        self.conditions.push(conditions);
        self.supersedes.push(supersedes);
    }

    /// Returns how many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns the number of an id that the question names.
    pub(super) fn number(&self, id: &FixId) -> Number {
        self.numbers.get(id).copied().unwrap_or(NONE)
    }

    /// Returns the fix, when it was received.
    pub(super) fn fix(&self, number: Number) -> Option<&'a Fix> {
        self.fixes.get(at(number)).copied()
    }

    /// Returns the id.
    pub(super) fn id(&self, number: Number) -> FixId {
        self.ids[at(number)].clone()
    }

    /// Calls `visit` for every fix that `number` contains, also through others; `visit` tells whether to go on below.
    pub(super) fn visit_contained(&self, number: Number, visit: &mut dyn FnMut(Number) -> bool) {
        let mut stack: Vec<Number> = self.supersedes[at(number)].clone();
        while let Some(older) = stack.pop() {
            if visit(older) {
                stack.extend(&self.supersedes[at(older)]);
            }
        }
    }
}
