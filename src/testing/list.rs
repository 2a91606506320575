//! The list of cases: the one place that names them all.
//!
//! [`conformance`](super::conformance) re-exports what stands here, and nothing else: a case
//! that is missing is a public function that nobody can reach, of which the compiler warns.

/// Hands the cases for every store to a macro of the module, grouped by their files.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($($then:tt)*) => {
        $crate::__each_case! {
            $($then)*;
            enqueue: [
                an_enqueued_message_is_dequeued,
                enqueue_returns_the_message,
                times_are_utc_in_whole_microseconds,
                a_batch_keeps_its_order,
                batches_follow_one_another,
                every_message_of_a_batch_is_complete,
                ids_ascend_across_queues,
                ids_are_never_used_again,
                an_empty_batch_is_fine,
                a_batch_of_25000_messages_is_one_batch,
                a_delayed_batch_of_25000_messages_is_one_batch,
                a_batch_of_20_large_payloads_is_one_batch,
                the_store_itself_enqueues,
            ];
            payload: [
                every_shape_of_payload_survives,
                whole_numbers_survive,
                floats_survive_as_numbers,
                unicode_survives,
                the_text_of_an_escaped_nul_survives,
                payloads_nested_127_deep_survive,
                payloads_nested_128_deep_are_refused,
                typed_payloads_survive,
                a_payload_of_another_type_is_an_error,
                the_body_stays_the_same_through_all_deliveries,
            ];
            delay: [
                a_delayed_message_is_hidden_until_due,
                a_delayed_message_says_when_it_is_due,
                a_due_message_goes_ahead_of_the_backlog,
                due_messages_come_in_the_order_of_their_times,
                only_what_is_due_comes,
                a_delayed_batch_keeps_its_order,
                a_delay_of_zero_is_due_at_once_and_ahead,
                the_limit_covers_due_and_ready_together,
                a_delayed_message_is_leased_like_any_other,
                a_due_message_is_found_after_many_looks,
                a_message_due_sooner_is_not_overlooked,
                given_back_messages_wait_among_the_delayed,
            ];
            dequeue: [
                an_empty_queue_gives_nothing,
                the_oldest_messages_come_first,
                a_lease_says_whose_it_is,
                a_leased_message_is_hidden,
                the_limit_is_kept,
                a_limit_of_i32_max_gives_all_there_is,
                a_consumer_starts_from_the_settings_of_its_store,
                a_consumer_may_have_settings_of_its_own,
                a_message_is_found_after_many_looks,
                handles_share_the_queue,
                worker_ids_are_unique,
                a_worker_may_have_any_name,
                many_consumers_share_a_queue,
                the_store_itself_dequeues,
            ];
            lease: [
                an_expired_lease_is_redelivered,
                an_expired_lease_is_redelivered_to_the_same_consumer,
                a_lease_holds_until_its_end,
                each_lease_ends_at_its_own_time,
                a_redelivered_lease_ends_at_its_own_time,
                every_delivery_counts,
                expired_leases_come_before_newer_messages,
                an_expired_lease_behind_a_consumer_is_found,
                an_expired_lease_of_another_handle_is_found,
                extend_keeps_the_lease,
                a_lease_can_be_extended_for_ever,
                extend_never_shortens_a_lease,
                extend_by_zero_changes_nothing,
                extend_revives_an_expired_lease,
                extend_many_extends_each,
                extending_nothing_is_fine,
                a_receipt_twice_in_a_batch_extends_twice,
                a_redelivery_says_whether_a_lease_lapsed,
            ];
            settle: [
                archive_keeps_the_message,
                delete_forgets_the_message,
                dead_letter_keeps_the_message,
                release_takes_the_attempt_back,
                retry_keeps_the_attempt,
                attempts_are_counted_through_all_that_happens,
                release_with_a_delay_waits,
                retry_with_a_delay_waits,
                release_without_a_delay_goes_ahead,
                retry_without_a_delay_goes_ahead,
                an_expired_lease_can_be_archived,
                an_expired_lease_can_be_deleted,
                an_expired_lease_can_be_released,
                an_expired_lease_can_be_retried,
                an_expired_lease_can_be_dead_lettered,
                any_reason_will_do,
                a_receipt_is_good_through_any_handle,
                outcomes_can_be_mixed_in_one_call,
            ];
            batch: [
                archive_many_answers_by_position,
                delete_many_answers_by_position,
                release_many_answers_by_position,
                retry_many_answers_by_position,
                dead_letter_many_answers_by_position,
                extend_many_answers_by_position,
                settling_nothing_is_fine,
                a_batch_of_25000_receipts_is_settled,
                a_receipt_twice_in_a_batch_settles_once,
                the_first_of_several_outcomes_holds,
                a_stale_receipt_beside_the_current_one_changes_nothing,
                a_stale_outcome_beside_the_current_one_changes_nothing,
                a_receipt_beside_its_bare_id_settles_once,
            ];
            turnover: [
                archive_and_dequeue_does_both,
                archive_and_dequeue_drains_a_queue,
                archive_and_dequeue_of_nothing_dequeues,
                archive_and_dequeue_ends_with_the_queue,
                archive_and_dequeue_is_fenced,
                archive_and_dequeue_archives_first,
                archive_and_dequeue_takes_what_is_due,
                a_bad_request_archives_nothing,
                archive_and_dequeue_in_a_deleted_queue_is_an_error,
                many_consumers_archive_and_dequeue,
            ];
            fence: [
                a_receipt_is_good_with_any_consumer,
                a_stale_receipt_archives_nothing,
                a_stale_receipt_deletes_nothing,
                a_stale_receipt_releases_nothing,
                a_stale_receipt_retries_nothing,
                a_stale_receipt_dead_letters_nothing,
                a_stale_receipt_extends_nothing,
                a_receipt_stays_stale_when_the_newer_lease_is_over,
                a_receipt_is_stale_once_it_was_given_back,
                a_receipt_from_before_a_release_is_stale,
                an_undelivered_message_cannot_be_settled,
                what_enqueue_returned_is_no_receipt,
                a_bare_id_is_this_consumers_delivery,
                a_bare_id_is_fenced_by_the_worker,
                clones_are_the_same_worker,
                a_receipt_of_another_queue_changes_nothing,
                an_unknown_id_changes_nothing,
                a_receipt_without_a_worker_owns_nothing,
                receipts_come_in_every_form,
            ];
            apart: [
                the_fence_holds_for_neighbours_and_messages_far_apart,
                neighbours_and_messages_far_apart_come_with_their_own_counts,
                neighbours_and_messages_far_apart_are_settled_each_in_its_own_way,
            ];
            counts: [
                each_state_is_counted,
                time_makes_messages_ready,
                the_counts_add_up_through_a_long_mix,
                purge_deletes_one_state,
                purge_deletes_several_states,
                purging_no_states_deletes_nothing,
                purging_the_ready_takes_all_that_could_be_dequeued,
                the_holder_of_a_purged_message_is_told,
                a_purged_queue_is_empty,
            ];
            queues: [
                a_new_store_is_empty,
                a_created_queue_can_be_looked_up,
                creating_a_queue_again_returns_the_same,
                queues_are_listed_by_name,
                every_allowed_name_is_a_queue_of_its_own,
                queues_are_apart,
                an_empty_queue_is_deleted,
                a_queue_without_messages_left_is_deleted,
                a_queue_with_messages_is_not_deleted,
                a_queue_is_deleted_with_its_messages,
                a_deleted_queue_is_unknown_to_those_who_used_it,
                a_recreated_queue_is_another_one,
                installing_again_changes_nothing,
            ];
            input: [
                an_empty_queue_name_is_refused,
                a_queue_name_of_64_bytes_is_refused,
                other_characters_in_a_queue_name_are_refused,
                an_unknown_queue_is_an_error,
                an_unknown_queue_id_is_an_error,
                looking_for_an_impossible_name_is_refused,
                a_payload_over_the_limit_is_refused,
                a_payload_with_a_nul_is_refused,
                a_payload_that_is_not_json_is_refused,
                a_batch_with_a_bad_element_stores_nothing,
                a_long_batch_with_a_bad_element_stores_nothing,
                a_limit_out_of_range_is_refused,
                a_lock_time_of_zero_is_refused,
                a_consumer_with_bad_settings_is_refused,
                odd_numbers_are_not_changed,
            ];
            spans: [
                an_endless_delay_ends_after_the_longest_span,
                an_endless_lease_ends_after_the_longest_span,
                an_endless_extension_holds,
                an_endless_release_holds,
                the_shortest_delay_is_a_microsecond,
                the_shortest_lease_is_a_lease,
                the_shortest_spans_are_fine,
            ];
            wait: [
                poll_returns_at_once_what_is_there,
                poll_leases_like_a_dequeue,
                poll_returns_what_became_ready,
                poll_without_a_wait_looks_once,
                poll_gives_up_when_the_wait_is_over,
                poll_is_woken_by_a_message,
                poll_is_woken_by_a_release,
                poll_finds_what_comes_due,
                poll_finds_a_lease_that_ran_out,
                each_of_several_waits_gets_a_message,
                poll_is_ended_by_a_stop,
                a_stopped_consumer_waits_no_more,
                a_stopped_consumer_still_works,
            ];
            iter: [
                iter_yields_in_order,
                iter_fetches_a_batch_ahead,
                iter_goes_on_while_messages_are_settled,
                iter_waits_for_messages,
                iter_ends_on_a_stop,
                iter_gives_the_rest_back_on_a_stop,
                iter_gives_the_rest_back_when_dropped,
                iter_hands_out_no_lease_that_ran_out,
                iter_yields_errors,
                iterators_share_the_queue,
            ];
            handles: [
                a_reference_to_a_store_is_a_store,
                a_boxed_store_is_a_store,
                a_shared_store_is_a_store,
                a_store_of_unknown_type_is_a_store,
                everything_can_be_shared_by_threads,
                a_clone_of_a_store_is_the_same_store,
                everything_can_be_printed,
            ];
            concurrency: [
                two_consumers_never_share_a_message,
                threads_of_one_consumer_never_share_a_message,
                two_consumers_never_share_a_due_message,
                an_expired_lease_goes_to_one_consumer,
                no_delivery_happens_twice,
                the_limit_is_kept_under_load,
                a_delivery_is_settled_once,
                batches_in_any_order_settle_each_delivery_once,
                an_expired_lease_is_settled_or_taken,
                an_expired_lease_is_extended_or_taken,
                producers_do_not_get_in_each_others_way,
                what_goes_in_comes_out_under_load,
                a_queue_is_created_once,
                workers_register_at_once,
                no_message_is_lost_when_its_queue_is_deleted,
                no_message_is_purged_and_archived,
            ];
            pool_handle: [
                what_a_handler_finished_is_archived,
                what_a_handler_finished_is_deleted_if_told_so,
                a_handler_takes_a_type_of_its_own,
                a_handler_takes_the_message_itself,
                a_failure_is_retried_after_the_wait_of_the_policy,
                a_handler_may_say_when_to_retry,
                what_a_handler_gives_back_is_not_charged,
                a_handler_may_give_a_message_up,
                the_last_failure_goes_to_the_dead_letters,
                any_error_is_a_failure,
                a_panic_is_a_failure_like_any_other,
                an_undecodable_payload_is_a_failure_like_any_other,
                a_context_knows_its_delivery,
                a_context_extends_its_lease,
                a_context_learns_that_its_lease_is_lost,
            ];
            pool_batch: [
                a_batch_is_settled_by_position,
                messages_without_an_answer_are_retried,
                a_batch_with_too_many_answers_is_retried,
                a_batch_that_panics_is_retried,
                a_batch_is_never_larger_than_most,
                what_waits_comes_as_one_batch,
                a_batch_knows_its_contexts,
            ];
            pool_lease: [
                attempts_that_lapsed_use_a_message_up,
                what_a_crash_left_behind_is_worked_off,
                leases_are_renewed_while_messages_wait_and_run,
                leases_are_renewed_after_a_stop,
                a_lease_lost_to_another_consumer_changes_nothing,
                a_message_is_not_started_twice_by_one_pool,
                a_message_that_is_gone_is_not_started,
                a_renewed_lease_has_a_later_deadline,
            ];
            pool_stop: [
                a_stop_gives_back_what_was_not_started,
                a_dropped_pool_gives_back_what_was_not_started,
                a_shutdown_waits_for_what_runs,
                a_shutdown_abandons_what_does_not_end,
                a_pool_that_is_stopped_before_it_starts_does_nothing,
                a_pool_can_be_stopped_twice,
                a_handler_sees_the_stop,
                nothing_is_started_after_a_stop,
                a_shutdown_without_grace_gives_back_what_was_not_started,
                a_shared_stop_handle_is_not_stopped_by_a_pool,
                a_report_adds_up,
                pools_that_come_and_go_lose_nothing,
            ];
            pool_fetch: [
                an_idle_pool_finds_new_messages,
                an_idle_pool_finds_due_messages,
                an_idle_pool_finds_its_retries,
                an_idle_pool_finds_expired_leases,
                a_pool_holds_no_more_than_it_may,
                run_until_empty_works_on_the_callers_thread,
                run_until_empty_leaves_what_is_not_ready,
                run_until_empty_does_what_comes_meanwhile,
                a_pool_ends_when_its_queue_is_deleted,
                pools_share_a_queue,
            ];
            pool_queues: [
                a_pool_works_off_each_of_its_queues,
                queues_share_a_pool_by_their_weights,
                an_empty_queue_leaves_its_share_to_the_others,
                all_queues_of_a_pool_must_exist,
            ];
            pool_setup: [
                bad_settings_of_a_pool_are_refused,
                odd_settings_of_a_pool_are_fine,
                a_pool_takes_the_place_of_a_consumer,
                stopping_its_consumer_stops_a_pool,
                a_pool_starts_from_the_settings_of_its_store,
            ];
            pool_events: [
                events_tell_the_life_of_a_message,
                events_tell_of_what_is_done_and_given_back,
                a_panic_of_those_who_are_told_harms_nothing,
            ];
        }
    };
}

