#![no_main]

libfuzzer_sys::fuzz_target!(
    init: strongroom_sdk_fuzz::plant("keys"),
    |input: &[u8]| strongroom_sdk_fuzz::run("keys", input)
);
