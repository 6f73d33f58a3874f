//! Every field of a message, held against the specification by a reader that shares no code with the SDK but the
//! ciphers.

use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::crypto::{AeadKey, default_provider};
use strongroom_sdk::error::Fault;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::header::Header;
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::stream::EncryptWriter;
use strongroom_sdk::{Error, oneshot};

use crate::fixtures::{self, KnownDataKey, read_everywhere, wait};

const FRAME: usize = 16;
const PUBLIC_KEY: &str = "aws-crypto-public-key";

/// A message in its parts, cut at the places that the specification names.
struct Anatomy {
    suite: AlgorithmSuite,
    version: u8,
    message_type: Option<u8>,
    message_id: Vec<u8>,
    /// The encryption context with its length before it.
    aad: Vec<u8>,
    keys: Vec<[Vec<u8>; 3]>,
    content_type: u8,
    reserved: Option<Vec<u8>>,
    iv_length: Option<u8>,
    frame_length: usize,
    commitment: Vec<u8>,
    /// Everything before the header's IV and tag.
    header_body: Vec<u8>,
    header_iv: Option<Vec<u8>>,
    header_tag: Vec<u8>,
    frames: Vec<Frame>,
    header_and_body: Vec<u8>,
    footer: Vec<u8>,
}

/// A frame in its parts.
struct Frame {
    last: bool,
    number: u32,
    iv: Vec<u8>,
    content: Vec<u8>,
    tag: Vec<u8>,
}

/// Takes fields from the front of a message.
struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// A big-endian number of `length` bytes.
    fn number(&mut self, length: usize) -> usize {
        self.bytes(length).iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn field(&mut self) -> Vec<u8> {
        let length = self.number(2);
        self.bytes(length).to_vec()
    }
}

impl Anatomy {
    fn of(message: &[u8]) -> Self {
        let mut cut = Cut(message);
        let version = cut.number(1) as u8;
        let first = version == 1;
        let message_type = first.then(|| cut.number(1) as u8);
        let suite = AlgorithmSuite::from_id(cut.number(2) as u16).unwrap();
        let message_id = cut.bytes(if first { 16 } else { 32 }).to_vec();
        let pairs = cut.field();
        let aad = [&(pairs.len() as u16).to_be_bytes()[..], &pairs].concat();
        let keys = (0..cut.number(2)).map(|_| [cut.field(), cut.field(), cut.field()]).collect();
        let content_type = cut.number(1) as u8;
        let reserved = first.then(|| cut.bytes(4).to_vec());
        let iv_length = first.then(|| cut.number(1) as u8);
        let frame_length = cut.number(4);
        let commitment = cut.bytes(if first { 0 } else { 32 }).to_vec();
        let header_body = message[..message.len() - cut.0.len()].to_vec();
        let header_iv = first.then(|| cut.bytes(12).to_vec());
        let header_tag = cut.bytes(16).to_vec();
        let mut frames: Vec<Frame> = Vec::new();
        while frames.last().is_none_or(|frame| !frame.last) {
            frames.push(Frame::next(&mut cut, frame_length));
        }
        let header_and_body = message[..message.len() - cut.0.len()].to_vec();
        let footer = cut.0.to_vec();
        Self {
            suite,
            version,
            message_type,
            message_id,
            aad,
            keys,
            content_type,
            reserved,
            iv_length,
            frame_length,
            commitment,
            header_body,
            header_iv,
            header_tag,
            frames,
            header_and_body,
            footer,
        }
    }

    /// The cipher of header and body, derived from `data_key` as the suite says.
    fn cipher(&self, data_key: &[u8]) -> Box<dyn AeadKey> {
        let (provider, secret) = (default_provider(), SecretBytes::copy_of(data_key));
        let id = self.suite.id().to_be_bytes();
        let bytes = data_key.len();
        let derived = match (self.suite.kdf(), self.version) {
            (None, _) => secret,
            (Some(hash), 1) => {
                let salt = vec![0; hash.digest_bytes()];
                provider.hkdf(hash, &salt, &secret, &[&id, &self.message_id], bytes).unwrap()
            }
            (Some(hash), _) => {
                provider.hkdf(hash, &self.message_id, &secret, &[&id, b"DERIVEKEY"], bytes).unwrap()
            }
        };
        provider.aead_key(self.suite.aead(), &derived).unwrap()
    }

