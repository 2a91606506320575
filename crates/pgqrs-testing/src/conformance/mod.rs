//! The cases: each a function that returns if the store keeps the promise in its name, and
//! panics if not.

mod apart;
mod batch;
mod beside;
mod concurrency;
mod counts;
mod delay;
mod dequeue;
mod enqueue;
mod enqueue_in;
mod fence;
mod handles;
mod input;
mod iter;
mod lease;
mod once;
mod once_in;
mod payload;
mod pool_batch;
mod pool_events;
mod pool_fetch;
mod pool_handle;
mod pool_lease;
mod pool_queues;
mod pool_scene;
mod pool_setup;
mod pool_stop;
mod queues;
mod scene;
mod settle;
mod settle_in;
mod spans;
mod turnover;
mod wait;

crate::__conformance_cases! { reexport }
crate::__transactional_cases! { reexport }
crate::__concurrent_transactional_cases! { reexport }
