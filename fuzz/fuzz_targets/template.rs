//! The fuzzer's way into `targets::template`. Knows nothing but the time it may take.
#![no_main]

use std::time::Duration;

use runsheet_fuzz::{budget::within, corpus, targets};

libfuzzer_sys::fuzz_target!(init: corpus::write("template"), |bytes: &[u8]| {
    within(bytes.len(), Duration::from_secs(10), Duration::from_micros(500), || targets::template(bytes));
});
