//! One attempt: from the wanted fixes along their requisites until nothing more is needed.

use std::collections::{HashMap, HashSet};

use tender_content::PartPath;
use tender_package::FixId;

use super::graph::{Graph, NONE, Number, at};
use super::refuse::{Cause, Fault, Refused};
use super::{Added, GoesBack, LeftOut, LeftOutWhy, OpenCondition, Plan, Question, Replaced, Why, order};
use crate::hold::ActiveHold;
use crate::shapes::HoldClass;

/// A fix needed by another that cannot go on.
struct Lack {
    /// The fix that needs it.
    by: Number,
    /// The fix needed.
    needs: Number,
    fault: Fault,
}

pub(super) struct Walk<'g, 'a> {
    graph: &'g Graph<'a>,
    question: &'g Question<'a>,
    /// A fix on, or going on, that is or contains this one.
    cover: Vec<Number>,
    /// A fix on, or going on, that contains this one.
    contained_by: Vec<Number>,
    is_on: Vec<bool>,
    is_added: Vec<bool>,
    is_excluded: Vec<bool>,
    holds: HashMap<Number, Vec<&'g ActiveHold>>,
    /// Who needed each added fix first.
    parent: Vec<Number>,
    is_conditional: Vec<bool>,
    /// Added fixes in the order they were reached; also the list of work.
    added: Vec<Number>,
    /// Wanted fixes that stay after contained ones are dropped.
    roots: Vec<Number>,
    /// Conditional requisites that wait for a fix: (who needs, what).
    waiting: HashMap<Number, Vec<(Number, Number)>>,
    lacks: Vec<Lack>,
    /// Wanted fixes that contain themselves.
    rings: Vec<Number>,
    left_out: Vec<LeftOut>,
    open: Vec<OpenCondition>,
    /// Held fixes with the one chosen in their place.
    replaced: Vec<(Number, Replaced)>,
}

impl<'g, 'a> Walk<'g, 'a> {
    pub(super) fn new(
        graph: &'g Graph<'a>,
        question: &'g Question<'a>,
        dropped: &[(Number, Vec<FixId>)],
    ) -> Self {
        let total = graph.len();
        let mut holds: HashMap<Number, Vec<&ActiveHold>> = HashMap::new();
        for hold in question.holds {
            holds.entry(graph.number(&hold.fix)).or_default().push(hold);
        }
        let mut walk = Self {
            graph,
            question,
            cover: vec![NONE; total],
            contained_by: vec![NONE; total],
            is_on: vec![false; total],
            is_added: vec![false; total],
            is_excluded: vec![false; total],
            holds,
            parent: vec![NONE; total],
            is_conditional: vec![false; total],
            added: Vec::new(),
            roots: Vec::new(),
            waiting: HashMap::new(),
            lacks: Vec::new(),
            rings: Vec::new(),
            left_out: Vec::new(),
            open: Vec::new(),
            replaced: Vec::new(),
        };
        for id in question.excluded {
            walk.is_excluded[at(graph.number(id))] = true;
        }
        walk.mark_on();
        walk.choose_roots(dropped);
        walk
    }

    fn mark_on(&mut self) {
        for fix in self.question.on {
            let number = self.graph.number(&fix.id);
            self.is_on[at(number)] = true;
            match &fix.superseded_by {
                Some(by) => {
                    let by = self.graph.number(by);
                    self.cover[at(number)] = if by == NONE { number } else { by };
                    self.contained_by[at(number)] = self.cover[at(number)];
                }
                None => self.cover_with(number),
            }
        }
        for fix in self.question.on.iter().filter(|fix| fix.superseded_by.is_none()) {
            self.register_conditions(self.graph.number(&fix.id), true);
        }
    }

    /// Marks a fix, and all it contains, as met.
    fn cover_with(&mut self, number: Number) {
        if self.cover[at(number)] == NONE {
            self.cover[at(number)] = number;
        }
        let (cover, contained_by) = (&mut self.cover, &mut self.contained_by);
        self.graph.visit_contained(number, &mut |older| {
            if contained_by[at(older)] != NONE {
                return false;
            }
            contained_by[at(older)] = number;
            if cover[at(older)] == NONE {
                cover[at(older)] = number;
            }
            true
        });
    }

