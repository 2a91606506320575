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
    /// What is known besides what the real objects know themselves.
    type Known: Clone;

    /// What can happen now.
    fn steps(&self) -> Vec<Self::Step>;

    /// Lets it happen; the rule that is broken by that, if one is, and how.
    fn take(&mut self, step: Self::Step) -> Result<(), Broken>;

    fn key(&self) -> Self::Key;

    fn known(&self) -> Self::Known;

    /// Does the steps that led to a state, without checking what was checked the first time.
    fn repeat(&mut self, steps: &[Self::Step], known: Self::Known);

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

/// A state that was found.
struct Found<W: World> {
    /// The one before it and the step from there.
    from: Option<(usize, W::Step)>,
    depth: usize,
    known: W::Known,
}

/// The steps that lead to a state.
fn way<W: World>(found: &[Found<W>], mut at: usize) -> Vec<W::Step> {
    let mut steps = Vec::new();
    while let Some((before, step)) = found[at].from {
        steps.push(step);
        at = before;
    }
    steps.reverse();
    steps
}

/// Goes through all states that can be reached, to the last one.
pub(crate) fn explore<W: World>(make: impl Fn() -> W) -> Result<Extent, Counterexample<W::Step>> {
    let first = make();
    let mut seen = HashSet::from([first.key()]);
    let mut found: Vec<Found<W>> = vec![Found {
        from: None,
        depth: 0,
        known: first.known(),
    }];
    let mut extent = Extent::default();
    let mut at = 0;
    while at < found.len() {
        let steps = way(&found, at);
        let (depth, known) = (found[at].depth, found[at].known.clone());
        let reach = || {
            let mut world = make();
            world.repeat(&steps, known.clone());
            world
        };
        let mut here = reach();
        let key = here.key();
        for step in here.steps() {
            extent.transitions += 1;
            if let Err(broken) = here.take(step) {
                let steps = [&steps[..], &[step]].concat();
                return Err(Counterexample { broken, steps });
            }
            let new = here.key();
            if new == key {
                continue; // nothing happened: the world can be used on
            }
            if seen.insert(new) {
                found.push(Found {
                    from: Some((at, step)),
                    depth: depth + 1,
                    known: here.known(),
                });
            }
            here = reach();
        }
        here.finish()
            .map_err(|broken| Counterexample { broken, steps })?;
        extent.depth = extent.depth.max(depth);
        at += 1;
    }
    extent.states = found.len();
    Ok(extent)
}
