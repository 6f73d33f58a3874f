#![no_main]

libfuzzer_sys::fuzz_target!(
    init: strongroom_sdk_fuzz::plant("arn"),
    |input: &[u8]| strongroom_sdk_fuzz::run("arn", input)
);
