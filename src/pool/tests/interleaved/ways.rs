//! All ways through a number of choices.

use std::cell::{Cell, RefCell};

/// Which way is gone this time, of all ways: the choices so far, each of how many.
#[derive(Default)]
pub(super) struct Ways {
    pub(super) choices: RefCell<Vec<(usize, usize)>>,
    at: Cell<usize>,
}

impl Ways {
    /// Answers a number below `of`.
    pub(super) fn choose(&self, of: usize) -> usize {
        let mut choices = self.choices.borrow_mut();
        let at = self.at.replace(self.at.get() + 1);
        if at == choices.len() {
            choices.push((0, of));
        }
        assert_eq!(choices[at].1, of, "the same way looks the same");
        choices[at].0
    }

    /// Turns to the next way; `false` if that was the last one.
    pub(super) fn next(&self) -> bool {
        self.at.set(0);
        let mut choices = self.choices.borrow_mut();
        while let Some((taken, of)) = choices.pop() {
            if taken + 1 < of {
                choices.push((taken + 1, of));
                return true;
            }
        }
        false
    }
}
