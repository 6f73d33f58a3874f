//! Every field of a message, held against the specification by a reader that shares no code with the SDK but the
//! ciphers.
//!
//! | module | subject |
//! |---|---|
//! | `anatomy` | that reader |
//! | `header` | the header and its tag |
//! | `body` | frames and single blocks |
//! | `footer` | the signature, and in which pieces a stream is written |

mod anatomy;
mod body;
mod footer;
mod header;

use std::sync::Arc;

use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::{Error, oneshot};

use crate::fixtures::{self, KnownDataKey, wait};

const FRAME: usize = 16;

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
