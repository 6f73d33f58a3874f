//! The header parser.

use strongroom_sdk::Error;
use strongroom_sdk::message::header::{Content, Header};
use strongroom_sdk::message::limits::Limits;

/// Parses `input` as a header; one that is accepted is within the limits, and needs all of its bytes.
pub fn run(input: &[u8]) {
    let limits = Limits::default();
    let Ok(parsed) = Header::parse(input, &limits) else { return };
    let (header, length) = (parsed.header, parsed.length);
    assert!(length <= input.len() && length <= limits.header_bytes_max);
    assert!((1..=limits.encrypted_data_keys_max).contains(&header.encrypted_data_keys().len()));
    if let Content::Framed(frame_length) = header.content() {
        assert!((1..=limits.frame_bytes_max).contains(&frame_length));
    }
    let exact =
        Header::parse(&input[..length], &limits).expect("what follows a header is not read");
    assert_eq!(exact.length, length);
    for end in [length - 1, length / 2] {
        let error = Header::parse(&input[..end], &limits).err();
        assert!(matches!(error, Some(Error::Truncated { .. })), "cut at {end}: {error:?}");
    }
    // What was read as a context can be written as one.
    let context = header.unverified_encryption_context();
    let pairs = context.serialize().expect("it came out of a field of two bytes' length");
    assert!(pairs.is_empty() || input[..length].windows(2).any(|two| two == &pairs[..2]));
}
