//! What is done with the lists of cases: a test is made of each.

/// What is done with a list: `reexport` it, or make a `test` of each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_case {
    (reexport; $($file:ident: [$($case:ident),+ $(,)?];)+) => {
        $(pub use self::$file::{$($case),+};)+
    };
    (test $harness:expr; $($file:ident: [$($case:ident),+ $(,)?];)+) => {$($(
        #[test]
        fn $case() {
            $crate::conformance::$case(&$harness);
        }
    )+)+};
}

/// Makes a `#[test]` of every case of the suite; the argument is an expression that makes a
/// fresh [`Harness`](crate::Harness), for each of them anew.
///
/// See the [module](crate) for an example.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance {
    ($harness:expr $(,)?) => {
        $crate::__conformance_cases! { test $harness }
    };
}

/// Makes a `#[test]` of every case for transactional stores; the argument is an expression
/// that makes a fresh [`TransactionalHarness`](crate::TransactionalHarness), for
/// each of them anew.
///
/// These come on top of those of [`conformance!`](crate::conformance!).
#[doc(hidden)]
#[macro_export]
macro_rules! __transactional_conformance {
    ($harness:expr $(,)?) => {
        $crate::__transactional_cases! { test $harness }
    };
}

/// Makes a `#[test]` of every case for transactional stores whose transactions keep nobody else
/// from writing: while one is open that wrote, others enqueue, lease and settle beside it. The
/// argument is an expression that makes a fresh
/// [`TransactionalHarness`](crate::TransactionalHarness), for each of them anew.
///
/// These come on top of those of
/// [`transactional_conformance!`](crate::transactional_conformance!).
#[doc(hidden)]
#[macro_export]
macro_rules! __concurrent_transactional_conformance {
    ($harness:expr $(,)?) => {
        $crate::__concurrent_transactional_cases! { test $harness }
    };
}