    /// The authenticated data of `frame`.
    fn body_aad(&self, frame: &Frame) -> Vec<u8> {
        let label = if frame.last { "Final Frame" } else { "Frame" };
        let label = format!("AWSKMSEncryptionClient {label}");
        let place = [&frame.number.to_be_bytes()[..], &(frame.content.len() as u64).to_be_bytes()];
        [&self.message_id, label.as_bytes(), &place.concat()].concat()
    }
}

impl Frame {
    fn next(cut: &mut Cut<'_>, frame_length: usize) -> Self {
        let mark_or_number = cut.number(4) as u32;
        let last = mark_or_number == u32::MAX;
        let number = if last { cut.number(4) as u32 } else { mark_or_number };
        let iv = cut.bytes(12).to_vec();
        let length = if last { cut.number(4) } else { frame_length };
        let (content, tag) = (cut.bytes(length).to_vec(), cut.bytes(16).to_vec());
        Self { last, number, iv, content, tag }
    }
}

fn data_key(suite: AlgorithmSuite) -> Vec<u8> {
    vec![0x42; suite.data_key_bytes()]
}

/// A message under a known data key.
fn write(suite: AlgorithmSuite, plaintext: &[u8], context: &[(&str, &str)]) -> Vec<u8> {
    let manager = DefaultCmm::new(Arc::new(KnownDataKey(data_key(suite))));
    let mut request = fixtures::request(suite);
    request.encryption_context = EncryptionContext::from_pairs(context.iter().copied()).unwrap();
    let options = EncryptOptions { frame_length: FRAME as u32 };
    wait(oneshot::encrypt(plaintext, &manager, &request, &options)).unwrap()
}

fn open(message: &[u8], suite: AlgorithmSuite) -> Result<Vec<u8>, Error> {
    let manager = DefaultCmm::new(Arc::new(KnownDataKey(data_key(suite))));
    let opened = wait(oneshot::decrypt(message, &manager, &fixtures::reading(suite)));
    opened.map(|opened| opened.plaintext)
}

/// The serialised pairs of a context, as the specification of structures has it.
fn pairs(context: &[(&str, &str)]) -> Vec<u8> {
    let mut out = (context.len() as u16).to_be_bytes().to_vec();
    for text in context.iter().flat_map(|(key, value)| [key, value]) {
        out.extend((text.len() as u16).to_be_bytes());
        out.extend(text.as_bytes());
    }
    out
}

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

