//! The fields of a header, its tag, and what is refused.

use std::sync::Arc;

use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::error::Fault;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::header::Header;
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{Error, oneshot};

use super::anatomy::Anatomy;
use super::{FRAME, data_key, pairs, write};
use crate::fixtures::{self, KnownDataKey, read_everywhere, wait};

//= data-format/message-header.md#structure
//= type=test
//# The message header is a sequence of bytes that MUST be in big-endian format.
//= client-apis/encrypt.md#construct-the-header
//= type=test
//# If the message format version associated with the algorithm suite is 2.0 then the message header
//# body MUST be serialized with the following specifics:
//= client-apis/encrypt.md#construct-the-header
//= type=test
//# If the message format version associated with the algorithm suite is 1.0 then the message header
//# body MUST be serialized with the following specifics:
//= client-apis/encrypt.md#construct-the-header
//= type=test
//# Before encrypting input plaintext, this operation MUST serialize the message header body.
//= client-apis/encrypt.md#construct-the-header
//= type=test
//# The encrypted message output by this operation MUST have a message header equal to the message
//# header calculated in this step.
#[test]
fn every_field_of_a_header_is_what_its_suite_demands() {
    for suite in AlgorithmSuite::ALL {
        let found = Anatomy::of(&write(suite, b"text", &[("a", "1")]));
        let first = !suite.commits();
        //= data-format/message-header.md#header-body-version-10
        //= type=test
        //# The value of the Version field MUST be 01 in the Version 1.0 header body.
        //= data-format/message-header.md#header-body-version-20
        //= type=test
        //# The value of the Version field MUST be 02 in the Version 2.0 header body.
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# Version: MUST have a value corresponding to 2.0
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# Version: MUST have a value corresponding to 1.0
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# The message format version MUST be associated with the algorithm suite.
        assert_eq!(found.version, if first { 1 } else { 2 }, "{suite}");
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# Type: MUST have a value corresponding to Customer Authenticated Encrypted Data
        assert_eq!(found.message_type, first.then_some(0x80), "{suite}");
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# Algorithm Suite ID: MUST correspond to the algorithm suite used in this behavior
        assert_eq!(found.suite, suite);
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# Encrypted Data Keys: MUST be the serialization of the encrypted data keys in the
        //# encryption materials
        assert_eq!(found.keys, [[b"known".to_vec(), b"known".to_vec(), vec![0]]]);
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# Content Type: MUST be 02
        assert_eq!(found.content_type, 2, "framed");
        //= data-format/message-header.md#reserved
        //= type=test
        //# A reserved sequence of 4 bytes that MUST have the value (hex) of 00 00 00 00.
        assert_eq!(found.reserved, first.then(|| vec![0; 4]), "{suite}");
        //= data-format/message-header.md#iv-length
        //= type=test
        //# This value MUST be equal to the IV length value of the algorithm suite specified by the
        //# Algorithm Suite ID field.
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# IV Length: MUST match the IV length specified by the algorithm suite
        assert_eq!(found.iv_length, first.then_some(12), "{suite}");
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# Frame Length: MUST be the value of the frame size determined above.
        assert_eq!(found.frame_length, FRAME);
        if suite.signature().is_none() {
            //= framework/structures.md#serialization
            //= type=test
            //# If the encryption context is not empty, its serialization MUST take the following
            //# form:
            let serialized = pairs(&[("a", "1")]);
            assert_eq!(found.aad, [&[0, serialized.len() as u8], &serialized[..]].concat());
        }
        let secret = SecretBytes::copy_of(&data_key(suite));
        let commitment = suite.commits().then(|| {
            let (hash, id) = (suite.kdf().unwrap(), &found.message_id);
            default_provider().hkdf(hash, id, &secret, &[b"COMMITKEY"], 32).unwrap()
        });
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# Algorithm Suite Data: MUST be the value of the commit key derived according to the
        //# algorithm suites commit key derivation settings.
        //= data-format/message-header.md#algorithm-suite-data
        //= type=test
        //# The length of the suite data field MUST be equal to the Algorithm Suite Data Length
        //# value of the algorithm suite specified by the Algorithm Suite ID field.
        assert_eq!(found.commitment, commitment.map_or(vec![], |key| key.expose().to_vec()));
    }
}

