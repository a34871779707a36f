#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ecs_bootstrap_fuzz::documents::nftables(bytes));
