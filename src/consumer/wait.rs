//! Where a consumer waits: for a stop, for its bell, or for the time of the next look.

use std::time::Duration;

use super::Consumer;
use crate::bell::Bells;
use crate::store::{Store, Wakeups};

/// One wait, of any number of looks. Its bell hangs from the first look in vain on, until this
/// is dropped: who finds messages at once never has one.
#[derive(Debug, Default)]
pub(super) struct Wait {
    hung: Option<Hung>,
}

#[derive(Debug)]
struct Hung {
    bells: Bells,
    /// `None`: the bell is silent, and polling has to do.
    wakeups: Option<Box<dyn Wakeups>>,
}

impl Wait {
    /// Waits after a look that found nothing, until there is a reason for another one, but at
    /// most this long.
    pub(super) fn for_messages(&mut self, consumer: &Consumer<impl Store>, at_most: Duration) {
        let hung = self.hung.get_or_insert_with(|| Hung::new(consumer));
        if let Some(wakeups) = &hung.wakeups {
            // Whatever the answer is, the bell rings when it comes to be armed, which may be
            // after our look: then we are back at once, for one more.
            wakeups.arm(consumer.queue.id);
        }
        hung.bells.wait(&consumer.stop, at_most);
    }

    /// A look found something: nobody needs to wake this consumer until it waits again.
    pub(super) fn found(&self, consumer: &Consumer<impl Store>) {
        if let Some(Hung {
            wakeups: Some(wakeups),
            ..
        }) = &self.hung
        {
            wakeups.disarm(consumer.queue.id);
        }
    }
}

impl Hung {
    fn new(consumer: &Consumer<impl Store>) -> Self {
        let (store, bells) = (&consumer.store, Bells::new());
        let wakeups = match store.wakes_consumers() {
            true => store.wakeups(vec![(consumer.queue.id, bells.bell())]),
            false => None,
        };
        Self { bells, wakeups }
    }
}