//= client-apis/encrypt.md#construct-a-frame
//= type=test
//# This operation MUST serialize a regular frame or final frame with the following specifics:
//= client-apis/encrypt.md#construct-the-body
//= type=test
//# The encrypted message output by this operation MUST have a message body equal to the message
//# body calculated in this step.
//= client-apis/encrypt.md#construct-the-body
//= type=test
//# When the end of the input is indicated, this operation MUST perform the following until all
//# consumable plaintext bytes are processed:
#[test]
fn frames_are_numbered_from_one_and_bound_to_their_place() {
    for suite in AlgorithmSuite::ALL {
        for length in [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 3 * FRAME + 5] {
            let plaintext = fixtures::sample(length);
            let found = Anatomy::of(&write(suite, &plaintext, &[]));
            let cipher = found.cipher(&data_key(suite));
            //= client-apis/encrypt.md#get-the-encryption-materials
            //= type=test
            //# The algorithm used to derive a data key from the plaintext data key MUST be the key
            //# derivation algorithm included in the algorithm suite defined above.
            let mut opened = Vec::new();
            for (at, frame) in found.frames.iter().enumerate() {
                //= data-format/message-body.md#sequence-number
                //= type=test
                //# Framed Data MUST start at Sequence Number 1.
                //= data-format/message-body.md#sequence-number
                //= type=test
                //# Subsequent frames MUST be in order and MUST contain an increment of 1 from the
                //# previous frame.
                //= data-format/message-body.md#sequence-number-1
                //= type=test
                //# The Final Frame Sequence number MUST be equal to the total number of frames in
                //# the Framed Data.
                //= client-apis/encrypt.md#construct-a-frame
                //= type=test
                //# If this is the first frame sequentially, this value MUST be 1.
                //= client-apis/encrypt.md#construct-a-frame
                //= type=test
                //# Otherwise, this value MUST be 1 greater than the value of the sequence number of
                //# the previous frame.
                //= client-apis/encrypt.md#construct-a-frame
                //= type=test
                //# Sequence Number: MUST be the sequence number of this frame, as determined above.
                assert_eq!(frame.number as usize, at + 1, "{suite} {length}");
                //= client-apis/encrypt.md#construct-a-frame
                //= type=test
                //# IV: MUST be the IV used when calculating the encrypted content above
                //= data-format/message-body.md#iv-1
                //= type=test
                //# Each frame in the Framed Data MUST include an IV that is unique within the
                //# message.
                //= data-format/message-body.md#iv-1
                //= type=test
                //# The IV length MUST be equal to the IV length of the algorithm suite specified by
                //# the Algorithm Suite ID field.
                //= data-format/message-body.md#iv-2
                //= type=test
                //# The IV MUST be a unique IV within the message.
                //= data-format/message-body.md#iv-2
                //= type=test
                //# The IV length MUST be equal to the IV length of the algorithm suite that
                //# generated the message.
                assert_eq!(frame.iv, [&[0; 8][..], &frame.number.to_be_bytes()].concat());
                let mut content = frame.content.clone();
                let (iv, tag) =
                    (frame.iv[..].try_into().unwrap(), frame.tag[..].try_into().unwrap());
                //= data-format/message-body-aad.md#body-aad-content
                //= type=test
                //# The regular frames in framed data MUST use the value AWSKMSEncryptionClient
                //# Frame.
                //= data-format/message-body-aad.md#body-aad-content
                //= type=test
                //# The final frame in framed data MUST use the value AWSKMSEncryptionClient Final
                //# Frame.
                //= data-format/message-body-aad.md#sequence-number
                //= type=test
                //# For framed data, the value of this field MUST be the frame sequence number.
                //= data-format/message-body-aad.md#content-length
                //= type=test
                //# For framed data, this value MUST equal the length, in bytes, of the plaintext
                //# being encrypted in this frame.
                //= data-format/message-body-aad.md#content-length
                //= type=test
                //# For regular frames, this value MUST equal the value of the frame length field in
                //# the message header.
                //= data-format/message-body-aad.md#content-length
                //= type=test
                //# For the final frame, this value MUST be greater than or equal to 0 and less than
                //# or equal to the value of the frame length field in the message header.
                //= client-apis/encrypt.md#construct-a-frame
                //= type=test
                //# To construct a regular or final frame that represents the next frame in the
                //# encrypted message's body, this operation MUST calculate the encrypted content
                //# and an authentication tag using the authenticated encryption algorithm specified
                //# by the algorithm suite, with the following inputs:
                //= client-apis/encrypt.md#construct-a-frame
                //= type=test
                //# The content length MUST have a value equal to the length of the plaintext being
                //# encrypted.
                //= client-apis/encrypt.md#construct-a-frame
                //= type=test
                //# Encrypted Content: MUST be the encrypted content calculated above.
                //= client-apis/encrypt.md#construct-a-frame
                //= type=test
                //# Authentication Tag: MUST be the authentication tag output when calculating the
                //# encrypted content above.
                //= data-format/message-body.md#authentication-tag-1
                //= type=test
                //# The authentication tag length MUST be equal to the authentication tag length of
                //# the algorithm suite specified by the Algorithm Suite ID field.
                //= data-format/message-body.md#authentication-tag-2
                //= type=test
                //# The authentication tag length MUST be equal to the authentication tag length of
                //# the algorithm suite specified by the Algorithm Suite ID field.
                cipher.open_in_place(&iv, &found.body_aad(frame), &mut content, &tag).unwrap();
                opened.extend(content);
            }
            assert_eq!(opened, plaintext, "{suite}");
            let (last, regular) = found.frames.split_last().unwrap();
            //= data-format/message-body.md#final-frame
            //= type=test
            //# Framed data MUST contain exactly one final frame.
            //= data-format/message-body.md#final-frame
            //= type=test
            //# The final frame MUST be the last frame.
            //= data-format/message-body.md#sequence-number-end
            //= type=test
            //# The value MUST be encoded as the 4 bytes FF FF FF FF in hexadecimal notation.
            assert!(
                last.last && regular.iter().all(|frame| !frame.last),
                "one final frame, the last"
            );
            //= data-format/message-body.md#encrypted-content-1
            //= type=test
            //# The length of the encrypted content of a Regular Frame MUST be equal to the Frame
            //# Length.
            //= client-apis/encrypt.md#construct-a-frame
            //= type=test
            //# For a regular frame the length of this plaintext MUST equal the frame length.
            //= client-apis/encrypt.md#construct-a-frame
            //= type=test
            //# For a regular frame the length of this plaintext subsequence MUST equal the frame
            //# length.
            //= client-apis/encrypt.md#construct-the-body
            //= type=test
            //# If there are enough input plaintext bytes consumable to create a new regular frame,
            //# such that creating a regular frame does not processes all consumable bytes, then
            //# this operation MUST construct a regular frame using the consumable plaintext bytes.
            assert!(regular.iter().all(|frame| frame.content.len() == FRAME));
            // A plaintext of whole frames ends with a full one.
            let rest = if length > 0 && length % FRAME == 0 { FRAME } else { length % FRAME };
            //= data-format/message-body.md#final-frame
            //= type=test
            //# The length of the plaintext to be encrypted in the Final Frame MUST be greater than
            //# or equal to 0 and less than or equal to the Frame Length.
            //= data-format/message-body.md#final-frame
            //= type=test
            //# When the length of the Plaintext is an exact multiple of the Frame Length (including
            //# if it is equal to the frame length), the Final Frame encrypted content length SHOULD
            //# be equal to the frame length but MAY be 0.
            //= data-format/message-body.md#final-frame
            //= type=test
            //# When the length of the Plaintext is less than the Frame Length, the body MUST
            //# contain exactly one frame and that frame MUST be a Final Frame.
            //= client-apis/encrypt.md#construct-a-frame
            //= type=test
            //# For a final frame this MUST be the length of the remaining plaintext bytes which
            //# have not yet been encrypted, whose length MUST be equal to or less than the frame
            //# length.
            //= client-apis/encrypt.md#construct-a-frame
            //= type=test
            //# For a final frame this MUST be the remaining plaintext bytes which have not yet been
            //# encrypted, whose length MUST be equal to or less than the frame length.
            //= client-apis/encrypt.md#construct-the-body
            //= type=test
            //# If there are exactly enough consumable plaintext bytes to create one regular frame,
            //# such that creating a regular frame processes all consumable bytes, then this
            //# operation MUST construct either a final frame or regular frame with the remaining
            //# plaintext.
            //= client-apis/encrypt.md#construct-the-body
            //= type=test
            //# If there are not enough input consumable plaintext bytes to create a new regular
            //# frame, then this operation MUST construct a final frame
            //= client-apis/encrypt.md#construct-the-body
            //= type=test
            //# If an end to the input has been indicated, there are no more consumable plaintext
            //# bytes to process, and a final frame has not yet been constructed, this operation
            //# MUST construct an empty final frame.
            assert_eq!(last.content.len(), rest, "{suite} {length}");
        }
    }
}

