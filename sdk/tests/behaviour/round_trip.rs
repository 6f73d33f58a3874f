//! What one surface writes, every surface reads.

use std::io::{Cursor, Write};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use proptest::prelude::*;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::engine::{Encryptor, FrameOpener, SignatureStaysUnverified};
use strongroom_sdk::futures_stream::EncryptStream;
use strongroom_sdk::materials::EncryptionMaterials;
use strongroom_sdk::message::frame::{FINAL_OVERHEAD_BYTES, REGULAR_OVERHEAD_BYTES};
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::parallel::{self, ParallelEncryptor};
use strongroom_sdk::range::RangeReader;
use strongroom_sdk::stream::EncryptWriter;
use strongroom_sdk::tokio_stream::{AsyncDecryptReader, AsyncEncryptWriter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixtures::{self, wait};

#[derive(Debug, Clone, Copy)]
enum Writer {
    OneShot,
    Stream,
    Tokio,
    ParallelBytes,
    Parallel,
    Futures,
}

const WRITERS: [Writer; 6] = [
    Writer::OneShot,
    Writer::Stream,
    Writer::Tokio,
    Writer::ParallelBytes,
    Writer::Parallel,
    Writer::Futures,
];

fn write(
    writer: Writer,
    plaintext: &[u8],
    suite: AlgorithmSuite,
    frame_length: u32,
    piece: usize,
) -> Vec<u8> {
    let manager = fixtures::manager();
    let materials = wait(manager.encryption_materials(&fixtures::request(suite))).unwrap();
    write_with(writer, plaintext, materials, frame_length, piece)
}

fn write_with(
    writer: Writer,
    plaintext: &[u8],
    materials: EncryptionMaterials,
    frame_length: u32,
    piece: usize,
) -> Vec<u8> {
    let options = EncryptOptions { frame_length };
    match writer {
        Writer::OneShot => oneshot::seal(plaintext, materials, &options).unwrap(),
        Writer::Stream => {
            let mut writer = EncryptWriter::new(Vec::new(), materials, &options).unwrap();
            plaintext.chunks(piece).for_each(|bytes| writer.write_all(bytes).unwrap());
            writer.finish().unwrap()
        }
        Writer::Tokio => wait(async {
            let mut writer = AsyncEncryptWriter::new(Vec::new(), materials, &options).unwrap();
            for bytes in plaintext.chunks(piece) {
                writer.write_all(bytes).await.unwrap();
            }
            writer.finish().await.unwrap()
        }),
        Writer::ParallelBytes => {
            parallel::seal(plaintext, materials, &options, &fixtures::pool()).unwrap()
        }
        Writer::Parallel => {
            let pool = fixtures::pool();
            let mut writer = ParallelEncryptor::new(Vec::new(), materials, &options, pool).unwrap();
            plaintext.chunks(piece).for_each(|bytes| writer.write_all(bytes).unwrap());
            writer.finish().unwrap()
        }
        Writer::Futures => {
            let pieces: Vec<std::io::Result<Bytes>> =
                plaintext.chunks(piece).map(|bytes| Ok(Bytes::copy_from_slice(bytes))).collect();
            let plaintext = futures::stream::iter(pieces);
            let stream = EncryptStream::new(plaintext, materials, &options).unwrap();
            wait(stream.try_collect::<Vec<Bytes>>()).unwrap().concat()
        }
    }
}

//= data-format/message-body.md#final-frame
//= type=test
//# When the length of the Plaintext is an exact multiple of the Frame Length (including if it is
//# equal to the frame length), the Final Frame encrypted content length SHOULD be equal to the frame
//# length but MAY be 0.
#[test]
fn a_plaintext_of_whole_frames_ends_with_an_empty_final_frame_on_demand() {
    const FRAME: usize = 16 * 1024;
    let options = EncryptOptions { frame_length: FRAME as u32 };
    let run = parallel::run_frames(fixtures::pool().current_num_threads(), FRAME);
    for (suite, frames) in fixtures::COMMITTING
        .into_iter()
        .flat_map(|suite| [0, 1, 2, run, run + 1].into_iter().map(move |frames| (suite, frames)))
    {
        let plaintext = fixtures::sample(frames * FRAME);
        let materials =
            || wait(fixtures::manager().encryption_materials(&fixtures::request(suite))).unwrap();
        let mut serial = EncryptWriter::new(Vec::new(), materials(), &options).unwrap();
        serial.write_all(&plaintext).unwrap();
        let pool = fixtures::pool();
        let mut shared = ParallelEncryptor::new(Vec::new(), materials(), &options, pool).unwrap();
        shared.write_all(&plaintext).unwrap();
        let mut task = AsyncEncryptWriter::new(Vec::new(), materials(), &options).unwrap();
        wait(task.write_all(&plaintext)).unwrap();
        for message in [
            serial.finish_with_short_frame().unwrap(),
            shared.finish_with_short_frame().unwrap(),
            wait(task.finish_with_short_frame()).unwrap(),
        ] {
            let frame_bytes = FRAME + REGULAR_OVERHEAD_BYTES;
            let end = fixtures::parse(&message).length + frames * frame_bytes;
            let last = message[end..].first_chunk::<FINAL_OVERHEAD_BYTES>().unwrap();
            // The mark of a final frame, and the length of its content after its number and its IV.
            assert_eq!(
                (&last[..4], &last[20..24]),
                (&[0xff; 4][..], &[0; 4][..]),
                "{suite} {frames}"
            );
            let (manager, options) = (fixtures::manager(), fixtures::reading(suite));
            for outcome in fixtures::read_everywhere(&message, &manager, &options) {
                assert!(outcome.error.is_none(), "{} {:?}", outcome.surface, outcome.error);
                assert!(outcome.released == plaintext, "{suite} {frames} {}", outcome.surface);
            }
        }
    }
}

fn read_tokio(message: &[u8], suite: AlgorithmSuite, piece: usize) -> Vec<u8> {
    wait(async {
        // A pipe of `piece` bytes makes every read a partial one.
        let (mut near, far) = tokio::io::duplex(piece);
        let writing = async {
            near.write_all(message).await.unwrap();
            drop(near);
        };
        let reading = async {
            let manager = fixtures::manager();
            let options = fixtures::reading(suite);
            let mut reader = AsyncDecryptReader::open(far, &manager, &options).await.unwrap();
            let mut plaintext = Vec::new();
            reader.read_to_end(&mut plaintext).await.unwrap();
            plaintext
        };
        tokio::join!(writing, reading).1
    })
}

fn range_reader(message: &[u8]) -> RangeReader<&[u8]> {
    let header = fixtures::verified(message);
    let opener = FrameOpener::of_signed(header, SignatureStaysUnverified).unwrap();
    RangeReader::new(message, Arc::new(opener)).unwrap()
}

fn suites() -> impl Strategy<Value = AlgorithmSuite> {
    prop::sample::select(AlgorithmSuite::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    //= client-apis/streaming.md#inputs
    //= type=test
    //# In order to support streaming, the operation MUST accept some input within a streaming
    //# framework.
    //= client-apis/streaming.md#inputs
    //= type=test
    //# There MUST be a mechanism for input bytes to become consumable.
    //= client-apis/streaming.md#inputs
    //= type=test
    //# There MUST be a mechanism to indicate that there are no more input bytes.
    //= client-apis/streaming.md#outputs
    //= type=test
    //# In order to support streaming, the operation MUST produce some output within a streaming
    //# framework.
    //= client-apis/streaming.md#outputs
    //= type=test
    //# There MUST be a mechanism for output bytes to be released.
    //= client-apis/streaming.md#outputs
    //= type=test
    //# There MUST be a mechanism to indicate that the entire output has been released.
    //= client-apis/client.md#encrypt
    //= type=test
    //# The AWS Encryption SDK Client MUST provide an encrypt function that adheres to encrypt.
    //= client-apis/client.md#decrypt
    //= type=test
    //# The AWS Encryption SDK Client MUST provide an decrypt function that adheres to decrypt.
    //= client-apis/decrypt.md#parse-the-header
    //= type=test
    //# This operation MUST wait if it doesn't have enough consumable encrypted message bytes to
    //# deserialize the next field of the message header until enough input bytes become consumable
    //# or the caller indicates an end to the encrypted message.
    //= client-apis/decrypt.md#parse-the-header
    //= type=test
    //# Given encrypted message bytes, this operation MUST process those bytes sequentially,
    //# deserializing those bytes according to the message format.
    //= client-apis/decrypt.md#parse-the-header
    //= type=test
    //# This operation MUST attempt to deserialize all consumable encrypted message bytes until it
    //# has successfully deserialized a valid message header.
    //= client-apis/decrypt.md#decrypt-the-message-body
    //= type=test
    //# While there MAY still be message body left to deserialize and decrypt, this operation MUST
    //# either wait for more of the encrypted message bytes to become consumable, wait for the end
    //# to the encrypted message to be indicated, or to deserialize and/or decrypt the consumable
    //# bytes.
    //= client-apis/decrypt.md#verify-the-signature
    //= type=test
    //# If there are not enough consumable bytes to deserialize the message footer and the caller
    //# has not yet indicated an end to the encrypted message, this operation MUST wait for enough
    //# bytes to become consumable or for the caller to indicate an end to the encrypted message.
    //= client-apis/decrypt.md#output
    //= type=test
    //# The client MUST return as output to this operation:
    //= client-apis/encrypt.md#encrypted-message
    //= type=test
    //# This MUST be a sequence of bytes and conform to the message format specification.
    //= client-apis/encrypt.md#construct-the-signature
    //= type=test
    //# Once the entire message footer has been serialized, this operation MUST release any
    //# previously unreleased serialized bytes from previous steps and MUST release the message
    //# footer.
    //= client-apis/encrypt.md#plaintext
    //= type=test
    //# This MUST be a sequence of bytes.
    #[test]
    fn every_surface_reads_what_every_surface_writes(
        suite in suites(),
        writer in prop::sample::select(WRITERS.to_vec()),
        length in 0_usize..300,
        frame_length in 1_u32..80,
        piece in 1_usize..100,
        a in 0_u64..300,
        b in 0_u64..300,
    ) {
        let plaintext = fixtures::sample(length);
        let message = write(writer, &plaintext, suite, frame_length, piece);

        let options = fixtures::reading(suite);
        let opened = wait(oneshot::decrypt(&message, &fixtures::manager(), &options)).unwrap();
        prop_assert_eq!(&opened.plaintext, &plaintext);
        prop_assert_eq!(opened.header.suite, suite);
        prop_assert_eq!(opened.header.encryption_context.get("purpose"), Some("tests"));
        for outcome in fixtures::read_everywhere(&message, &fixtures::manager(), &options) {
            prop_assert_eq!(&outcome.released, &plaintext, "{}", outcome.surface);
            prop_assert!(outcome.error.is_none(), "{}: {:?}", outcome.surface, outcome.error);
        }
        prop_assert_eq!(&read_tokio(&message, suite, piece), &plaintext);

        let ranges = range_reader(&message);
        prop_assert_eq!(ranges.map().plaintext_length(), length as u64);
        let (a, b) = (a.min(length as u64), b.min(length as u64));
        let range = a.min(b)..a.max(b);
        let read = ranges.read(range.clone()).unwrap();
        prop_assert_eq!(&read[..], &plaintext[range.start as usize..range.end as usize]);
        prop_assert_eq!(&ranges.read(0..length as u64).unwrap()[..], &plaintext[..]);
    }
}

#[test]
fn each_provider_reads_what_the_other_writes() {
    let providers = fixtures::providers();
    let plaintext = fixtures::sample(1000);
    for suite in AlgorithmSuite::ALL {
        for (writer, reader) in providers.iter().flat_map(|w| providers.iter().map(move |r| (w, r)))
        {
            let writer = DefaultCmm::with_provider(fixtures::raw_keyring(), writer.clone());
            let reader = DefaultCmm::with_provider(fixtures::raw_keyring(), reader.clone());
            let options = EncryptOptions { frame_length: 100 };
            let request = fixtures::request(suite);
            let message = wait(oneshot::encrypt(&plaintext, &writer, &request, &options)).unwrap();
            let opened =
                wait(oneshot::decrypt(&message, &reader, &fixtures::reading(suite))).unwrap();
            assert_eq!(opened.plaintext, plaintext, "{suite}");
        }
    }
}

#[test]
fn the_map_of_a_plaintext_is_the_map_of_its_message() {
    for length in [0, 1, 99, 100, 101, 200, 1000] {
        let message = fixtures::encrypt(&fixtures::sample(length), fixtures::UNSIGNED, 100);
        let header = fixtures::parse(&message).length as u64;
        use strongroom_sdk::range::FrameMap;
        let from_plaintext = FrameMap::from_plaintext_length(header, 100, length as u64).unwrap();
        let from_message =
            FrameMap::from_message_length(header, 100, message.len() as u64).unwrap();
        assert_eq!(from_plaintext, from_message, "{length}");
        assert_eq!(from_plaintext.message_length(), message.len() as u64);
    }
}

//= client-apis/streaming.md#outputs
//= type=test
//# Operations MUST NOT indicate completion or success until an end to the output has been
//# indicated.
#[test]
fn an_unfinished_writer_leaves_a_message_that_is_refused() {
    let materials =
        wait(fixtures::manager().encryption_materials(&fixtures::request(fixtures::UNSIGNED)));
    let mut out = Cursor::new(Vec::new());
    let options = EncryptOptions { frame_length: 16 };
    let mut writer = EncryptWriter::new(&mut out, materials.unwrap(), &options).unwrap();
    writer.write_all(&[1; 48]).unwrap();
    drop(writer);
    let message = out.into_inner();
    let options = fixtures::reading(fixtures::UNSIGNED);
    let error = wait(oneshot::decrypt(&message, &fixtures::manager(), &options)).unwrap_err();
    assert!(matches!(error, strongroom_sdk::Error::Truncated { .. }), "{error}");
}

#[test]
fn a_plaintext_of_whole_frames_may_end_either_way() {
    let plaintext = fixtures::sample(3 * 16);
    for suite in AlgorithmSuite::ALL {
        let (manager, reading) = (fixtures::manager(), fixtures::reading(suite));
        for regular in [2, 3] {
            let materials = wait(manager.encryption_materials(&fixtures::request(suite)));
            let options = EncryptOptions { frame_length: 16 };
            let mut encryptor = Encryptor::new(materials.unwrap(), &options).unwrap();
            let mut message = encryptor.header().to_vec();
            let (whole, last) = plaintext.split_at(regular * 16);
            for content in whole.chunks(16) {
                let mut frame = vec![0; 16 + REGULAR_OVERHEAD_BYTES];
                encryptor.seal_frame_into(content, &mut frame).unwrap();
                message.extend_from_slice(&frame);
            }
            let mut frame = vec![0; last.len() + FINAL_OVERHEAD_BYTES];
            encryptor.seal_final_frame_into(last, &mut frame).unwrap();
            message.extend_from_slice(&frame);
            message.extend_from_slice(&encryptor.finish().unwrap());
            for outcome in fixtures::read_everywhere(&message, &manager, &reading) {
                assert!(
                    outcome.error.is_none(),
                    "{suite} {}: {:?}",
                    outcome.surface,
                    outcome.error
                );
                assert_eq!(outcome.released, plaintext, "{suite} {}", outcome.surface);
            }
        }
    }
}

//= client-apis/encrypt.md#input
//= type=test
//# If the plaintext is of unknown length, the caller MAY also input a Plaintext Length Bound.
//= client-apis/encrypt.md#plaintext-length-bound
//= type=test
//# If this input is provided, this operation MUST NOT encrypt a plaintext with length greater than
//# this value.
//= client-apis/encrypt.md#construct-the-body
//= type=test
//# If Plaintext Length Bound was specified on input and this operation determines at any time that
//# the plaintext being encrypted has a length greater than this value, this operation MUST
//# immediately fail.
#[test]
fn no_surface_writes_more_plaintext_than_its_materials_were_asked_for() {
    for (writer, extra) in WRITERS.into_iter().flat_map(|writer| [(writer, 0), (writer, 1)]) {
        let written = std::panic::catch_unwind(|| {
            let mut request = fixtures::request(fixtures::UNSIGNED);
            request.plaintext_length_max = Some(48);
            let materials = wait(fixtures::manager().encryption_materials(&request)).unwrap();
            write_with(writer, &fixtures::sample(48 + extra), materials, 16, 7)
        });
        assert_eq!(written.is_ok(), extra == 0, "{writer:?}");
    }
}
