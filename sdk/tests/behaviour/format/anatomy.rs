//! A message taken apart, by nothing but the specification.

use strongroom_sdk::crypto::{AeadKey, default_provider};
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::secret::SecretBytes;

/// A message in its parts, cut at the places that the specification names.
pub(super) struct Anatomy {
    pub(super) suite: AlgorithmSuite,
    pub(super) version: u8,
    pub(super) message_type: Option<u8>,
    pub(super) message_id: Vec<u8>,
    /// The encryption context with its length before it.
    pub(super) aad: Vec<u8>,
    pub(super) keys: Vec<[Vec<u8>; 3]>,
    pub(super) content_type: u8,
    pub(super) reserved: Option<Vec<u8>>,
    pub(super) iv_length: Option<u8>,
    pub(super) frame_length: usize,
    pub(super) commitment: Vec<u8>,
    /// Everything before the header's IV and tag.
    pub(super) header_body: Vec<u8>,
    pub(super) header_iv: Option<Vec<u8>>,
    pub(super) header_tag: Vec<u8>,
    pub(super) frames: Vec<Frame>,
    pub(super) header_and_body: Vec<u8>,
    pub(super) footer: Vec<u8>,
}

/// A frame in its parts.
pub(super) struct Frame {
    pub(super) last: bool,
    pub(super) number: u32,
    pub(super) iv: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

/// Takes fields from the front of a message.
pub(super) struct Cut<'a>(pub(super) &'a [u8]);

impl<'a> Cut<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// A big-endian number of `length` bytes.
    pub(super) fn number(&mut self, length: usize) -> usize {
        self.bytes(length).iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    pub(super) fn field(&mut self) -> Vec<u8> {
        let length = self.number(2);
        self.bytes(length).to_vec()
    }
}

impl Anatomy {
    pub(super) fn of(message: &[u8]) -> Self {
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
    pub(super) fn cipher(&self, data_key: &[u8]) -> Box<dyn AeadKey> {
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
    pub(super) fn body_aad(&self, frame: &Frame) -> Vec<u8> {
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
