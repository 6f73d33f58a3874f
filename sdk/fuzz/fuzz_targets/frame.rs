#![no_main]

libfuzzer_sys::fuzz_target!(
    init: strongroom_sdk_fuzz::plant("frame"),
    |input: &[u8]| strongroom_sdk_fuzz::run("frame", input)
);
