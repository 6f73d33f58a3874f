//! Hostile input costs little memory, and long messages cost no more than short ones (promise S5).

use std::io::{Read, Write};
use std::sync::Arc;

use strongroom_sdk::Error;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::message::header::Header;
use strongroom_sdk::message::limits::{HEADER_BYTES_MAX, Limits};
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::stream::{EncryptWriter, PendingReader};

use crate::fixtures::{self, say, wait};
use crate::heap::peak_bytes_of;

/// Of the encoder, the reader and the frame between them.
const STREAM_BYTES_MAX: usize = 4 << 20;

#[test]
fn mutated_headers_are_parsed_or_refused_within_bounds() {
    let header = fixtures::encrypt(b"x", fixtures::SIGNED, 4096);
    let limits = Limits::default();
    let (mut parsed, mut peak) = (0, 0);
    let noise = fixtures::sample(400_000);
    for places in noise.chunks_exact(8) {
        let mut mutated = header.clone();
        for pair in places.chunks_exact(2) {
            // Lengths stand in the first bytes: mutate those most.
            let at = usize::from(pair[0]) * usize::from(pair[0]) % mutated.len();
            mutated[at] = pair[1];
        }
        peak = peak.max(peak_bytes_of(|| {
            parsed += usize::from(Header::parse(&mutated, &limits).is_ok());
        }));
    }
    let count = noise.len() / 8;
    say(&format!(
        "S5: {count} mutated headers, {parsed} parsed, 0 crashes, peak heap {peak} bytes"
    ));
    assert!(peak <= 4 * header.len() + 256 * 64, "{peak}");
}

#[test]
fn an_endless_header_is_refused_at_the_limit() {
    // A context of 65,535 bytes is legal; a hundred thousand wrapped keys are not.
    let mut endless = fixtures::encrypt(b"x", fixtures::UNSIGNED, 4096);
    let context = usize::from(u16::from_be_bytes([endless[35], endless[36]]));
    let count = 37 + context;
    endless.truncate(count);
    endless.extend([0, 200]);
    endless.extend([0xff; 2].repeat(1 << 20));
    let mut error = None;
    let peak = peak_bytes_of(|| {
        let options = DecryptOptions::default();
        error = PendingReader::read_header(&endless[..], &options).err();
    });
    assert!(error.is_some());
    assert!(peak < 4 * HEADER_BYTES_MAX, "{peak}");

    let limits = Limits { header_bytes_max: 1000, ..Limits::default() };
    let options = DecryptOptions { limits, ..DecryptOptions::default() };
    let long = [&endless[..count], &[0, 1, 0, 1, b'p', 0xff, 0xff], &[b'i'; 70_000]].concat();
    let error = PendingReader::read_header(&long[..], &options).err().unwrap();
    assert!(matches!(error, Error::LimitExceeded { quantity: "header bytes", .. }), "{error}");
}

/// The peak heap of reading `message` as a stream, and what came of it.
fn stream_peak(message: &[u8]) -> (usize, std::io::Result<Vec<u8>>) {
    let manager = fixtures::manager();
    let mut result = Ok(Vec::new());
    let peak = peak_bytes_of(|| {
        let pending = PendingReader::read_header(message, &DecryptOptions::default()).unwrap();
        let materials = wait(manager.decryption_materials(pending.request())).unwrap();
        let mut plaintext = Vec::new();
        let read = pending.verify(materials).unwrap().read_to_end(&mut plaintext);
        result = read.map(|_| plaintext);
    });
    (peak, result)
}

#[test]
fn a_frame_length_costs_memory_only_when_the_bytes_come() {
    let message = fixtures::encrypt(b"little", fixtures::UNSIGNED, 64 << 20);
    let (peak, result) = stream_peak(&message);
    assert_eq!(result.unwrap(), b"little");
    assert!(peak < 64 << 10, "{peak}");

    // A regular frame of 64 MiB begins, and ends after ten thousand bytes.
    let header = &message[..fixtures::parse(&message).length];
    let cut = [header, &[0, 0, 0, 1], &[0; 10_012]].concat();
    let (peak, result) = stream_peak(&cut);
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(peak < 1 << 20, "{peak}");
}