/// The same for the cases of transactional stores.
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
                a_late_commit_is_not_overlooked,
                bad_payloads_are_refused_in_a_transaction,
                an_unknown_queue_in_a_transaction_is_an_error,
            ];
            settle_in: [
                archive_in_is_done_after_the_commit,
                archive_in_is_undone_by_a_rollback,
                delete_in_is_done_after_the_commit,
                delete_in_is_undone_by_a_rollback,
                every_outcome_works_in_a_transaction,
                a_lost_lease_is_told_before_the_commit,
                a_receipt_twice_in_a_transaction_settles_once,
                archive_in_locks_the_message,
                leases_are_extended_beside_an_open_settlement,
                a_rollback_frees_the_message,
                archive_and_enqueue_happen_together,
                handles_work_in_transactions,
            ];
        }
    };
}

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
            $crate::testing::conformance::$case(&$harness);
        }
    )+)+};
}

/// Makes a `#[test]` of every case of the suite; the argument is an expression that makes a
/// fresh [`Harness`](crate::testing::Harness), for each of them anew.
///
/// See the [module](crate::testing) for an example.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance {
    ($harness:expr $(,)?) => {
        $crate::__conformance_cases! { test $harness }
    };
}

/// Makes a `#[test]` of every case for transactional stores; the argument is an expression
/// that makes a fresh [`TransactionalHarness`](crate::testing::TransactionalHarness), for
/// each of them anew.
///
/// These come on top of those of [`conformance!`](crate::testing::conformance!).
#[doc(hidden)]
#[macro_export]
macro_rules! __transactional_conformance {
    ($harness:expr $(,)?) => {
        $crate::__transactional_cases! { test $harness }
    };
}