//= data-format/message-footer.md#overview
//= type=test
//# When an algorithm suite includes a signature algorithm, the message MUST contain a footer.
//= data-format/message.md#structure
//= type=test
//# If the message header contains an algorithm suite in the algorithm suite ID field that contains
//# a signature algorithm, the message MUST also contain a message footer, serialized after the
//# message body.
//= client-apis/encrypt.md#behavior
//= type=test
//# If the encryption materials gathered has a algorithm suite including a signature algorithm, the
//# encrypt operation MUST perform this step.
//= client-apis/encrypt.md#construct-the-signature
//= type=test
//# If the algorithm suite contains a signature algorithm, this operation MUST calculate a signature
//# over the message, and the output encrypted message MUST contain a message footer.
//= client-apis/encrypt.md#construct-the-signature
//= type=test
//# This operation MUST then serialize a message footer with the following specifics:
//= client-apis/encrypt.md#construct-the-signature
//= type=test
//# The encrypted message output by this operation MUST have a message footer equal to the message
//# footer calculated in this step.
#[test]
fn a_footer_is_there_exactly_when_the_suite_signs_and_covers_header_and_body() {
    for suite in AlgorithmSuite::ALL {
        let message = write(suite, &fixtures::sample(40), &[]);
        let found = Anatomy::of(&message);
        let Some(algorithm) = suite.signature() else {
            //= client-apis/encrypt.md#behavior
            //= type=test
            //# Otherwise the encrypt operation MUST NOT perform this step.
            assert!(found.footer.is_empty(), "{suite}");
            continue;
        };
        let mut footer = Cut(&found.footer);
        let signature = footer.field();
        //= client-apis/encrypt.md#behavior
        //= type=test
        //# Any data that is not specified within the message format MUST NOT be added to the output
        //# message.
        //= client-apis/encrypt.md#construct-the-signature
        //= type=test
        //# Signature Length: MUST be the length of the output of the calculation above.
        assert!(footer.0.is_empty(), "nothing follows the signature");
        let context = fixtures::parse(&message).header;
        let point = context.unverified_encryption_context().get(PUBLIC_KEY).unwrap().to_owned();
        let point = BASE64_STANDARD.decode(point).unwrap();
        let provider = default_provider();
        let mut digest = provider.digest(algorithm.hash());
        digest.update(&found.header_and_body);
        let digest = digest.finish();
        //= data-format/message-footer.md#signature
        //= type=test
        //# This signature MUST be calculated over both the message header and the message body, in
        //# the order of serialization.
        //= client-apis/encrypt.md#construct-the-signature
        //= type=test
        //# To calculate a signature, this operation MUST use the signature algorithm specified by
        //# the algorithm suite, with the following input:
        //= client-apis/encrypt.md#construct-the-signature
        //= type=test
        //# Signature: MUST be the output of the calculation above.
        provider.verify_digest(algorithm, &point, &digest, &signature).unwrap();
    }
}

