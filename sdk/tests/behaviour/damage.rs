//! Damaged messages: every one is refused, the damaged region named, and nothing is released that was
//! not authenticated before the damage (promises S1, S2, S3).

use std::io::{BufReader, Read};
use std::ops::Range;

use strongroom_sdk::Error;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::error::{Fault, Region};
use strongroom_sdk::message::frame::{
    FINAL_OVERHEAD_BYTES, FrameNumber, Kind, REGULAR_OVERHEAD_BYTES,
};
use strongroom_sdk::message::suite::{AlgorithmSuite, MessageVersion};
use strongroom_sdk::options::DecryptOptions;
use strongroom_sdk::stream::PendingReader;

use crate::fixtures::{self, Outcome, read_everywhere, say, wait};

const FRAME: usize = 16;
/// Two regular frames and a final one that is not full.
const PLAINTEXT: usize = 2 * FRAME + 5;

/// Plaintexts whose messages differ in their frames: an empty final frame, a full one, a full one after a
/// regular one, one that is not full, and a message of several frames.
const LENGTHS: [usize; 5] = [0, FRAME, 2 * FRAME, PLAINTEXT, 5 * FRAME];

/// A message and where its regions lie.
struct Specimen {
    suite: AlgorithmSuite,
    message: Vec<u8>,
    plaintext: Vec<u8>,
    header: usize,
    /// Frames before the final one.
    regular: usize,
}

impl Specimen {
    fn new(suite: AlgorithmSuite) -> Self {
        Self::of_length(suite, PLAINTEXT)
    }

    fn of_length(suite: AlgorithmSuite, length: usize) -> Self {
        let plaintext = fixtures::sample(length);
        let message = fixtures::encrypt(&plaintext, suite, FRAME as u32);
        let header = fixtures::parse(&message).length;
        Self { suite, message, plaintext, header, regular: length.saturating_sub(1) / FRAME }
    }

    /// The bytes of frame `number` (from 1).
    fn frame(&self, number: usize) -> Range<usize> {
        let regular = FRAME + REGULAR_OVERHEAD_BYTES;
        let start = self.header + (number - 1) * regular;
        let last = self.plaintext.len() - self.regular * FRAME + FINAL_OVERHEAD_BYTES;
        start..start + if number <= self.regular { regular } else { last }
    }

    /// Where the footer begins: the end of an unsigned message.
    fn footer(&self) -> usize {
        self.frame(self.regular + 1).end
    }

    /// What may be released before damage at byte `at` is noticed.
    fn releasable(&self, at: usize) -> &[u8] {
        let whole_frames =
            (1..=self.regular).filter(|number| self.frame(*number).end <= at).count();
        &self.plaintext[..whole_frames * FRAME]
    }

    /// Whether `error` names the region of byte `at`.
    fn names_region(&self, error: &Error, at: usize) -> bool {
        let region = error.region();
        let tag = self.header - 16;
        if at >= self.footer() {
            let limit = matches!(error, Error::LimitExceeded { quantity: "signature bytes", .. });
            return limit || matches!(region, Some(Region::Signature | Region::TrailingBytes));
        }
        if let Some(number) =
            (1..=self.regular as u32 + 1).find(|n| self.frame(*n as usize).contains(&at))
        {
            return region == Some(Region::Frame(number))
                || region == Some(Region::FinalFrame(number));
        }
        if at >= tag {
            return region == Some(Region::HeaderTag);
        }
        if self.suite.version() == MessageVersion::V2 && at >= tag - 32 {
            return region == Some(Region::Commitment);
        }
        let of_header = [Region::Header, Region::EncryptedDataKeys, Region::HeaderTag];
        matches!(error, Error::ForbiddenByPolicy { .. } | Error::LimitExceeded { .. })
            || region == Some(Region::Commitment)
            || region.is_some_and(|region| of_header.contains(&region))
    }

    fn read(&self, message: &[u8]) -> Vec<Outcome> {
        let manager = DefaultCmm::new(fixtures::raw_keyring());
        read_everywhere(message, &manager, &self.options())
    }

    fn options(&self) -> DecryptOptions {
        fixtures::reading(self.suite)
    }

    /// Every surface refuses `damaged`, and releases exactly what stands before byte `at`.
    fn assert_refused(&self, damaged: &[u8], at: usize, what: &str) -> Vec<Error> {
        let refusal = |Outcome { surface, released, error }| {
            let suite = self.suite;
            let expected =
                if fixtures::releases_at_once(surface) { &[][..] } else { self.releasable(at) };
            assert_eq!(released, expected, "{suite} {surface}: {what} at {at}: {error:?}");
            error.unwrap_or_else(|| panic!("{suite} {surface}: accepted {what} at {at}"))
        };
        self.read(damaged).into_iter().map(refusal).collect()
    }
}

