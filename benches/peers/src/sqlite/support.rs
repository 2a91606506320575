//! Of the tests' support, what the two programs need; `peers` itself has all of it.

#[path = "../../../../tests/support/load.rs"]
#[expect(unreachable_pub, reason = "the tests that include it want it public")]
pub(crate) mod load;