/// A message of version 1 in a single block, as old writers made it: `label` and `number` go into its
/// authenticated data.
fn single_block(plaintext: &[u8], label: &str, number: u32) -> Vec<u8> {
    let suite = AlgorithmSuite::Aes256Gcm;
    let key = SecretBytes::copy_of(&data_key(suite));
    let cipher = default_provider().aead_key(suite.aead(), &key).unwrap();
    let mut message = vec![1, 0x80, 0, 0x78];
    message.extend([5; 16]);
    message.extend([0, 0, 0, 1, 0, 1, b'p', 0, 1, b'i', 0, 1, 0]);
    message.extend([1, 0, 0, 0, 0, 12, 0, 0, 0, 0]);
    let tag = cipher.seal_in_place(&[0; 12], &message, &mut []).unwrap();
    message.extend([&[0; 12][..], &tag].concat());
    let iv = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let length = (plaintext.len() as u64).to_be_bytes();
    let aad = [&[5; 16][..], label.as_bytes(), &number.to_be_bytes(), &length].concat();
    let mut content = plaintext.to_vec();
    let tag = cipher.seal_in_place(&iv, &aad, &mut content).unwrap();
    message.extend([&iv[..], &length, &content, &tag].concat());
    message
}

//= data-format/message-body-aad.md#body-aad-content
//= type=test
//# Non-framed data MUST use the value AWSKMSEncryptionClient Single Block.
//= data-format/message-body-aad.md#sequence-number
//= type=test
//# For non-framed data, the value of this field MUST be 1.
//= data-format/message-body-aad.md#content-length
//= type=test
//# For non-framed data, this value MUST equal the length, in bytes, of the plaintext data provided
//# to the algorithm for encryption.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# If this is un-framed data, this value MUST be 1.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# The content type field parsed from the message header above determines whether these bytes MUST
//# be deserialized as framed data or un-framed data.
//= client-apis/decrypt.md#verify-the-header
//= type=test
//# For message format version 1.0 the IV MUST be the value serialized in the message header's IV
//# field.
//= data-format/message-body.md#iv
//= type=test
//# The IV MUST be a unique IV within the message.
//= client-apis/encrypt.md#un-framed-message-body-encryption
//= type=test
//# IV: MUST be the sequence number used in the message body AAD.
//= client-apis/encrypt.md#un-framed-message-body-encryption
//= type=test
//# Encrypted Content: MUST be the output of the authenticated encryption algorithm specified by the
//# algorithm suite, with the following inputs:
//= client-apis/encrypt.md#un-framed-message-body-encryption
//= type=test
//# Authentication Tag: MUST be the authentication tag returned by the above encryption.
#[test]
fn a_single_block_is_read_when_it_is_bound_as_one_and_number_one() {
    const LABEL: &str = "AWSKMSEncryptionClient Single Block";
    let suite = AlgorithmSuite::Aes256Gcm;
    let message = single_block(b"old text", LABEL, 1);
    assert_eq!(open(&message, suite).unwrap(), b"old text");
    assert!(matches!(
        open(&single_block(b"old text", LABEL, 2), suite),
        Err(Error::TagMismatch { .. })
    ));
    let other = single_block(b"old text", "AWSKMSEncryptionClient Final Frame", 1);
    assert!(matches!(open(&other, suite), Err(Error::TagMismatch { .. })));
}

