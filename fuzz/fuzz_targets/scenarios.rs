//! The fuzzer's way into `targets::scenarios`. Knows nothing but the time it may take.
#![no_main]

use std::time::Duration;

use runsheet_fuzz::{budget::within, corpus, targets};

libfuzzer_sys::fuzz_target!(init: corpus::write("scenarios"), |bytes: &[u8]| {
    within(bytes.len(), Duration::from_millis(200), Duration::from_micros(200), || targets::scenarios(bytes));
});