//= client-apis/encrypt.md#construct-the-header
//= type=test
//# After serializing the message header body, this operation MUST calculate an authentication tag
//# over the message header body.
//= client-apis/encrypt.md#construct-the-header
//= type=test
//# The value of this MUST be the output of the authenticated encryption algorithm specified by the
//# algorithm suite, with the following inputs:
#[test]
fn the_header_tag_is_over_the_header_body_with_an_iv_of_zeros() {
    for suite in AlgorithmSuite::ALL {
        let found = Anatomy::of(&write(suite, b"text", &[("a", "1")]));
        let cipher = found.cipher(&data_key(suite));
        let tag = cipher.seal_in_place(&[0; 12], &found.header_body, &mut []).unwrap();
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# With the authentication tag calculated, if the message format version associated with
        //# the algorithm suite is 2.0, this operation MUST serialize the message header
        //# authentication with the following specifics:
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# Authentication Tag: MUST have the value of the authentication tag calculated above.
        assert_eq!(found.header_tag, tag, "{suite}");
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# If the message format version associated with the algorithm suite is 1.0 this operation
        //# MUST serialize the message header authentication with the following specifics:
        //= client-apis/encrypt.md#construct-the-header
        //= type=test
        //# IV: MUST have the value of the IV used in the calculation above, padded to the IV length
        //# with 0.
        assert_eq!(found.header_iv, (!suite.commits()).then(|| vec![0; 12]), "{suite}");
    }
}

//= data-format/message-header.md#key-value-pairs-length
//= type=test
//# When the encryption context is empty, the value of this field MUST be 0.
//= data-format/message-header.md#key-value-pairs
//= type=test
//# When the encryption context is empty, this field MUST NOT be included in the AAD.
//= framework/structures.md#serialization
//= type=test
//# If the encryption context is empty, its serialization MUST be an empty byte sequence.
#[test]
fn an_empty_context_is_a_length_of_zero_and_nothing_more() {
    let found = Anatomy::of(&write(fixtures::UNSIGNED, b"text", &[]));
    assert_eq!(found.aad, [0, 0]);
}

//= data-format/message-header.md#message-id
//= type=test
//# A Message ID MUST uniquely identify the message.
//= data-format/message-header.md#message-id
//= type=test
//# While implementations cannot guarantee complete uniqueness, implementations MUST use a good
//# source of randomness when generating messages IDs in order to make the chance of duplicate IDs
//# negligible.
//= client-apis/encrypt.md#construct-the-header
//= type=test
//# Message ID: The process used to generate this identifier MUST use a good source of randomness to
//# make the chance of duplicate identifiers negligible.
#[test]
fn message_ids_do_not_repeat() {
    let ids = (0..1000).map(|_| Anatomy::of(&write(fixtures::UNSIGNED, b"", &[])).message_id);
    assert_eq!(ids.collect::<std::collections::HashSet<_>>().len(), 1000);
}

/// What each field of a header may not be, and how it is refused.
#[test]
fn fields_that_are_not_in_the_format_are_refused() {
    let suite = AlgorithmSuite::Aes256Gcm;
    let first = write(suite, b"text", &[]);
    let second = write(fixtures::UNSIGNED, b"text", &[]);
    // Version 1, without context and with one wrapped key of 17 bytes.
    let (count, content_type, reserved) = (22, 41, 42);
    let changed = |message: &[u8], at: usize, bytes: &[u8]| {
        let mut changed = message.to_vec();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        Header::parse(&changed, &Limits::default()).err().expect("it is refused")
    };
    let faults = [
        //= data-format/message-header.md#version-1
        //= type=test
        //# The version (hex) of this field MUST be a value that exists in the following table:
        (changed(&first, 0, &[3]), Fault::Version(3)),
        //= data-format/message-header.md#type
        //= type=test
        //# The type (hex) of this field MUST be a value that exists in the following table:
        (changed(&first, 1, &[0x81]), Fault::MessageType(0x81)),
        //= data-format/message-header.md#algorithm-suite-id
        //= type=test
        //# The value (hex) of this field MUST be a value that exists in the Supported Algorithm
        //# Suites table.
        //= data-format/message-header.md#algorithm-suite-id
        //= type=test
        //# This algorithm suite MUST be supported for the ESDK.
        //= client-apis/decrypt.md#algorithm-suite
        //= type=test
        //# This algorithm suite MUST be supported for the ESDK.
        (changed(&first, 2, &[0, 0x79]), Fault::UnknownSuite(0x79)),
        (
            changed(&first, 2, &[4, 0x78]),
            Fault::SuiteOfOtherVersion { suite: fixtures::UNSIGNED, version: 1 },
        ),
        (changed(&second, 1, &[0, 0x78]), Fault::SuiteOfOtherVersion { suite, version: 2 }),
        //= data-format/message-header.md#encrypted-data-key-count
        //= type=test
        //# This value MUST be greater than 0.
        (changed(&first, count, &[0, 0]), Fault::NoEncryptedDataKeys),
        //= data-format/message-header.md#content-type
        //= type=test
        //# The value (hex) of this field MUST be a value that exists in the following table:
        (changed(&first, content_type, &[3]), Fault::ContentType(3)),
        //= data-format/message-header.md#frame-length
        //= type=test
        //# When the content type is non-framed, the value of this field MUST be 0.
        (changed(&first, content_type, &[1]), Fault::FrameLength(FRAME as u32)),
        (changed(&first, reserved, &[0, 0, 0, 1]), Fault::Reserved),
        (changed(&first, reserved + 4, &[13]), Fault::IvLength(13)),
    ];
    for (error, expected) in faults {
        assert!(matches!(&error, Error::Malformed { fault, .. } if *fault == expected), "{error}");
    }
}

