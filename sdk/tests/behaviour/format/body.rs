//! Frames in their order, and bodies without frames.

use strongroom_sdk::Error;
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::secret::SecretBytes;

use super::anatomy::{Anatomy, Frame};
use super::{FRAME, data_key, open, write};
use crate::fixtures;

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
