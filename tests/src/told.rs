//! What a pool told, kept so that tests can wait for it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use pgqrs::{Error, Events};
use pgqrs_test_support::MINUTE;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Fetched(usize),
    Asleep(bool),
    Reconnecting(String),
    Reconnected(String),
}

/// Hears a pool's events. Clones hear the same.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<(Mutex<Vec<Event>>, Condvar)>);

impl Told {
    /// How many events there were: a moment, for [`since`](Self::since).
    pub fn now(&self) -> usize {
        self.0.0.lock().unwrap().len()
    }

    /// Waits until the events are as wanted.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&[Event]) -> bool) {
        let (events, news) = &*self.0;
        let events = events.lock().unwrap();
        let not_yet = |events: &mut Vec<Event>| !wanted(events);
        let (events, waited) = news.wait_timeout_while(events, MINUTE, not_yet).unwrap();
        assert!(!waited.timed_out(), "waited in vain: {what}\n{events:#?}");
    }

    /// Waits for this event after that moment.
    #[track_caller]
    pub fn since(&self, moment: usize, event: &Event) {
        self.wait(&format!("{event:?}"), |events| {
            events[moment..].contains(event)
        });
    }

    /// Waits until the pool sleeps, and relies on being woken.
    #[track_caller]
    pub fn armed(&self) {
        self.wait("the pool to sleep until it is woken", |events| {
            let mut latest = events.iter().rev();
            let latest = latest.find(|event| matches!(event, Event::Fetched(_) | Event::Asleep(_)));
            latest == Some(&Event::Asleep(true))
        });
    }

    /// How often the pool went to sleep; `true`: relying on being woken.
    pub fn asleep(&self, woken: bool) -> usize {
        let events = self.0.0.lock().unwrap();
        let sleeps = events.iter().filter(|e| **e == Event::Asleep(woken));
        sleeps.count()
    }

    fn note(&self, event: Event) {
        self.0.0.lock().unwrap().push(event);
        self.0.1.notify_all();
    }
}

impl Events for Told {
    fn fetched(&self, _: &str, messages: usize) {
        self.note(Event::Fetched(messages));
    }
    fn asleep(&self, woken: bool) {
        self.note(Event::Asleep(woken));
    }
    fn reconnecting(&self, doing: &str, _: &Error, _: Duration) {
        self.note(Event::Reconnecting(doing.to_owned()));
    }
    fn reconnected(&self, doing: &str) {
        self.note(Event::Reconnected(doing.to_owned()));
    }
}
