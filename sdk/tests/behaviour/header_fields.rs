//! What writers and readers say of a header is what stands in it.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_sdk::cmm::{MaterialsManager, RequiredContextCmm};
use strongroom_sdk::engine::SingleBlockEncryptor;
use strongroom_sdk::futures_stream::{DecryptStream, EncryptStream};
use strongroom_sdk::materials::EncryptionMaterials;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::header::HeaderFields;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::parallel::{self, ParallelDecryptor, ParallelEncryptor};
use strongroom_sdk::stream::{EncryptWriter, PendingReader};
use strongroom_sdk::tokio_stream::{AsyncDecryptReader, AsyncEncryptWriter};
use strongroom_sdk::{engine, oneshot};
use tokio::io::AsyncWriteExt;

use crate::fixtures::{self, parse, pool, wait};

const OPTIONS: EncryptOptions = EncryptOptions { frame_length: 16 };
const PLAINTEXT: &[u8] = b"more than one frame of plaintext";

/// Leaves `purpose` out of headers.
fn manager() -> RequiredContextCmm {
    RequiredContextCmm::new(Arc::new(fixtures::manager()), ["purpose"]).unwrap()
}

fn materials(suite: AlgorithmSuite) -> EncryptionMaterials {
    wait(manager().encryption_materials(&fixtures::request(suite))).unwrap()
}

fn reading(suite: AlgorithmSuite) -> DecryptOptions {
    let reproduced_context = EncryptionContext::from_pairs([("purpose", "tests")]).unwrap();
    DecryptOptions { reproduced_context, ..fixtures::reading(suite) }
}

/// A message of every writer, and what that says of its header.
fn written(suite: AlgorithmSuite) -> Vec<(&'static str, Vec<u8>, HeaderFields)> {
    let mut all = Vec::new();
    let mut message = Vec::new();
    let fields = oneshot::seal_into(PLAINTEXT, materials(suite), &OPTIONS, &mut message).unwrap();
    all.push(("bytes", message, fields));
    let mut message = Vec::new();
    let fields =
        parallel::seal_into(PLAINTEXT, materials(suite), &OPTIONS, &pool(), &mut message).unwrap();
    all.push(("parallel bytes", message, fields));

    let mut writer = EncryptWriter::new(Vec::new(), materials(suite), &OPTIONS).unwrap();
    let fields = writer.header_fields().clone();
    writer.write_all(PLAINTEXT).unwrap();
    all.push(("std::io", writer.finish().unwrap(), fields));
    let mut writer =
        ParallelEncryptor::new(Vec::new(), materials(suite), &OPTIONS, pool()).unwrap();
    let fields = writer.header_fields().clone();
    writer.write_all(PLAINTEXT).unwrap();
    all.push(("parallel", writer.finish().unwrap(), fields));
    let mut writer = AsyncEncryptWriter::new(Vec::new(), materials(suite), &OPTIONS).unwrap();
    wait(writer.write_all(PLAINTEXT)).unwrap();
    let fields = writer.header_fields().clone();
    all.push(("tokio", wait(writer.finish()).unwrap(), fields));

    let plaintext = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(PLAINTEXT))]);
    let stream = EncryptStream::new(plaintext, materials(suite), &OPTIONS).unwrap();
    let fields = stream.header_fields().clone();
    let items: Vec<Bytes> = wait(futures::TryStreamExt::try_collect(stream)).unwrap();
    all.push(("futures", items.concat(), fields));

    let encryptor = SingleBlockEncryptor::new(materials(suite)).unwrap();
    let fields = encryptor.header_fields().clone();
    let overhead = strongroom_sdk::message::frame::SINGLE_BLOCK_OVERHEAD_BYTES;
    let header = encryptor.header().to_vec();
    let mut block = vec![0; PLAINTEXT.len() + overhead];
    let footer = encryptor.seal_into(PLAINTEXT, &mut block).unwrap();
    all.push(("single block", [header, block, footer].concat(), fields));
    all
}

/// What every reader says of the header of `message`.
fn read(message: &[u8], suite: AlgorithmSuite) -> Vec<(&'static str, HeaderFields)> {
    let (manager, options) = (manager(), reading(suite));
    let pending = || {
        let pending = PendingReader::read_header(message, &options).unwrap();
        let materials = wait(manager.decryption_materials(pending.request())).unwrap();
        (pending, materials)
    };
    let mut all = Vec::new();
    all.push(("bytes", wait(oneshot::decrypt(message, &manager, &options)).unwrap().header));
    let opened = wait(parallel::decrypt(message, &manager, &options, &pool())).unwrap();
    all.push(("parallel bytes", opened.header));
    let (reader, materials) = pending();
    all.push(("std::io", reader.verify(materials).unwrap().header_fields().clone()));
    let (reader, materials) = pending();
    let buffered = reader.verify(materials).unwrap().buffered();
    all.push(("std::io, buffered", buffered.header_fields().clone()));
    let (reader, materials) = pending();
    let parallel = ParallelDecryptor::new(reader, materials, pool()).unwrap();
    all.push(("parallel", parallel.header_fields().clone()));
    let reader = wait(AsyncDecryptReader::open(message, &manager, &options)).unwrap();
    all.push(("tokio", reader.header_fields().clone()));
    let items = [Ok::<_, std::io::Error>(Bytes::copy_from_slice(message))];
    let stream = wait(DecryptStream::open(futures::stream::iter(items), &manager, &options));
    all.push(("futures", stream.unwrap().header_fields().clone()));
    let (_, materials) = pending();
    let header = parse(message).header.verify(materials).unwrap();
    all.push(("header", header.fields().clone()));
    let decryptor = engine::Decryptor::new(header);
    all.push(("engine", decryptor.header_fields().clone()));
    all
}

//= client-apis/encrypt.md#output
//= type=test
//# This behavior MUST output the following if the behavior is successful:
//= client-apis/encrypt.md#output
//= type=test
//# The client SHOULD return as an output:
//= client-apis/decrypt.md#output
//= type=test
//# The client SHOULD return as an output:
#[test]
fn every_writer_and_reader_says_what_stands_in_the_header() {
    for suite in AlgorithmSuite::ALL {
        for (writer, message, fields) in written(suite) {
            let parsed = parse(&message);
            let mut expected = parsed.header.unverified_fields().clone();
            let pair = |context: &EncryptionContext| context.get("purpose").map(str::to_owned);
            assert_eq!(pair(&expected.encryption_context), None, "not in the header");
            assert_eq!(pair(&fields.encryption_context).as_deref(), Some("tests"), "{writer}");
            // All but the pair that is authenticated and not in the header.
            expected.encryption_context = fields.encryption_context.clone();
            assert_eq!(fields, expected, "{suite} {writer}");
            for (reader, said) in read(&message, suite) {
                assert_eq!(said, fields, "{suite} {writer}: {reader}");
            }
        }
    }
}