#[test]
fn pairs_that_are_required_are_authenticated_and_not_in_the_header() {
    let suite = fixtures::UNSIGNED;
    let manager = DefaultCmm::new(Arc::new(KnownDataKey(data_key(suite))));
    let mut request = fixtures::request(suite);
    request.encryption_context =
        EncryptionContext::from_pairs([("kept", "1"), ("required", "2")]).unwrap();
    let mut materials = wait(manager.encryption_materials(&request)).unwrap();
    materials.require_context_keys(["required".to_owned()].into()).unwrap();
    let message = oneshot::seal(b"text", materials, &EncryptOptions::default()).unwrap();

    let found = Anatomy::of(&message);
    //= client-apis/encrypt.md#construct-the-header
    //= type=test
    //# AAD: MUST be the serialization of the encryption context in the encryption materials, and
    //# this serialization MUST NOT contain any key value pairs listed in the encryption material's
    //# required encryption context keys.
    assert_eq!(found.aad[2..], pairs(&[("kept", "1")]));
    let aad = [&found.header_body[..], &pairs(&[("required", "2")])].concat();
    let cipher = found.cipher(&data_key(suite));
    //= client-apis/encrypt.md#construct-the-header
    //= type=test
    //# The encryption context to only authenticate MUST be the encryption context in the encryption
    //# materials filtered to only contain key value pairs listed in the encryption material's
    //# required encryption context keys serialized according to the encryption context
    //# serialization specification.
    //= client-apis/encrypt.md#construct-the-header
    //= type=test
    //# The AAD MUST be the concatenation of the serialized message header body and the
    //# serialization of encryption context to only authenticate.
    assert_eq!(found.header_tag, cipher.seal_in_place(&[0; 12], &aad, &mut []).unwrap());

    //= client-apis/decrypt.md#verify-the-header
    //= type=test
    //# The encryption context to only authenticate MUST be the encryption context in the decryption
    //# materials filtered to only contain key value pairs listed in the decryption material's
    //# required encryption context keys serialized according to the encryption context
    //# serialization specification.
    //= client-apis/decrypt.md#verify-the-header
    //= type=test
    //# The AAD MUST be the concatenation of the serialized message header body and the
    //# serialization of encryption context to only authenticate.
    //= client-apis/decrypt.md#input
    //= type=test
    //# The following inputs to this behavior MUST be OPTIONAL:
    for (reproduced, opens) in [(Some("2"), true), (Some("3"), false), (None, false)] {
        let pairs = reproduced.map(|value| ("required", value));
        let reproduced_context = EncryptionContext::from_pairs(pairs).unwrap();
        let options = DecryptOptions { reproduced_context, ..DecryptOptions::default() };
        for outcome in read_everywhere(&message, &manager, &options) {
            assert_eq!(outcome.error.is_none(), opens, "{} {reproduced:?}", outcome.surface);
        }
    }
}