//= client-apis/decrypt.md#authenticated-data
//= type=test
//# This operation MUST NOT release any unauthenticated plaintext or unauthenticated associated
//# data.
//= client-apis/decrypt.md#verify-the-header
//= type=test
//# Once a valid message header is deserialized and decryption materials are available, this
//# operation MUST validate the message header body by using the authenticated encryption algorithm
//# to decrypt with the following inputs:
//= client-apis/decrypt.md#verify-the-header
//= type=test
//# If this tag verification fails, this operation MUST immediately halt and fail.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# Once at least a single frame is deserialized (or the entire body in the un-framed case), this
//# operation MUST decrypt and authenticate the frame (or body) using the authenticated encryption
//# algorithm specified by the algorithm suite, with the following inputs:
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# If this decryption fails, this operation MUST immediately halt and fail.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# This operation MUST NOT release any unauthenticated plaintext.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# If this operation is using an algorithm suite without a signature algorithm, plaintext SHOULD be
//# released as soon as the above calculation, including tag verification, succeeds.
//= client-apis/decrypt.md#behavior
//= type=test
//# If the input encrypted message is not being streamed to this operation, all output MUST NOT be
//# released until after these steps complete successfully.
//= client-apis/decrypt.md#behavior
//= type=test
//# Output MUST NOT be released until otherwise indicated.
//= client-apis/decrypt.md#verify-the-signature
//= type=test
//# If the algorithm suite has a signature algorithm, this operation MUST verify the message footer
//# using the specified signature algorithm.
//= client-apis/decrypt.md#behavior
//= type=test
//# If the message header contains an algorithm suite including a signature algorithm, this
//# operation MUST perform this step.
//= client-apis/decrypt.md#behavior
//= type=test
//# This operation MUST perform all the above steps unless otherwise specified, and it MUST perform
//# them in the above order.
#[test]
fn every_flipped_bit_is_refused_and_its_region_named() {
    let flips: usize = std::thread::scope(|scope| {
        let suites = AlgorithmSuite::ALL.map(|suite| scope.spawn(move || flip_every_bit(suite)));
        suites.into_iter().map(|flips| flips.join().unwrap()).sum()
    });
    let messages = AlgorithmSuite::ALL.len() * LENGTHS.len();
    say(&format!("S1: {flips} bits flipped in {messages} framed messages, 0 accepted"));
}

/// Flips each bit of messages of `suite`, and returns how many there are.
fn flip_every_bit(suite: AlgorithmSuite) -> usize {
    let mut flips = 0;
    for length in LENGTHS {
        let specimen = Specimen::of_length(suite, length);
        for bit in 0..specimen.message.len() * 8 {
            let at = bit / 8;
            let mut damaged = specimen.message.clone();
            damaged[at] ^= 1 << (bit % 8);
            for error in specimen.assert_refused(&damaged, at, "a flipped bit") {
                let named = specimen.names_region(&error, at);
                assert!(named, "{suite}: byte {at}, header {}: {error}", specimen.header);
            }
            flips += 1;
        }
    }
    flips
}

//= client-apis/decrypt.md#behavior
//= type=test
//# If all bytes have been provided and this operation is unable to complete the above steps with
//# the consumable encrypted message bytes, this operation MUST halt and indicate a failure to the
//# caller.
//= client-apis/decrypt.md#behavior
//= type=test
//# If this operation successfully completes the above steps but there are consumable bytes which
//# are intended to be decrypted, this operation MUST fail.
//= client-apis/decrypt.md#verify-the-signature
//= type=test
//# After deserializing the body, this operation MUST deserialize the next encrypted message bytes
//# as the message footer.
#[test]
fn every_truncation_and_extension_is_refused() {
    let (mut cuts, mut extensions) = (0, 0);
    for (suite, length) in AlgorithmSuite::ALL.into_iter().flat_map(|s| LENGTHS.map(|l| (s, l))) {
        let specimen = Specimen::of_length(suite, length);
        for end in 0..specimen.message.len() {
            for error in specimen.assert_refused(&specimen.message[..end], end, "an end") {
                assert!(matches!(error, Error::Truncated { .. }), "{suite} {end}: {error}");
            }
            cuts += 1;
        }
        for extra in [&[0][..], &[0xff; 40], &specimen.message] {
            let extended = [&specimen.message, extra].concat();
            for Outcome { surface, error, .. } in specimen.read(&extended) {
                let error = error.unwrap_or_else(|| panic!("{suite} {surface}: accepted"));
                assert_eq!(error.region(), Some(Region::TrailingBytes), "{suite} {surface}");
            }
            extensions += 1;
        }
    }
    say(&format!("S2: {cuts} truncations, {extensions} extensions, 0 accepted"));
}

