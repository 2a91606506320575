//! What the ledgers are written in: one line for every call of the store that changes something,
//! before it is made, and one for what came of it.
//!
//! Shared by the processes that write them and the audit that reads them.

#![allow(
    dead_code,
    reason = "each of the programs that share this uses a part of it"
)]

use std::fmt;
use std::str::FromStr;

/// Which delivery of which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery {
    pub id: i64,
    pub worker: i64,
    pub read_ct: i32,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    Archive,
    Delete,
    Dead,
    /// Released or retried.
    Release,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Done.
    Yes,
    /// The delivery did not own its message any more.
    No,
    /// It failed, and certainly changed nothing.
    Refused,
    /// It failed, and nobody knows.
    Unknown,
}

/// One line of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// About to enqueue messages `first` to `first + count - 1` as one batch.
    Putting {
        put: u64,
        keyed: bool,
        first: u64,
        count: u64,
    },
    /// They are stored, and have these ids.
    Put { put: u64, ids: Vec<i64> },
    /// They are not, or nobody knows.
    NotPut { put: u64, fate: Fate },
    /// A dequeue returned this, whose payload is number `n` of that producer. The lease is from
    /// when to when, in microseconds by the server's clock.
    Leased {
        delivery: Delivery,
        lapsed: bool,
        from: i64,
        until: i64,
        producer: String,
        n: u64,
    },
    /// An extension was confirmed: the lease is to last until then at least.
    Extended { delivery: Delivery, until: i64 },
    /// About to end a delivery.
    Ending { delivery: Delivery, end: End },
    /// What came of it.
    Ended {
        delivery: Delivery,
        end: End,
        fate: Fate,
    },
    /// An extension was told that the delivery is no longer the owner.
    Lost { delivery: Delivery },
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.id, self.worker, self.read_ct)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Putting {
                put,
                keyed,
                first,
                count,
            } => write!(f, "putting {put} {keyed} {first} {count}"),
            Line::Put { put, ids } => {
                write!(f, "put {put}")?;
                ids.iter().try_for_each(|id| write!(f, " {id}"))
            }
            Line::NotPut { put, fate } => write!(f, "not-put {put} {fate:?}"),
            Line::Leased {
                delivery,
                lapsed,
                from,
                until,
                producer,
                n,
            } => write!(
                f,
                "leased {delivery} {lapsed} {from} {until} {producer} {n}"
            ),
            Line::Extended { delivery, until } => write!(f, "extended {delivery} {until}"),
            Line::Ending { delivery, end } => write!(f, "ending {delivery} {end:?}"),
            Line::Ended {
                delivery,
                end,
                fate,
            } => write!(f, "ended {delivery} {end:?} {fate:?}"),
            Line::Lost { delivery } => write!(f, "lost {delivery}"),
        }
    }
}

/// The words of a line, one after the other.
struct Words<'a>(std::str::SplitWhitespace<'a>);

impl Words<'_> {
    fn next<T: FromStr>(&mut self) -> Result<T, String> {
        let word = self.0.next().ok_or("it ends too early")?;
        word.parse().map_err(|_| format!("what is {word:?}?"))
    }

    fn delivery(&mut self) -> Result<Delivery, String> {
        Ok(Delivery {
            id: self.next()?,
            worker: self.next()?,
            read_ct: self.next()?,
        })
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut words = Words(line.split_whitespace());
        Ok(match words.next::<String>()?.as_str() {
            "putting" => Line::Putting {
                put: words.next()?,
                keyed: words.next()?,
                first: words.next()?,
                count: words.next()?,
            },
            "put" => Line::Put {
                put: words.next()?,
                ids: words
                    .0
                    .map(|id| id.parse().map_err(|_| format!("what is {id:?}?")))
                    .collect::<Result<_, _>>()?,
            },
            "not-put" => Line::NotPut {
                put: words.next()?,
                fate: words.next()?,
            },
            "leased" => Line::Leased {
                delivery: words.delivery()?,
                lapsed: words.next()?,
                from: words.next()?,
                until: words.next()?,
                producer: words.next()?,
                n: words.next()?,
            },
            "extended" => Line::Extended {
                delivery: words.delivery()?,
                until: words.next()?,
            },
            "ending" => Line::Ending {
                delivery: words.delivery()?,
                end: words.next()?,
            },
            "ended" => Line::Ended {
                delivery: words.delivery()?,
                end: words.next()?,
                fate: words.next()?,
            },
            "lost" => Line::Lost {
                delivery: words.delivery()?,
            },
            other => return Err(format!("what is {other:?}?")),
        })
    }
}

impl FromStr for End {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let all = [End::Archive, End::Delete, End::Dead, End::Release];
        all.into_iter()
            .find(|end| format!("{end:?}") == word)
            .ok_or(())
    }
}

impl FromStr for Fate {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let all = [Fate::Yes, Fate::No, Fate::Refused, Fate::Unknown];
        all.into_iter()
            .find(|fate| format!("{fate:?}") == word)
            .ok_or(())
    }
}
