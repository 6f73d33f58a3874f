//! The parsers of frames and single blocks.

use strongroom_sdk::Error;
use strongroom_sdk::message::frame::{FrameNumber, Kind, Prefix};

use super::choices::Choices;

/// Four bytes of the number that is due, four of the frame length, then the frame.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let due = FrameNumber::new(choices.word()).unwrap_or(FrameNumber::FIRST);
    let frame_length = choices.word().max(1);
    let bytes = choices.rest();
    if let Ok(prefix) = Prefix::parse_framed(bytes, due, frame_length) {
        assert_eq!(prefix.number, due);
        assert_ne!(prefix.kind, Kind::SingleBlock);
        assert!(prefix.content_bytes <= u64::from(frame_length));
        assert!(prefix.kind == Kind::Final || prefix.content_bytes == u64::from(frame_length));
        check(&prefix, bytes, |cut| Prefix::parse_framed(cut, due, frame_length));
    }
    if let Ok(prefix) = Prefix::parse_single_block(bytes) {
        assert_eq!(prefix.kind, Kind::SingleBlock);
        check(&prefix, bytes, Prefix::parse_single_block);
    }
}

/// The prefix needs exactly its bytes, and the frame is longer than its content.
fn check(prefix: &Prefix, bytes: &[u8], parse: impl Fn(&[u8]) -> Result<Prefix, Error>) {
    let needed = prefix.kind.prefix_bytes();
    assert!(prefix.total_bytes() > prefix.content_bytes);
    assert_eq!(parse(&bytes[..needed]).expect("the content is not read"), *prefix);
    assert!(matches!(parse(&bytes[..needed - 1]), Err(Error::Truncated { .. })));
}

/// A regular frame, a final frame and a single block.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let choices = [0, 0, 0, 3, 0, 0, 0, 16];
    let iv = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
    let regular = [&choices[..], &[0, 0, 0, 3], &iv, &[5; 32]].concat();
    let last = [&choices[..], &[0xff; 4], &[0, 0, 0, 3], &iv, &[0, 0, 0, 9], &[5; 25]].concat();
    let single = [&choices[..], &iv, &[0, 0, 0, 0, 0, 0, 0, 9], &[5; 25]].concat();
    vec![regular, last, single]
}