//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# Once the message header is successfully parsed, the next sequential bytes MUST be deserialized
//# according to the message body spec.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# If this is framed data and the first frame sequentially, this value MUST be 1.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# Otherwise, this value MUST be 1 greater than the value of the sequence number of the previous
//# frame.
#[test]
fn frames_cannot_be_moved_repeated_dropped_or_borrowed() {
    let mut tried = 0;
    for suite in AlgorithmSuite::ALL {
        let specimen = Specimen::new(suite);
        let sibling = Specimen::new(suite);
        let frames: Vec<&[u8]> = (1..=3).map(|n| &specimen.message[specimen.frame(n)]).collect();
        let foreign: Vec<&[u8]> = (1..=3).map(|n| &sibling.message[sibling.frame(n)]).collect();
        let (one, two, last) = (frames[0], frames[1], frames[2]);
        // The first argument is how many frames stand where they did.
        let arrangements: [(usize, Vec<&[u8]>); 10] = [
            (0, vec![two, one, last]),
            (0, vec![two, last]),
            (1, vec![one, last]),
            (1, vec![one, one, two, last]),
            (2, vec![one, two, two, last]),
            (2, vec![one, two]),
            (0, vec![last]),
            (0, vec![foreign[0], two, last]),
            (1, vec![one, foreign[1], last]),
            (2, vec![one, two, foreign[2]]),
        ];
        for (intact, arrangement) in arrangements {
            let header = &specimen.message[..specimen.header];
            let footer = &specimen.message[specimen.footer()..];
            let damaged = [header, &arrangement.concat(), footer].concat();
            let at = specimen.header + intact * (FRAME + REGULAR_OVERHEAD_BYTES);
            specimen.assert_refused(&damaged, at, "a rearrangement");
            tried += 1;
        }
        // The header of a sibling over these frames.
        let damaged =
            [&sibling.message[..sibling.header], &specimen.message[specimen.header..]].concat();
        specimen.assert_refused(&damaged, specimen.header, "a sibling's header");
    }
    say(&format!("S2: {tried} rearrangements of frames, 0 accepted"));
}

#[test]
fn random_access_refuses_a_message_cut_at_a_frame() {
    use std::sync::Arc;
    use strongroom_sdk::engine::FrameOpener;
    use strongroom_sdk::range::RangeReader;
    // The cut message has the length of a whole one: two regular frames less, and a last frame that is
    // as long as a regular frame looks.
    let plaintext = fixtures::sample(4 * 64);
    let message = fixtures::encrypt(&plaintext, fixtures::UNSIGNED, 64);
    let opener = Arc::new(FrameOpener::new(fixtures::verified(&message)).unwrap());

    // The final frame does not pass for a regular one.
    let last = &message[message.len() - 64 - FINAL_OVERHEAD_BYTES..];
    let number = FrameNumber::new(4).unwrap();
    opener.open_into(number, Kind::Final, last, &mut [0; 64]).unwrap();
    let error = opener.open_into(number, Kind::Regular, last, &mut [0; 64]).unwrap_err();
    assert!(matches!(error, Error::Malformed { fault: Fault::FrameKind, .. }), "{error}");

    for end in fixtures::parse(&message).length..message.len() {
        let Ok(reader) = RangeReader::new(&message[..end], opener.clone()) else { continue };
        let length = reader.map().plaintext_length();
        assert!(reader.read(0..length).is_err(), "cut at {end}: read {length} bytes");
        // What lies before the cut is authentic and may be read.
        if length > 64 {
            assert_eq!(reader.read(3..9).unwrap(), plaintext[3..9]);
        }
    }
}

//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# Any plaintext decrypted from unframed data or a final frame MUST NOT be released until signature
//# verification successfully completes.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# If this operation is using an algorithm suite with a signature algorithm, all plaintext
//# decrypted from regular frames SHOULD be released as soon as the above calculation, including tag
//# verification, succeeds.
//= client-apis/decrypt.md#verify-the-signature
//= type=test
//# If this verification is not successful, this operation MUST immediately halt and fail.
//= client-apis/decrypt.md#verify-the-signature
//= type=test
//# Once the message footer is deserialized, this operation MUST use the signature algorithm from
//# the algorithm suite in the decryption materials to verify the encrypted message, with the
//# following inputs:
#[test]
fn the_final_frame_of_a_signed_stream_waits_for_the_signature() {
    let specimen = Specimen::new(fixtures::SIGNED);
    let mut damaged = specimen.message.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for Outcome { surface, released, error } in specimen.read(&damaged) {
        let expected = if fixtures::releases_at_once(surface) { 0 } else { 2 * FRAME };
        assert_eq!(released.len(), expected, "{surface}");
        assert_eq!(error.unwrap().region(), Some(Region::Signature), "{surface}");
    }
}

/// Found by fuzzing: reading on after an error reached for bytes that had been wiped.
#[test]
fn a_stream_that_has_failed_goes_on_failing() {
    for suite in AlgorithmSuite::ALL {
        let specimen = Specimen::new(suite);
        for frame in 1..=3 {
            let mut damaged = specimen.message.clone();
            damaged[specimen.frame(frame).end - 1] ^= 1;
            // In pieces, so that the bytes of the failing frame are not all that was read.
            let pieces = BufReader::with_capacity(7, &damaged[..]);
            let pending = PendingReader::read_header(pieces, &specimen.options()).unwrap();
            let materials = wait(fixtures::manager().decryption_materials(pending.request()));
            let mut reader = pending.verify(materials.unwrap()).unwrap();
            reader.read_to_end(&mut Vec::new()).unwrap_err();
            for _ in 0..3 {
                let error = fixtures::unpack(reader.read(&mut [0; 16]).unwrap_err());
                assert!(matches!(error, Error::OutOfOrder(_)), "{suite}: frame {frame}: {error}");
            }
        }
    }
}
