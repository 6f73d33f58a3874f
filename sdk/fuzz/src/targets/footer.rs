//! The parser of the footer.

use strongroom_sdk::Error;
use strongroom_sdk::message::footer::Footer;
use strongroom_sdk::message::limits::SIGNATURE_BYTES_MAX;

/// Parses `input` as a footer; one that is accepted is within the limit, and needs all of its bytes.
pub fn run(input: &[u8]) {
    let Ok(footer) = Footer::parse(input) else { return };
    assert_eq!(footer.length, footer.signature.len() + 2);
    assert!(footer.signature.len() <= SIGNATURE_BYTES_MAX);
    assert_eq!(Footer::parse(&input[..footer.length]).expect("what follows is not read"), footer);
    let cut = Footer::parse(&input[..footer.length - 1]);
    assert!(matches!(cut, Err(Error::Truncated { .. })));
}

/// No signature, a short one, one of the usual length.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    [0_u8, 3, 103]
        .map(|length| [&[0, length][..], &vec![0x30; usize::from(length)]].concat())
        .into()
}
