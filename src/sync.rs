//! What threads meet by, for the files that `tests/exhaustive` compiles a second time with others
//! of the same names in their place, to go through every order in which they can meet.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

pub(crate) use crossbeam_channel::{Receiver, Sender, bounded};
