//! The store under test, on a schema of its own, and the conformance suite on it.

use std::sync::Mutex;
use std::time::Duration;

use pgqrs::{PgStore, PgStoreBuilder, Store, span_micros};
use pgqrs_testing::{End, Harness, TransactionalHarness};
use postgres::Client;

use pgqrs_test_support::Schema;

/// Calls as if time had passed: every moment in the tables is moved into the past.
const ADVANCE: &str = "
    WITH span AS (SELECT $1::bigint * interval '1 microsecond' AS span),
         live AS (UPDATE pgqrs_live SET vt = vt - span FROM span),
         scheduled AS (UPDATE pgqrs_scheduled SET vt = vt - span FROM span),
         keys AS (UPDATE pgqrs_keys SET enqueued_at = enqueued_at - span, expires_at = expires_at - span
                  FROM span)
    UPDATE pgqrs_messages SET enqueued_at = enqueued_at - span FROM span";

/// A statement that waits for this long waits for what will not come: then its test fails
/// instead of hanging.
const STUCK: Duration = Duration::from_secs(60);

/// An installed store in a schema that is dropped with it.
pub(crate) struct Pg {
    pub(crate) store: PgStore,
    /// Others on the same tables: each as in a process of its own.
    others: Mutex<Vec<PgStore>>,
    builder: PgStoreBuilder,
    // Last, so that it is dropped when the stores are gone.
    pub(crate) schema: Schema,
}

impl Pg {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(set: impl FnOnce(PgStoreBuilder) -> PgStoreBuilder) -> Self {
        Self::in_schema(Schema::new(), set)
    }

    pub(crate) fn in_schema(
        schema: Schema,
        set: impl FnOnce(PgStoreBuilder) -> PgStoreBuilder,
    ) -> Self {
        let builder = PgStore::builder(schema.dsn())
            .schema(schema.name())
            .statement_timeout(Some(STUCK));
        let builder = set(builder);
        let store = builder.clone().build().unwrap();
        store.install().unwrap();
        Self {
            store,
            others: Mutex::default(),
            builder,
            schema,
        }
    }

    /// The same with a queue named "tasks".
    pub(crate) fn with_tasks() -> Self {
        let pg = Self::new();
        pg.store.create_queue("tasks").unwrap();
        pg
    }

    /// Another store on the same tables, with settings of its own.
    pub(crate) fn another(&self, set: impl FnOnce(PgStoreBuilder) -> PgStoreBuilder) -> PgStore {
        set(self.builder.clone()).build().unwrap()
    }

    /// A connection of the test's own, in the store's schema.
    pub(crate) fn client(&self) -> Client {
        self.schema.connect()
    }

    /// The only value of a query.
    pub(crate) fn value<T>(&self, sql: &str) -> T
    where
        T: for<'a> postgres::types::FromSql<'a>,
    {
        self.client().query_one(sql, &[]).unwrap().get(0)
    }
}

impl Harness for Pg {
    type Store = PgStore;

    fn store(&self) -> PgStore {
        let store = self.builder.clone().build().unwrap();
        self.others.lock().unwrap().push(store.clone());
        store
    }

    fn advance(&self, by: Duration) {
        self.client().execute(ADVANCE, &[&span_micros(by)]).unwrap();
        // The tables were changed behind the stores' backs.
        self.store.forget_scan_hints();
        for store in &*self.others.lock().unwrap() {
            store.forget_scan_hints();
        }
    }
}

impl TransactionalHarness for Pg {
    type Tx = Client;

    fn transaction<T>(&self, end: End, work: impl FnOnce(&mut Client) -> T) -> T {
        let mut client = self.client();
        client.batch_execute("BEGIN").unwrap();
        let value = work(&mut client);
        client
            .batch_execute(match end {
                End::Commit => "COMMIT",
                End::Rollback => "ROLLBACK",
            })
            .unwrap();
        value
    }
}

mod conformance {
    pgqrs_testing::conformance!(super::Pg::new());
}

mod transactions {
    pgqrs_testing::transactional_conformance!(super::Pg::new());
    pgqrs_testing::concurrent_transactional_conformance!(super::Pg::new());
}

/// Every statement sent whole, as behind a pooler that keeps nothing prepared.
mod unprepared {
    pgqrs_testing::conformance!(super::Pg::with(|builder| builder.prepared_statements(false)));
}
