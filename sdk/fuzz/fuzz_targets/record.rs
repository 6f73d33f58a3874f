#![no_main]

libfuzzer_sys::fuzz_target!(
    init: strongroom_sdk_fuzz::plant("record"),
    |input: &[u8]| strongroom_sdk_fuzz::run("record", input)
);
