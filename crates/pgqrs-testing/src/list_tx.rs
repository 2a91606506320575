//! The lists of cases for transactional stores.

/// Hands the cases of transactional stores to a macro of the module, grouped by their files.
#[doc(hidden)]
#[macro_export]
macro_rules! __transactional_cases {
    ($($then:tt)*) => {
        $crate::__each_case! {
            $($then)*;
            enqueue_in: [
                enqueue_in_exists_after_the_commit,
                enqueue_in_never_exists_after_a_rollback,
                batch_enqueue_in_keeps_its_order,
                nothing_in_a_transaction_is_fine,
                a_batch_of_25000_messages_in_a_transaction,
                enqueue_in_with_a_delay_waits,
                bad_payloads_are_refused_in_a_transaction,
                an_unknown_queue_in_a_transaction_is_an_error,
            ];
            once_in: [
                a_rollback_frees_the_key,
                a_commit_keeps_the_key,
                a_key_twice_in_a_transaction_stores_one,
            ];
            settle_in: [
                archive_in_is_done_after_the_commit,
                archive_in_is_undone_by_a_rollback,
                delete_in_is_done_after_the_commit,
                delete_in_is_undone_by_a_rollback,
                every_outcome_works_in_a_transaction,
                a_lost_lease_is_told_before_the_commit,
                a_receipt_twice_in_a_transaction_settles_once,
                an_expired_lease_can_be_settled_in_a_transaction,
                a_rollback_frees_the_message,
                archive_and_enqueue_happen_together,
                handles_work_in_transactions,
            ];
        }
    };
}

/// The same for the cases of stores whose transactions keep nobody else from writing.
#[doc(hidden)]
#[macro_export]
macro_rules! __concurrent_transactional_cases {
    ($($then:tt)*) => {
        $crate::__each_case! {
            $($then)*;
            beside: [
                enqueue_in_is_not_to_be_had_before_the_commit,
                a_late_commit_is_not_overlooked,
                archive_in_locks_the_message,
                delete_in_locks_the_message_until_the_rollback,
                leases_are_extended_beside_an_open_settlement,
            ];
            once_in: [
                the_key_of_an_open_transaction_is_waited_for,
            ];
        }
    };
}
