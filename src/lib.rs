//! A message queue that lives in PostgreSQL, as a blocking library.

mod consumer;
mod error;
mod message;
mod mock;
#[cfg(feature = "postgres")]
mod pg;
mod producer;
mod queue;
mod settings;
mod span;
mod stop;
mod store;

pub use crate::consumer::{Consumer, ConsumerBuilder, Messages};
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::message::{Message, NewMessage, Outcome, Receipt, Settlement};
pub use crate::mock::{Call, MockStore, MockStoreBuilder, MockTransaction};
#[cfg(feature = "postgres")]
pub use crate::pg::{PgStore, PgStoreBuilder, SCHEMA, SCHEMA_VERSION};
pub use crate::producer::Producer;
pub use crate::queue::{Counts, IfNotEmpty, Queue, State};
pub use crate::settings::Settings;
pub use crate::span::{MAX_SPAN, span_micros};
pub use crate::stop::StopHandle;
pub use crate::store::{Dequeue, Store, Transactional};
