//! The signature, and the pieces that a stream is written in.

use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::stream::EncryptWriter;

use super::anatomy::{Anatomy, Cut};
use super::{FRAME, data_key, write};
use crate::fixtures::{self, KnownDataKey, wait};

const PUBLIC_KEY: &str = "aws-crypto-public-key";

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