    fn choose_roots(&mut self, dropped: &[(Number, Vec<FixId>)]) {
        let dropped: HashSet<Number> = dropped.iter().map(|(number, _)| *number).collect();
        let mut want: Vec<Number> = self.question.want.iter().map(|id| self.graph.number(id)).collect();
        want.sort_unstable();
        want.dedup();
        let mut candidates = Vec::new();
        for number in want.into_iter().filter(|number| !dropped.contains(number)) {
            let id = || self.graph.id(number);
            let cover = self.cover[at(number)];
            if self.is_on[at(number)] {
                self.left_out.push(LeftOut { id: id(), why: LeftOutWhy::IsOn });
            } else if cover != NONE {
                let why = LeftOutWhy::ContainedOn(self.graph.id(cover));
                self.left_out.push(LeftOut { id: id(), why });
            } else if self.is_excluded[at(number)] {
                self.left_out.push(LeftOut { id: id(), why: LeftOutWhy::Excluded });
            } else {
                candidates.push(number);
            }
        }
        // A wanted fix contained in another wanted one is not needed for itself; only what remains is a root.
        let mut inside: HashSet<Number> = HashSet::new();
        for candidate in &candidates {
            if inside.contains(candidate) {
                continue;
            }
            let mut seen = HashSet::new();
            self.graph.visit_contained(*candidate, &mut |older| {
                if older == *candidate {
                    self.rings.push(older);
                    return false;
                }
                inside.insert(older);
                seen.insert(older)
            });
        }
        self.roots = candidates.into_iter().filter(|candidate| !inside.contains(candidate)).collect();
    }

    pub(super) fn run(&mut self) {
        for root in self.roots.clone() {
            self.need(root, NONE, false);
        }
        self.wake_all();
        let mut next = 0;
        while let Some(number) = self.added.get(next).copied() {
            next += 1;
            for needs in self.graph.pre[at(number)].iter().chain(&self.graph.co[at(number)]) {
                self.need(*needs, number, false);
            }
            self.register_conditions(number, false);
            self.wake_all_of(number);
        }
    }

    /// Notes the conditional requisites of a fix: needed now, open since before, or waiting for another fix.
    fn register_conditions(&mut self, number: Number, is_on: bool) {
        for condition in &self.graph.conditions[at(number)] {
            if !condition.is_component_there {
                continue;
            }
            let holds = condition.on == NONE || self.cover[at(condition.on)] != NONE;
            match (holds, is_on) {
                (true, false) => self.need(condition.needs, number, true),
                (true, true) if self.cover[at(condition.needs)] == NONE => self.open.push(OpenCondition {
                    fix: self.graph.id(number),
                    needs: self.graph.id(condition.needs),
                }),
                (true, true) => {}
                (false, _) => {
                    self.waiting.entry(condition.on).or_default().push((number, condition.needs));
                }
            }
        }
    }

    fn wake_all(&mut self) {
        for number in self.added.clone() {
            self.wake_all_of(number);
        }
    }

    /// Needs what waited for a fix, or for one it contains.
    fn wake_all_of(&mut self, number: Number) {
        if self.waiting.is_empty() {
            return;
        }
        let mut met = vec![number];
        let mut seen = HashSet::new();
        self.graph.visit_contained(number, &mut |older| {
            met.push(older);
            seen.insert(older)
        });
        for number in met {
            for (by, needs) in self.waiting.remove(&number).unwrap_or_default() {
                self.need(needs, by, true);
            }
        }
    }

    /// Makes sure a fix is met, by itself or by one that contains it.
    fn need(&mut self, number: Number, by: Number, is_conditional: bool) {
        if self.cover[at(number)] != NONE {
            return;
        }
        let choices = std::iter::once(&number).chain(&self.graph.superseders[at(number)]);
        let usable: Vec<Number> = choices
            .copied()
            .filter(|choice| self.graph.fix(*choice).is_some() && !self.is_excluded[at(*choice)])
            .collect();
        let free = usable.iter().copied().find(|choice| !self.is_held(*choice));
        match free.or_else(|| usable.first().copied()) {
            Some(choice) => {
                if choice != number
                    && usable.contains(&number)
                    && let Some(hold) = self.held_by(number)
                {
                    let (fix, by) = (self.graph.id(number), self.graph.id(choice));
                    self.replaced.push((choice, Replaced { fix, by, hold: hold.words() }));
                }
                self.parent[at(choice)] = by;
                self.is_conditional[at(choice)] = is_conditional;
                self.is_added[at(choice)] = true;
                self.added.push(choice);
                self.cover_with(choice);
            }
            None => {
                let fault = if self.is_excluded[at(number)] { Fault::Excluded } else { Fault::NotReceived };
                self.lacks.push(Lack { by, needs: number, fault });
            }
        }
    }

