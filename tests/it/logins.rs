//! Logins of a test's own, with the rights that `roles.sql` gives and no others.

use pgqrs::PgStore;
use postgres::{Client, NoTls};

use crate::pg::Pg;
use pgqrs_test_support::{MINUTE, wait_until};

/// What is run after the installation.
pub(crate) const ROLES: &str = include_str!("../../roles.sql");

/// A role that may log in. It is dropped with this; the three groups are of the whole cluster, which
/// other tests share, and stay.
pub(crate) struct Login<'a> {
    pub(crate) name: String,
    pub(crate) password: String,
    pg: &'a Pg,
}

impl Pg {
    /// The same as [`with_tasks`](Self::with_tasks), and the roles.
    pub(crate) fn with_roles() -> Self {
        let pg = Self::with_tasks();
        pg.client()
            .batch_execute(ROLES)
            .expect("the tests need a role that may create roles");
        pg
    }

    /// A new login, a member of these groups.
    pub(crate) fn login(&self, title: &str, groups: &[&str]) -> Login<'_> {
        let name = format!("{}_{title}", self.schema.name());
        let mut client = self.client();
        let password = format!("s3cret_of_{name}");
        let sql = format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'");
        client.batch_execute(&sql).unwrap();
        let login = Login {
            name,
            password,
            pg: self,
        };
        for group in groups {
            let sql = format!("GRANT {group} TO \"{}\"", login.name);
            client.batch_execute(&sql).unwrap();
        }
        login
    }
}

impl Login<'_> {
    pub(crate) fn dsn(&self) -> String {
        let dsn = self.pg.schema.dsn();
        let (before, between) = match (dsn.contains("://"), dsn.contains('?')) {
            (false, _) => (" ", " "),
            (true, false) => ("?", "&"),
            (true, true) => ("&", "&"),
        };
        let (name, password) = (&self.name, &self.password);
        format!("{dsn}{before}user={name}{between}password={password}")
    }

    /// A store on the test's schema.
    pub(crate) fn store(&self) -> PgStore {
        self.store_in(self.pg.schema.name())
    }

    pub(crate) fn store_in(&self, schema: &str) -> PgStore {
        PgStore::builder(&self.dsn())
            .schema(schema)
            .build()
            .unwrap()
    }

    /// A connection in the test's schema.
    pub(crate) fn client(&self) -> Client {
        let mut client = Client::connect(&self.dsn(), NoTls).unwrap();
        let sql = format!("SET search_path TO \"{}\"", self.pg.schema.name());
        client.batch_execute(&sql).unwrap();
        client
    }
}

impl Login<'_> {
    /// How many sessions it has.
    pub(crate) fn sessions(&self, client: &mut Client) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
        client.query_one(sql, &[&self.name]).unwrap().get(0)
    }
}

impl Drop for Login<'_> {
    fn drop(&mut self) {
        let mut client = self.pg.client();
        // A session that is ending drops its temporary tables, which must not happen while they are
        // being given to another owner. After a failure, there may be sessions that do not end.
        if !std::thread::panicking() {
            wait_until("a login's sessions to end", MINUTE, || {
                self.sessions(&mut client) == 0
            });
        }
        let name = &self.name;
        // What it owns is the schema's and stays; what it was granted goes.
        let sql = format!(
            "REASSIGN OWNED BY \"{name}\" TO CURRENT_USER; DROP OWNED BY \"{name}\"; DROP ROLE \"{name}\""
        );
        let dropped = client.batch_execute(&sql);
        if !std::thread::panicking() {
            dropped.unwrap();
        }
    }
}
