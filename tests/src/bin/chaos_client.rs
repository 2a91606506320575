//! The processes that the chaos tests start: see the module `client`.

fn main() {
    pgqrs_tests::chaos::client::main();
}
