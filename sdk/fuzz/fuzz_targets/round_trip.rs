#![no_main]

libfuzzer_sys::fuzz_target!(
    init: strongroom_sdk_fuzz::plant("round_trip"),
    |input: &[u8]| strongroom_sdk_fuzz::run("round_trip", input)
);
