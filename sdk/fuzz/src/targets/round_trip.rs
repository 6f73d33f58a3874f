//! Writing messages and reading them back, with real cryptography.

use std::io::{Read, Write};

use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::stream::{EncryptWriter, PendingReader};
use strongroom_sdk::{EncryptionContext, oneshot};

use super::choices::Choices;
use super::messages::{self, now, reading, request};

/// Bytes: suite, frame length (2), size of pieces, pairs of the context (count, then each with the lengths of
/// key and value), then the plaintext.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let suite = choices.one_of(&AlgorithmSuite::ALL);
    let options = EncryptOptions { frame_length: u32::from(choices.short()).max(1) };
    let piece = usize::from(choices.byte()).max(1);
    let context = context(&mut choices);
    let plaintext = choices.rest();
    let manager = messages::manager(default_provider());
    let materials = || {
        now(manager.encryption_materials(&request(suite, context.clone()))).expect("a known key")
    };

    let sealed =
        oneshot::seal(plaintext, materials(), &options).expect("nothing stands in the way");
    let mut writer = EncryptWriter::new(Vec::new(), materials(), &options).expect("as before");
    plaintext.chunks(piece).for_each(|bytes| writer.write_all(bytes).expect("memory"));
    let written = writer.finish().expect("memory");
    assert!(sealed.len().abs_diff(written.len()) <= 8, "only signatures differ in length");

    for message in [sealed, written] {
        let opened = now(oneshot::decrypt(&message, &manager, &reading())).expect("our own");
        assert_eq!(opened.plaintext, plaintext);
        assert!(
            context
                .iter()
                .all(|(key, value)| opened.header.encryption_context.get(key) == Some(value))
        );
        let pending = PendingReader::read_header(&message[..], &reading()).expect("our own");
        let materials = now(manager.decryption_materials(pending.request())).expect("a known key");
        let mut read = Vec::new();
        pending.verify(materials).expect("our own").read_to_end(&mut read).expect("our own");
        assert_eq!(read, plaintext);
    }
}

/// A context of at most seven pairs; pairs that are refused are left out.
fn context(choices: &mut Choices<'_>) -> EncryptionContext {
    let mut context = EncryptionContext::new();
    for _ in 0..choices.byte() % 8 {
        let lengths = (usize::from(choices.byte()), usize::from(choices.byte()));
        let key = String::from_utf8_lossy(choices.piece(lengths.0)).into_owned();
        let value = String::from_utf8_lossy(choices.piece(lengths.1)).into_owned();
        // Reserved and repeated keys are refused.
        let _ = context.insert(key, value);
    }
    context
}

/// Each suite with frames of one byte and of many.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let of_suite = |suite: u8| {
        let few = [&[suite, 0, 1, 3, 1, 1, 2, b'k', b'v', b'v'], &[0x61; 5][..]].concat();
        let many = [&[suite, 1, 0, 100, 0], &[0x62; 700][..]].concat();
        [few, many, vec![suite]]
    };
    (0..AlgorithmSuite::ALL.len() as u8).flat_map(of_suite).collect()
}
