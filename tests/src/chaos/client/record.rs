//! A store that keeps the ledger: what is about to be done, and what came of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pgqrs::{
    Dequeue, Error, ErrorKind, Layer, Message, Outcome, Receipt, Result, Settlement, Store,
    Transactional, span_micros,
};

use super::book::Book;
use crate::chaos::errand::Errand;
use crate::chaos::line::{Delivery, End, Fate, Line};

#[derive(Clone, Debug)]
pub(crate) struct Recorded<S> {
    inner: S,
    book: Book,
    /// When each delivery's lease began, by the server's clock, and when it was heard of here.
    leased: Arc<Mutex<HashMap<Delivery, (i64, Instant)>>>,
}

impl<S> Recorded<S> {
    pub(crate) fn new(inner: S, book: Book) -> Self {
        Self {
            inner,
            book,
            leased: Arc::default(),
        }
    }

    fn leased(&self, messages: &[Message], lock_time: Duration) {
        let now = Instant::now();
        let mut leased = self.leased.lock().unwrap();
        self.book.write(messages.iter().map(|message| {
            let errand: Errand = message.json().unwrap();
            let until = message.vt.unix_timestamp_nanos() / 1_000;
            let until = i64::try_from(until).unwrap();
            let from = until - span_micros(lock_time);
            let delivery = delivery(&Receipt::from(message));
            leased.insert(delivery, (from, now));
            Line::Leased {
                delivery,
                lapsed: message.lapsed,
                from,
                until,
                producer: errand.producer,
                n: errand.n,
            }
        }));
    }

    fn extended(&self, receipts: &[Receipt], answers: &[bool], called: Instant, by: Duration) {
        let leased = self.leased.lock().unwrap();
        let line = |(receipt, owned): (&Receipt, &bool)| {
            let delivery = delivery(receipt);
            if !owned {
                return Some(Line::Lost { delivery });
            }
            // The server did so after the call, so this is its end at least: the lease's beginning,
            // the time from when that was heard of to the call, and what was asked for.
            let (from, at) = leased.get(&delivery)?;
            let until = from + span_micros(called.duration_since(*at) + by);
            Some(Line::Extended { delivery, until })
        };
        self.book
            .write(receipts.iter().zip(answers).filter_map(line));
    }

    fn ending(&self, settlements: &[Settlement]) {
        self.book.write(settlements.iter().map(|s| Line::Ending {
            delivery: delivery(&s.receipt),
            end: end(&s.outcome),
        }));
    }

    fn ended(&self, settlements: &[Settlement], answers: &Result<Vec<bool>>) {
        let fate = |position: usize| match answers {
            Ok(answers) if answers[position] => Fate::Yes,
            Ok(_) => Fate::No,
            Err(error) => fate(error),
        };
        let settlements = settlements.iter().enumerate();
        self.book
            .write(settlements.map(|(position, s)| Line::Ended {
                delivery: delivery(&s.receipt),
                end: end(&s.outcome),
                fate: fate(position),
            }));
    }
}

/// What an error says of the call.
pub(crate) fn fate(error: &Error) -> Fate {
    match error.kind() {
        ErrorKind::FateUnknown => Fate::Unknown,
        _ => Fate::Refused,
    }
}

pub(crate) fn delivery(receipt: &Receipt) -> Delivery {
    Delivery {
        id: receipt.id(),
        worker: receipt.worker().unwrap(),
        read_ct: receipt.read_ct().unwrap(),
    }
}

fn end(outcome: &Outcome) -> End {
    match outcome {
        Outcome::Archive => End::Archive,
        Outcome::Delete => End::Delete,
        Outcome::Release { .. } => End::Release,
        Outcome::DeadLetter(_) => End::Dead,
    }
}

fn archivings(receipts: &[Receipt]) -> Vec<Settlement> {
    let archive = |receipt: &Receipt| Settlement {
        receipt: *receipt,
        outcome: Outcome::Archive,
    };
    receipts.iter().map(archive).collect()
}

/// Enqueueing is written down by who does it: only a producer knows what it tries again.
impl<S: Store> Layer for Recorded<S> {
    type Inner = S;

    fn inner(&self) -> &S {
        &self.inner
    }
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let messages = self.inner.dequeue(dequeue)?;
        self.leased(&messages, dequeue.lock_time);
        Ok(messages)
    }
    fn extend_visibility(
        &self,
        queue_id: i64,
        receipts: &[Receipt],
        by: Duration,
    ) -> Result<Vec<bool>> {
        let called = Instant::now();
        let answers = self.inner.extend_visibility(queue_id, receipts, by)?;
        self.extended(receipts, &answers, called, by);
        Ok(answers)
    }
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        self.ending(settlements);
        let answers = self.inner.settle(queue_id, settlements);
        self.ended(settlements, &answers);
        answers
    }
    fn archive_and_dequeue(
        &self,
        receipts: &[Receipt],
        dequeue: &Dequeue,
    ) -> Result<(Vec<bool>, Vec<Message>)> {
        let settlements = archivings(receipts);
        self.ending(&settlements);
        match self.inner.archive_and_dequeue(receipts, dequeue) {
            Ok((answers, messages)) => {
                self.leased(&messages, dequeue.lock_time);
                let answers = Ok(answers);
                self.ended(&settlements, &answers);
                Ok((answers?, messages))
            }
            Err(error) => {
                self.ended(&settlements, &Err(error.clone()));
                Err(error)
            }
        }
    }
    /// What came of it, if it is not refused here, who commits has to write.
    fn settle_in<Tx: ?Sized>(
        &self,
        tx: &mut Tx,
        queue_id: i64,
        settlements: &[Settlement],
    ) -> Result<Vec<bool>>
    where
        S: Transactional<Tx>,
    {
        self.ending(settlements);
        let answers = self.inner.settle_in(tx, queue_id, settlements);
        let refused = answers.is_err();
        let nothing = answers
            .as_ref()
            .is_ok_and(|answers| !answers.contains(&true));
        if refused || nothing {
            self.ended(settlements, &answers);
        }
        answers
    }
}