    fn held_by(&self, number: Number) -> Option<&'g ActiveHold> {
        let is_met = |fix: &FixId| {
            let number = self.graph.number(fix);
            number != NONE && self.cover[at(number)] != NONE
        };
        let holds = self.holds.get(&number)?;
        holds.iter().find(|hold| hold.blocks(self.question.scopes, &is_met)).copied()
    }

    fn is_held(&self, number: Number) -> bool {
        self.held_by(number).is_some()
    }

    fn is_kept(&self, number: Number) -> bool {
        self.contained_by[at(number)] == NONE
    }

    /// Returns the chain from what was wanted, or is on, to this fix.
    fn chain(&self, number: Number) -> Vec<FixId> {
        let mut chain = Vec::new();
        let mut next = number;
        while next != NONE && chain.len() <= self.graph.len() {
            chain.push(self.graph.id(next));
            next = self.parent[at(next)];
        }
        chain.reverse();
        chain
    }

    /// Finds the wanted fixes that need an excluded one, each with its chain.
    pub(super) fn roots_needing_excluded(&self) -> Vec<(Number, Vec<FixId>)> {
        let lacks = self.lacks.iter().filter(|lack| lack.fault == Fault::Excluded && self.is_relevant(lack));
        // From each fix at fault back along who needs it; the first way found is the chain.
        let mut next_to: HashMap<Number, Number> = HashMap::new();
        let mut work = Vec::new();
        for lack in lacks {
            if lack.by != NONE && !next_to.contains_key(&lack.by) {
                next_to.insert(lack.by, lack.needs);
                work.push(lack.by);
            }
        }
        if work.is_empty() {
            return Vec::new();
        }
        let needed_by = self.needed_by();
        while let Some(number) = work.pop() {
            for by in needed_by.get(&number).into_iter().flatten() {
                if !next_to.contains_key(by) {
                    next_to.insert(*by, number);
                    work.push(*by);
                }
            }
        }
        let roots = self.roots.iter().filter(|root| next_to.contains_key(root));
        roots.map(|root| (*root, self.chain_along(*root, &next_to))).collect()
    }

    fn chain_along(&self, root: Number, next_to: &HashMap<Number, Number>) -> Vec<FixId> {
        let mut chain = vec![self.graph.id(root)];
        let mut number = root;
        while let Some(next) = next_to.get(&number) {
            chain.push(self.graph.id(*next));
            number = *next;
            if chain.len() > self.graph.len() {
                break;
            }
        }
        chain
    }

    fn needed_by(&self) -> HashMap<Number, Vec<Number>> {
        let mut needed_by: HashMap<Number, Vec<Number>> = HashMap::new();
        for number in &self.added {
            for needs in self.graph.pre[at(*number)].iter().chain(&self.graph.co[at(*number)]) {
                let met_by = self.cover[at(*needs)];
                if met_by != NONE && self.is_added[at(met_by)] {
                    needed_by.entry(met_by).or_default().push(*number);
                }
            }
            let parent = self.parent[at(*number)];
            if parent != NONE {
                needed_by.entry(*number).or_default().push(parent);
            }
        }
        needed_by
    }

    /// A lack of a fix that was dropped in the end does not matter.
    fn is_relevant(&self, lack: &Lack) -> bool {
        lack.by == NONE || self.is_kept(lack.by)
    }

    pub(super) fn finish(mut self, dropped: &[(Number, Vec<FixId>)]) -> Result<Plan, Refused> {
        let kept: Vec<Number> = self.added.iter().copied().filter(|number| self.is_kept(*number)).collect();
        let mut causes = self.causes(&kept);
        let ordered = match order::order(self.graph, &kept, &|number| self.kept_cover(number)) {
            Ok(ordered) => ordered,
            Err(rings) => {
                causes.extend(rings.into_iter().map(|ring| Cause {
                    chain: ring.first().map(|first| self.chain(*first)).unwrap_or_default(),
                    fault: Fault::Cycle { ring: ring.iter().map(|number| self.graph.id(*number)).collect() },
                }));
                Vec::new()
            }
        };
        if causes.is_empty() {
            causes = self.regressions(&ordered);
        }
        if !causes.is_empty() {
            return Err(Refused { causes });
        }
        for (number, chain) in dropped {
            let why = LeftOutWhy::NeedsExcluded(chain.clone());
            self.left_out.push(LeftOut { id: self.graph.id(*number), why });
        }
        let superseded = self.superseded();
        let goes_back = self.goes_back(&superseded);
        let name = |(fix, by): &(Number, Number)| (self.graph.id(*fix), self.graph.id(*by));
        let replaced = std::mem::take(&mut self.replaced);
        let replaced = replaced.into_iter().filter(|(by, _)| kept.contains(by)).map(|(_, one)| one).collect();
        Ok(Plan {
            replaced,
            add: ordered.iter().map(|number| self.added_of(*number)).collect(),
            superseded: superseded.iter().map(name).collect(),
            left_out: self.left_out,
            open: self.open,
            goes_back,
        })
    }

    /// Follows containment to the fix that stays.
    fn kept_cover(&self, number: Number) -> Number {
        let mut cover = self.cover[at(number)];
        let mut steps = 0;
        while cover != NONE && self.contained_by[at(cover)] != NONE && steps < self.graph.len() {
            cover = self.contained_by[at(cover)];
            steps += 1;
        }
        cover
    }

    fn added_of(&self, number: Number) -> Added {
        let fix = self.graph.fix(number).expect("only received fixes are added");
        let why = match (self.parent[at(number)], self.is_conditional[at(number)]) {
            (NONE, _) => Why::Wanted,
            (by, false) => Why::NeededBy(self.graph.id(by)),
            (by, true) => Why::ConditionOf(self.graph.id(by)),
        };
        Added { id: fix.id.clone(), component: fix.component.clone(), why }
    }

    /// Lists fixes that were on, wanted or needed and are contained in one that goes on now.
    fn superseded(&self) -> Vec<(Number, Number)> {
        let on = self.question.on.iter().filter(|fix| fix.superseded_by.is_none());
        let on = on.map(|fix| self.graph.number(&fix.id));
        let wanted = self.question.want.iter().map(|id| self.graph.number(id));
        let wanted = wanted.filter(|number| !self.is_on[at(*number)] && !self.is_excluded[at(*number)]);
        let mut numbers: Vec<Number> = on.chain(wanted).chain(self.added.iter().copied()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
            .into_iter()
            .filter(|number| self.contained_by[at(*number)] != NONE)
            .map(|number| (number, self.kept_cover(self.contained_by[at(number)])))
            .filter(|(_, by)| *by != NONE && self.is_added[at(*by)])
            .collect()
    }

    fn causes(&self, kept: &[Number]) -> Vec<Cause> {
        let mut causes = Vec::new();
        for number in &self.rings {
            causes.push(Cause { chain: vec![self.graph.id(*number)], fault: Fault::ContainsItself });
        }
        for lack in self.lacks.iter().filter(|lack| self.is_relevant(lack)) {
            let mut chain = if lack.by == NONE { Vec::new() } else { self.chain(lack.by) };
            chain.push(self.graph.id(lack.needs));
            causes.push(Cause { chain, fault: lack.fault.clone() });
        }
        for number in kept {
            self.causes_of(*number, &mut causes);
        }
        for fix in self.question.on.iter().filter(|fix| fix.superseded_by.is_none()) {
            let number = self.graph.number(&fix.id);
            if !self.is_kept(number) {
                continue;
            }
            for other in &self.graph.npre[at(number)] {
                let cover = self.cover[at(*other)];
                if cover != NONE && self.is_added[at(cover)] {
                    let fault = Fault::MustNotBeWith { other: fix.id.clone(), is_on: true };
                    causes.push(Cause { chain: self.chain(cover), fault });
                }
            }
        }
        causes
    }

    fn causes_of(&self, number: Number, causes: &mut Vec<Cause>) {
        let fix = self.graph.fix(number).expect("only received fixes are added");
        if let Some(hold) = self.held_by(number) {
            let superseder = self.graph.superseders[at(number)].first();
            let fault = Fault::Held {
                hold: hold.words(),
                cured_by: hold.hold.resolved_by.clone().filter(|_| hold.hold.class == HoldClass::Error),
                replaced_by: superseder.map(|by| self.graph.id(*by)),
                number: hold.number,
            };
            causes.push(Cause { chain: self.chain(number), fault });
        }
        for other in &self.graph.npre[at(number)] {
            let cover = self.cover[at(*other)];
            if cover != NONE && cover != number {
                let is_on = self.is_on[at(cover)];
                let fault = Fault::MustNotBeWith { other: self.graph.id(cover), is_on };
                causes.push(Cause { chain: self.chain(number), fault });
            }
        }
        if !self.question.components.contains(&fix.component) && !self.component_comes(fix) {
            let fault = Fault::UnknownComponent { component: fix.component.clone() };
            causes.push(Cause { chain: self.chain(number), fault });
        }
    }

    /// Tells whether a fix that goes on brings the component of `fix`.
    fn component_comes(&self, fix: &crate::shapes::Fix) -> bool {
        let mut going = self.added.iter().filter_map(|number| self.graph.fix(*number));
        going.any(|other| other.component == fix.component && other.brings_component())
    }

    /// Lists the parts that would go back behind a version that the new one does not contain.
    fn regressions(&self, ordered: &[Number]) -> Vec<Cause> {
        let mut heads: HashMap<(&str, &PartPath), Number> = HashMap::new();
        let on = self.question.on.iter().filter(|fix| fix.superseded_by.is_none());
        let on = on.map(|fix| self.graph.number(&fix.id)).filter(|number| self.is_kept(*number));
        for number in on {
            let Some(fix) = self.graph.fix(number) else { continue };
            for part in &fix.parts {
                heads.insert((fix.component.as_str(), &part.path), number);
            }
        }
        let mut ancestry = Ancestry::new(self.graph);
        let mut causes = Vec::new();
        for number in ordered {
            let fix = self.graph.fix(*number).expect("only received fixes are added");
            for part in &fix.parts {
                let Some(head) = heads.insert((fix.component.as_str(), &part.path), *number) else {
                    continue;
                };
                if !ancestry.contains(*number, head) {
                    let fault = Fault::Regression { path: part.path.clone(), head: self.graph.id(head) };
                    causes.push(Cause { chain: self.chain(*number), fault });
                }
            }
        }
        causes
    }

    fn goes_back(&self, superseded: &[(Number, Number)]) -> Vec<GoesBack> {
        let mut goes_back = Vec::new();
        for (number, by) in superseded.iter().filter(|(number, _)| self.is_on[at(*number)]) {
            let (Some(old), Some(new)) = (self.graph.fix(*number), self.graph.fix(*by)) else { continue };
            let brought: HashSet<&PartPath> = new.parts.iter().map(|part| &part.path).collect();
            for part in old.parts.iter().filter(|part| !brought.contains(&part.path)) {
                goes_back.push(GoesBack {
                    contained: old.id.clone(),
                    by: new.id.clone(),
                    path: part.path.clone(),
                });
            }
        }
        goes_back
    }
}

/// Answers whether one fix contains another: it supersedes it or has it as a prerequisite, also through others.
struct Ancestry<'g, 'a> {
    graph: &'g Graph<'a>,
    /// In which search each fix was seen last.
    seen: Vec<u32>,
    search: u32,
}

impl<'g, 'a> Ancestry<'g, 'a> {
    fn new(graph: &'g Graph<'a>) -> Self {
        Self { graph, seen: vec![0; graph.len()], search: 0 }
    }

    fn contains(&mut self, number: Number, older: Number) -> bool {
        self.search += 1;
        let mut level = vec![number];
        while !level.is_empty() {
            let mut next = Vec::new();
            for number in level {
                for named in self.graph.pre[at(number)].iter().chain(&self.graph.supersedes[at(number)]) {
                    if *named == older {
                        return true;
                    }
                    if std::mem::replace(&mut self.seen[at(*named)], self.search) != self.search {
                        next.push(*named);
                    }
                }
            }
            level = next;
        }
        false
    }
}
