//! Putting the schema into the database, and telling whether the one there is ours.

use super::pool::{Repeat, Session};
use super::{PgStore, one, sql};
use crate::error::{Error, ErrorKind, Result};

use super::pool::Run;
use super::sql::Statement;

/// The whole schema, as `schema.sql` has it: what [`install`](crate::Store::install) applies.
pub const SCHEMA: &str = include_str!("../../schema.sql");

/// The version of the schema that this library works with.
pub const SCHEMA_VERSION: i32 = 1;

/// What an installation comes upon.
#[derive(Clone, Copy)]
enum Installed {
    Nothing,
    Version(i32),
}

impl PgStore {
    /// Does [`Store::install`](crate::Store::install).
    pub(super) fn put_schema(&self) -> Result<()> {
        let doing = "install the schema";
        let found = self.call(doing, Repeat::Harmless, |db| {
            db.atomically(|db| {
                db.client().batch_execute(sql::LOCK_INSTALL)?;
                let found = self.installed(db)?;
                if let Installed::Nothing = found {
                    self.create(db)?;
                }
                Ok(found)
            })
        })?;
        match found {
            Installed::Nothing => Ok(()),
            Installed::Version(version) => judge(
                version,
                &self.inner.database.texts().schema,
                ", and knows no way from there",
            ),
        }
    }

    /// Checks that the installed schema is of this library's version.
    pub(super) fn check_schema(&self) -> Result<()> {
        let schema = &self.inner.database.texts().schema;
        let found = self.call("read the schema's version", Repeat::Harmless, |db| {
            db.atomically(|db| self.installed(db))
        })?;
        match found {
            Installed::Version(version) => judge(version, schema, ": run PgStore::install()"),
            Installed::Nothing => Err(Error::new(
                ErrorKind::Schema,
                format!("pgqrs is not installed in schema {schema}: run PgStore::install()"),
            )),
        }
    }

    fn installed(&self, db: &mut Session<'_>) -> Result<Installed, postgres::Error> {
        let schema = &self.inner.database.texts().schema;
        let function = format!("{schema}.pgqrs_schema_version()");
        let row = db.client().query_one(sql::HAS_VERSION, &[&function])?;
        if !row.try_get::<_, bool>(0)? {
            return Ok(Installed::Nothing);
        }
        let version = one(db.run(Statement::Version, &[])?, |row| row.try_get(0))?;
        Ok(version.map_or(Installed::Nothing, Installed::Version))
    }

    fn create(&self, db: &mut Session<'_>) -> Result<(), postgres::Error> {
        let texts = self.inner.database.texts();
        let client = db.client();
        if client.query_opt(sql::HAS_SCHEMA, &[&texts.name])?.is_none() {
            client.batch_execute(&sql::in_schema(sql::CREATE_SCHEMA, &texts.schema))?;
        }
        client.batch_execute(&sql::in_schema(sql::SEARCH_PATH, &texts.schema))?;
        client.batch_execute(SCHEMA)
    }
}

/// `if_older`: what to say of an older version.
fn judge(version: i32, schema: &str, if_older: &str) -> Result<()> {
    let text = match version {
        SCHEMA_VERSION => return Ok(()),
        newer if newer > SCHEMA_VERSION => format!(
            "schema {schema} has version {newer} of pgqrs, newer than the {SCHEMA_VERSION} that \
             this program knows: update the program"
        ),
        older => format!(
            "schema {schema} has version {older} of pgqrs, older than the {SCHEMA_VERSION} that \
             this program needs{if_older}"
        ),
    };
    Err(Error::new(ErrorKind::Schema, text))
}