//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# This operation SHOULD input the serialized frame to the signature algorithm as soon as it is
//# deserialized, such that the serialized frame isn't required to remain in memory to complete the
//# signature verification.
//= client-apis/decrypt.md#verify-the-header
//= type=test
//# This operation SHOULD input the serialized header to the signature algorithm as soon as it is
//# deserialized, such that the serialized frame isn't required to remain in memory to verify the
//# signature.
//= client-apis/encrypt.md#construct-a-frame
//= type=test
//# If the algorithm suite contains a signature algorithm and this operation is streaming the
//# encrypted message output to the caller, this operation MUST input the serialized frame to the
//# signature algorithm as soon as it is serialized, such that the serialized frame isn't required
//# to remain in memory to construct the signature.
//= client-apis/encrypt.md#construct-the-header
//= type=test
//# If the algorithm suite contains a signature algorithm and this operation is streaming the
//# encrypted message output to the caller, this operation MUST input the serialized header to the
//# signature algorithm as soon as it is serialized, such that the serialized header isn't required
//# to remain in memory to construct the signature.
//= client-apis/encrypt.md#construct-a-frame
//= type=test
//# If this operation is streaming the encrypted message and the entire frame has been serialized,
//# the serialized frame SHOULD be released.
//= client-apis/encrypt.md#construct-the-body
//= type=test
//# Before the end of the input is indicated, this operation MUST process as much of the consumable
//# bytes as possible by constructing regular frames.
//= client-apis/decrypt.md#encrypted-message
//= type=test
//# This input MAY be streamed to this operation.
//= client-apis/decrypt.md#encrypted-message
//= type=test
//# If an implementation requires holding the entire encrypted message in memory in order to perform
//# this operation, that implementation SHOULD NOT provide an API that allows the caller to stream
//# the encrypted message.
//= client-apis/decrypt.md#plaintext
//= type=test
//# If an implementation requires holding the entire encrypted message in memory in order to perform
//# this operation, that implementation SHOULD NOT provide an API that allows the caller to stream
//# the encrypted message.
//= client-apis/decrypt.md#plaintext
//= type=test
//# This operation MAY stream the plaintext as output.
//= client-apis/encrypt.md#plaintext
//= type=test
//# This input MAY be streamed to this operation.
//= client-apis/encrypt.md#plaintext
//= type=test
//# If an implementation requires holding the input entire plaintext in memory in order to perform
//# this operation, that implementation SHOULD NOT provide an API that allows this input to be
//# streamed.
//= client-apis/encrypt.md#encrypted-message
//= type=test
//# This operation MAY stream the encrypted message.
//= client-apis/encrypt.md#encrypted-message
//= type=test
//# If an implementation requires holding the entire input plaintext in memory in order to perform
//# this operation, that implementation SHOULD NOT provide an API that allows this output to be
//# streamed.
//= client-apis/streaming.md#overview
//= type=test
//# The AWS Encryption SDK MAY provide APIs that enable streamed encryption and decryption.
//= client-apis/streaming.md#overview
//= type=test
//# If an implementation requires holding the entire input in memory in order to perform the
//# operation, that implementation SHOULD NOT provide an API that allows the caller to stream the
//# operation.
//= client-apis/streaming.md#overview
//= type=test
//# APIs that support streaming of the encrypt or decrypt operation SHOULD allow customers to be
//# able to process arbitrarily large inputs with a finite amount of working memory.
//= client-apis/encrypt.md#construct-the-signature
//= type=test
//# Note that the message header and message body MAY have already been input during previous steps.
//= client-apis/decrypt.md#verify-the-signature
//= type=test
//# Note that the message header and message body MAY have already been input during previous steps.
/// Gives the message of an [`EncryptWriter`] to a reader, without ever having all of it.
#[test]
fn streams_hold_one_frame() {
    let total = 32 << 20;
    for suite in fixtures::COMMITTING {
        let manager = Arc::new(DefaultCmm::new(fixtures::raw_keyring()));
        let options = EncryptOptions { frame_length: 64 * 1024 };
        let (piece, mut message) = (vec![7; 10_000], tempfile::tempfile().unwrap());
        let writing = peak_bytes_of(|| {
            let materials = wait(manager.encryption_materials(&fixtures::request(suite))).unwrap();
            let mut writer = EncryptWriter::new(&mut message, materials, &options).unwrap();
            for _ in 0..total / piece.len() {
                writer.write_all(&piece).unwrap();
            }
            writer.finish().unwrap();
        });
        std::io::Seek::rewind(&mut message).unwrap();
        let reading = peak_bytes_of(|| {
            let pending =
                PendingReader::read_header(&mut message, &fixtures::reading(suite)).unwrap();
            let materials = wait(manager.decryption_materials(pending.request())).unwrap();
            let mut reader = pending.verify(materials).unwrap();
            let copied = std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
            assert_eq!(copied as usize, total / piece.len() * piece.len());
        });
        say(&format!(
            "stream of {total} bytes, suite {suite}: peak heap {writing} writing, {reading} reading"
        ));
        assert!(writing < STREAM_BYTES_MAX && reading < STREAM_BYTES_MAX);
    }
}

#[test]
fn a_stream_holds_a_single_block_only_up_to_the_limit() {
    // Written by the Python SDK: 100 bytes in a single block.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let message = std::fs::read(folder.join("python-esdk/ciphertexts/0478-short-block")).unwrap();
    let manager = DefaultCmm::new(Arc::new(fixtures::testdata_keyring("aes-128")));
    for (frame_bytes_max, fits) in [(100, true), (99, false)] {
        let limits = Limits { frame_bytes_max, ..Limits::default() };
        let options = DecryptOptions { limits, ..DecryptOptions::default() };
        let outcomes = fixtures::read_everywhere(&message, &manager, &options);
        // The byte surfaces have the message in memory already.
        for outcome in
            outcomes.into_iter().filter(|outcome| !fixtures::releases_at_once(outcome.surface))
        {
            assert_eq!(outcome.error.is_none(), fits, "{}: {:?}", outcome.surface, outcome.error);
        }
    }
}
