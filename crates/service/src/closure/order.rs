//! The order fixes go on: prerequisites first, corequisites next to each other, otherwise service order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::graph::{Graph, NONE, Number, at};

/// Positions in the list of fixes to order; `before[i]` must come before, `with[i]` together with, fix `i`.
struct Local {
    numbers: Vec<Number>,
    before: Vec<Vec<usize>>,
    with: Vec<Vec<usize>>,
}

/// Orders fixes; the error lists rings of prerequisites.
pub(super) fn order(
    graph: &Graph<'_>,
    kept: &[Number],
    met_by: &dyn Fn(Number) -> Number,
) -> Result<Vec<Number>, Vec<Vec<Number>>> {
    let local = Local::new(graph, kept, met_by);
    let groups = groups(&local);
    let mut rings = Vec::new();
    let mut ordered_groups = Vec::with_capacity(groups.len());
    for group in groups {
        match order_group(&local, &group) {
            Ok(ordered) => ordered_groups.push(ordered),
            Err(ring) => rings.push(ring.into_iter().map(|index| local.numbers[index]).collect()),
        }
    }
    if !rings.is_empty() {
        return Err(rings);
    }
    let order = order_groups(&local, &ordered_groups);
    Ok(order.into_iter().map(|index| local.numbers[index]).collect())
}

impl Local {
    fn new(graph: &Graph<'_>, kept: &[Number], met_by: &dyn Fn(Number) -> Number) -> Self {
        let mut numbers = kept.to_vec();
        numbers.sort_unstable();
        let place: HashMap<Number, usize> =
            numbers.iter().enumerate().map(|(index, number)| (*number, index)).collect();
        let mut local =
            Self { before: vec![Vec::new(); numbers.len()], with: vec![Vec::new(); numbers.len()], numbers };
        let find = |needs: Number| Some(met_by(needs)).filter(|by| *by != NONE).and_then(|by| place.get(&by));
        for index in 0..local.numbers.len() {
            let number = local.numbers[index];
            for other in graph.pre[at(number)].iter().filter_map(|needs| find(*needs)) {
                if *other != index {
                    local.before[index].push(*other);
                }
            }
            for other in graph.co[at(number)].iter().filter_map(|needs| find(*needs)) {
                if *other != index {
                    local.with[index].push(*other);
                    local.with[*other].push(index);
                }
            }
        }
        local
    }

    fn edges(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        self.before[index].iter().chain(&self.with[index]).copied()
    }

    fn edge(&self, index: usize, nth: usize) -> Option<usize> {
        let before = &self.before[index];
        before.get(nth).or_else(|| self.with[index].get(nth - before.len().min(nth))).copied()
    }
}

/// Finds the groups that must go on together (Tarjan's strongly connected components, without recursion).
fn groups(local: &Local) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let total = local.numbers.len();
    let (mut index_of, mut low) = (vec![UNSEEN; total], vec![0; total]);
    let mut is_stacked = vec![false; total];
    let (mut stack, mut groups, mut counter) = (Vec::new(), Vec::new(), 0);
    for start in 0..total {
        if index_of[start] != UNSEEN {
            continue;
        }
        let mut calls = vec![(start, 0_usize)];
        while let Some((node, nth)) = calls.pop() {
            if nth == 0 {
                index_of[node] = counter;
                low[node] = counter;
                counter += 1;
                stack.push(node);
                is_stacked[node] = true;
            }
            if let Some(next) = local.edge(node, nth) {
                calls.push((node, nth + 1));
                if index_of[next] == UNSEEN {
                    calls.push((next, 0));
                } else if is_stacked[next] {
                    low[node] = low[node].min(index_of[next]);
                }
                continue;
            }
            if let Some((above, _)) = calls.last() {
                low[*above] = low[*above].min(low[node]);
            }
            if low[node] == index_of[node] {
                let at = stack.iter().rposition(|other| *other == node).expect("a node is on its own stack");
                let mut group = stack.split_off(at);
                group.iter().for_each(|member| is_stacked[*member] = false);
                group.sort_unstable();
                groups.push(group);
            }
        }
    }
    groups
}

/// Orders one group by its prerequisites; the error is a ring of them.
fn order_group(local: &Local, group: &[usize]) -> Result<Vec<usize>, Vec<usize>> {
    if let [only] = group {
        return Ok(vec![*only]);
    }
    let inside: HashMap<usize, ()> = group.iter().map(|index| (*index, ())).collect();
    let needs = |index: usize| local.before[index].iter().copied().filter(|other| inside.contains_key(other));
    let edges = group.iter().flat_map(|index| needs(*index).map(|before| (before, *index)));
    let ordered = kahn(group, edges);
    if ordered.len() == group.len() {
        return Ok(ordered);
    }
    // Every fix left over has a prerequisite left over: walking along them must come round.
    let done: HashMap<usize, ()> = ordered.into_iter().map(|index| (index, ())).collect();
    let mut at = *group.iter().find(|index| !done.contains_key(index)).expect("some are left over");
    let mut path: Vec<usize> = Vec::new();
    loop {
        if let Some(first) = path.iter().position(|index| *index == at) {
            let mut ring = path.split_off(first);
            ring.push(at);
            ring.reverse();
            return Err(ring);
        }
        path.push(at);
        at = needs(at).find(|other| !done.contains_key(other)).expect("each left over needs one left over");
    }
}

/// Orders whole groups by the prerequisites between them, and writes them out.
fn order_groups(local: &Local, groups: &[Vec<usize>]) -> Vec<usize> {
    let mut group_of = vec![0; local.numbers.len()];
    // A group is known by its first member in service order, so ties come out in service order.
    let mut by_leader: HashMap<usize, &Vec<usize>> = HashMap::new();
    for group in groups {
        let leader = *group.iter().min().expect("a group has members");
        by_leader.insert(leader, group);
        for member in group {
            group_of[*member] = leader;
        }
    }
    let leaders: Vec<usize> = by_leader.keys().copied().collect();
    let group_of = &group_of;
    let edges = (0..local.numbers.len()).flat_map(|index| {
        local
            .edges(index)
            .map(move |before| (group_of[before], group_of[index]))
            .filter(|(before, after)| before != after)
    });
    kahn(&leaders, edges).into_iter().flat_map(|leader| by_leader[&leader].iter().copied()).collect()
}

/// Orders nodes so that every edge leads forward, smallest first; nodes in or behind a ring are missing.
fn kahn(nodes: &[usize], edges: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut after: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut open: HashMap<usize, usize> = nodes.iter().map(|node| (*node, 0)).collect();
    for (before, node) in edges {
        after.entry(before).or_default().push(node);
        *open.entry(node).or_default() += 1;
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        open.iter().filter(|(_, count)| **count == 0).map(|(node, _)| Reverse(*node)).collect();
    let mut ordered = Vec::with_capacity(nodes.len());
    while let Some(Reverse(node)) = ready.pop() {
        ordered.push(node);
        for next in after.get(&node).into_iter().flatten() {
            let count = open.get_mut(next).expect("every edge ends in a node");
            *count -= 1;
            if *count == 0 {
                ready.push(Reverse(*next));
            }
        }
    }
    ordered
}
