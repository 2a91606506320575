//! A breadth-first search through everything that can happen, on real objects.
//!
//! A real store cannot be copied, so a state is reached by repeating the steps that lead to it
//! on a fresh one, and known by what can be seen of it. Not `stateright`: its states are values,
//! and it cannot say "from everywhere the end can still be reached", which here a world checks
//! itself, by going there.

use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::hash::Hash;

/// Something that can be taken from state to state by steps.
pub(crate) trait World {
    type Step: Copy + Debug;
    /// What tells one state from another: all that decides about the future.
    type Key: Eq + Hash;

    /// What can happen now.
    fn steps(&self) -> Vec<Self::Step>;

    /// Lets it happen; the rule that is broken by that, if one is, and how.
    fn take(&mut self, step: Self::Step) -> Result<(), Broken>;

    fn key(&self) -> Self::Key;

    /// What must hold in each state. Uses it up.
    fn finish(self) -> Result<(), Broken>;
}

/// A rule by its name, and what broke it.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) rule: &'static str,
    pub(crate) text: String,
}

/// How far a search went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// Steps on the shortest way to the farthest state.
    pub(crate) depth: usize,
}

/// The shortest way to a broken rule.
pub(crate) struct Counterexample<S> {
    pub(crate) broken: Broken,
    pub(crate) steps: Vec<S>,
}

impl<S: Debug> Debug for Counterexample<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken { rule, text } = &self.broken;
        write!(f, "broken: {rule}: {text}, by {:?}", self.steps)
    }
}

/// Goes through all states that can be reached, to the last one.
pub(crate) fn explore<W: World>(make: impl Fn() -> W) -> Result<Extent, Counterexample<W::Step>> {
    // Each state by the one before it and the step from there.
    let mut found: Vec<(usize, Option<W::Step>, usize)> = vec![(0, None, 0)];
    let way = |found: &[(usize, Option<W::Step>, usize)], mut at: usize| {
        let mut steps = Vec::new();
        while let (before, Some(step), _) = found[at] {
            steps.push(step);
            at = before;
        }
        steps.reverse();
        steps
    };
    let reach = |steps: &[W::Step]| {
        let mut world = make();
        for step in steps {
            world.take(*step).expect("it was all right the first time");
        }
        world
    };
    let mut known = HashSet::from([make().key()]);
    let mut extent = Extent::default();
    let mut at = 0;
    while at < found.len() {
        let steps = way(&found, at);
        let depth = found[at].2;
        let mut here = reach(&steps);
        let key = here.key();
        for step in here.steps() {
            extent.transitions += 1;
            let after = here.take(step).map(|()| here.key());
            let new = after.map_err(|broken| {
                let steps = [&steps[..], &[step]].concat();
                Counterexample { broken, steps }
            })?;
            if new == key {
                continue; // nothing happened: the world can be used on
            }
            here = reach(&steps);
            if known.insert(new) {
                found.push((at, Some(step), depth + 1));
            }
        }
        here.finish()
            .map_err(|broken| Counterexample { broken, steps })?;
        extent.depth = extent.depth.max(depth);
        at += 1;
    }
    extent.states = found.len();
    Ok(extent)
}
