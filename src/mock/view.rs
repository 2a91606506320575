//! A look at what is in each state.

use super::MockStore;
use super::shelf::Shelf;
use crate::message::Message;
use crate::queue::State;

impl MockStore {
    /// Returns the messages that a dequeue could have now, by id; none for an unknown queue.
    #[must_use]
    pub fn ready(&self, queue: &str) -> Vec<Message> {
        self.view(queue, State::Ready)
    }

    /// Returns the messages that consumers hold, by id; none for an unknown queue.
    #[must_use]
    pub fn leased(&self, queue: &str) -> Vec<Message> {
        self.view(queue, State::Leased)
    }

    /// Returns the messages that are not due yet, by id; none for an unknown queue.
    #[must_use]
    pub fn scheduled(&self, queue: &str) -> Vec<Message> {
        self.view(queue, State::Scheduled)
    }

    /// Returns the archived messages, by id, with the `vt` of their last lease; none for an
    /// unknown queue.
    #[must_use]
    pub fn archived(&self, queue: &str) -> Vec<Message> {
        self.view(queue, State::Archived)
    }

    /// Returns the dead letters and the reasons, by id; none for an unknown queue.
    #[must_use]
    pub fn dead(&self, queue: &str) -> Vec<(Message, String)> {
        let inner = self.lock();
        inner
            .shelf_named(queue)
            .map(Shelf::dead)
            .unwrap_or_default()
    }

    fn view(&self, queue: &str, state: State) -> Vec<Message> {
        let inner = self.lock();
        inner
            .shelf_named(queue)
            .map(|shelf| shelf.view(state, inner.now))
            .unwrap_or_default()
    }
}