//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# If deserializing framed data, this operation MUST use the first 4 bytes of a frame to determine
//# if the frame MUST be deserialized as a final frame or regular frame.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# If the first 4 bytes have a value of 0xFFFF, then this MUST be deserialized as the sequence
//# number end and the following bytes according to the final frame spec.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# Otherwise, this MUST be deserialized as the sequence number and the following bytes according to
//# the regular frame spec.
//= client-apis/decrypt.md#decrypt-the-message-body
//= type=test
//# The content length MUST have a value equal to the length of the plaintext that was encrypted.
//= client-apis/decrypt.md#verify-the-header
//= type=test
//# For message format version 2.0 the IV MUST be 0.
//= client-apis/decrypt.md#get-the-decryption-materials
//= type=test
//# The algorithm suite used to derive a data key from the plaintext data key MUST be the key
//# derivation algorithm included in the algorithm suite associated with the returned decryption
//# materials.
#[test]
fn a_full_last_frame_and_an_empty_one_after_it_are_the_same_plaintext() {
    // Other writers end a plaintext of whole frames with an empty final frame.
    let plaintext = fixtures::sample(FRAME);
    let suite = fixtures::UNSIGNED;
    let found = Anatomy::of(&write(suite, &plaintext, &[]));
    let cipher = found.cipher(&data_key(suite));
    let seal = |frame: &Frame| {
        let mut content = frame.content.clone();
        let iv = frame.iv[..].try_into().unwrap();
        let tag = cipher.seal_in_place(&iv, &found.body_aad(frame), &mut content).unwrap();
        [content, tag.to_vec()].concat()
    };
    let iv = |number: u32| [&[0; 8][..], &number.to_be_bytes()].concat();
    let frame =
        |last, number, content| Frame { last, number, iv: iv(number), content, tag: vec![] };
    let (regular, empty) = (frame(false, 1, plaintext.clone()), frame(true, 2, vec![]));
    let message = [
        &found.header_body[..],
        &found.header_tag,
        &[0, 0, 0, 1],
        &regular.iv,
        &seal(&regular),
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2],
        &empty.iv,
        &[0; 4],
        &seal(&empty),
    ];
    assert_eq!(open(&message.concat(), suite).unwrap(), plaintext);
}

/// Takes what is written apart at the borders of the writes.
#[derive(Default)]
struct Parts(Vec<Vec<u8>>);

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

//= client-apis/encrypt.md#construct-the-header
//= type=test
//# The serialized bytes MUST NOT be released until the entire message header has been serialized If
//# this operation is streaming the encrypted message and the entire message header has been
//# serialized, the serialized message header SHOULD be released.
//= client-apis/encrypt.md#construct-a-frame
//= type=test
//# The above serialized bytes MUST NOT be released until the entire frame has been serialized.
//= client-apis/encrypt.md#construct-the-signature
//= type=test
//# The above serialized bytes MUST NOT be released until the entire message footer has been
//# serialized.
//= client-apis/encrypt.md#behavior
//= type=test
//# This operation MUST perform all the above steps unless otherwise specified, and it MUST perform
//# them in the above order.
#[test]
fn a_stream_writes_header_frames_and_footer_each_as_a_whole() {
    let suite = fixtures::SIGNED;
    let manager = DefaultCmm::new(Arc::new(KnownDataKey(data_key(suite))));
    let materials = wait(manager.encryption_materials(&fixtures::request(suite))).unwrap();
    let options = EncryptOptions { frame_length: FRAME as u32 };
    let mut writer = EncryptWriter::new(Parts::default(), materials, &options).unwrap();
    // Byte for byte, so that nothing comes in whole frames by itself.
    fixtures::sample(2 * FRAME + 5).iter().for_each(|byte| writer.write_all(&[*byte]).unwrap());
    let parts = writer.finish().unwrap().0;
    assert_eq!(parts.len(), 5, "header, two regular frames, final frame, footer");
    assert_eq!(parts[0].len(), fixtures::parse(&parts.concat()).length);
    assert_eq!(parts[1].len(), 4 + 12 + FRAME + 16);
    assert_eq!(parts[2].len(), parts[1].len());
    assert_eq!(parts[3].len(), 4 + 4 + 12 + 4 + 5 + 16);
    assert_eq!(parts[4].len(), 2 + usize::from(parts[4][1]));
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
