//! The SQLite store: the conformance suite, several processes on one file, crashes, files that are
//! none.

mod alone;
mod audit;
mod clock;
mod fair;
mod file;
mod full;
mod idle;
mod kill;
mod locked;
mod many;
mod model;
mod once;
mod payloads;
mod quickstart;
mod refused;
mod rights;
mod schemas;
mod suite;
mod theirs;
mod wake;
