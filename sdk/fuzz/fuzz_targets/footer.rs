#![no_main]

libfuzzer_sys::fuzz_target!(
    init: strongroom_sdk_fuzz::plant("footer"),
    |input: &[u8]| strongroom_sdk_fuzz::run("footer", input)
);
