#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgqrs_fuzz::stored(data));
