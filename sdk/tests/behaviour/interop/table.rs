//! What is tried with each peer: keyrings, suites, frames and lengths.

use std::collections::BTreeMap;

use strongroom_peers::esdk::{Base64, Curve, EcdhSchema, Keyring, Manager, Message, RsaPadding};
use strongroom_sdk::message::suite::AlgorithmSuite;

use super::kms_keys::{KeyPair, KmsKeys};

/// The shortest frame that every implementation writes, in bytes.
const SHORT_FRAME: u32 = 128;
/// Around one and two short frames, in bytes.
const LENGTHS: [usize; 6] = [0, 1, 127, 128, 129, 300];

/// One line of the table.
#[derive(Clone)]
pub(super) struct Row {
    /// What it is called in the matrix.
    pub(super) name: &'static str,
    /// Who encrypts.
    pub(super) writer: Manager,
    /// Who decrypts.
    pub(super) reader: Manager,
    /// With what.
    pub(super) cases: Vec<Case>,
}

impl Row {
    fn new(name: &'static str, keyring: Keyring) -> Self {
        Self::between(name, keyring.clone(), keyring)
    }

    /// A row whose reader has another keyring than its writer.
    fn between(name: &'static str, writer: Keyring, reader: Keyring) -> Self {
        let manager = |keyring| Manager::new(keyring, context());
        let (writer, reader) = (manager(writer), manager(reader));
        Self { name, writer, reader, cases: each_suite_once(name.len()) }
    }

    /// With the name of a pair that is kept out of the header.
    fn requiring(mut self, name: &str) -> Self {
        self.writer.required = vec![name.to_owned()];
        self.reader.required = vec![name.to_owned()];
        self
    }

    /// With caching managers on both sides.
    fn caching(mut self) -> Self {
        self.writer.caching = true;
        self.reader.caching = true;
        self
    }

    fn with_cases(mut self, cases: Vec<Case>) -> Self {
        self.cases = cases;
        self
    }
}

/// One message.
#[derive(Clone)]
pub(super) struct Case {
    /// The suite.
    pub(super) suite: AlgorithmSuite,
    /// Bytes of plaintext in a frame; 0 for a single block.
    pub(super) frame_length: u32,
    /// Bytes of plaintext in all.
    pub(super) plaintext_length: usize,
}

impl Case {
    /// The form in which `manager` writes it.
    pub(super) fn message(&self, manager: &Manager) -> Message {
        Message {
            suite: self.suite.id(),
            frame_length: self.frame_length,
            manager: manager.clone(),
        }
    }
}

/// Every row.
pub(super) fn rows(keys: &KmsKeys) -> Vec<Row> {
    [
        raw_aes_rows(),
        raw_rsa_rows(),
        raw_ecdh_rows(),
        kms_rows(keys),
        kms_rsa_rows(keys),
        kms_ecdh_rows(keys),
        multi_rows(keys),
    ]
    .concat()
}

fn raw_aes_rows() -> Vec<Row> {
    vec![
        Row::new("raw AES-128", raw_aes(16)),
        Row::new("raw AES-192", raw_aes(24)),
        Row::new("raw AES-256", raw_aes(32)).with_cases(every_length()),
        Row::new("raw AES-256, frames of 4 and 64 KiB", raw_aes(32)).with_cases(long_frames()),
        Row::new("raw AES-256, single block", raw_aes(32)).with_cases(single_blocks()),
        Row::new("raw AES-256, required encryption context", raw_aes(32)).requiring("zwölf"),
        Row::new("raw AES-256, cached materials", raw_aes(32)).with_cases(twice()).caching(),
    ]
}

fn raw_rsa_rows() -> Vec<Row> {
    vec![
        Row::new("raw RSA, PKCS #1 v1.5", raw_rsa(RsaPadding::Pkcs1)),
        Row::new("raw RSA, OAEP with SHA-1", raw_rsa(RsaPadding::OaepSha1)),
        Row::new("raw RSA, OAEP with SHA-256", raw_rsa(RsaPadding::OaepSha256)),
        Row::new("raw RSA, OAEP with SHA-384", raw_rsa(RsaPadding::OaepSha384)),
        Row::new("raw RSA, OAEP with SHA-512", raw_rsa(RsaPadding::OaepSha512)),
    ]
}

fn raw_ecdh_rows() -> Vec<Row> {
    let curves = [
        (["raw ECDH P-256, static", "raw ECDH P-256, ephemeral to discovery"], P256),
        (["raw ECDH P-384, static", "raw ECDH P-384, ephemeral to discovery"], P384),
        (["raw ECDH P-521, static", "raw ECDH P-521, ephemeral to discovery"], P521),
    ];
    let rows = curves.map(|([fixed, ephemeral], pair)| {
        [
            Row::between(
                fixed,
                pair.keyring(EcdhSchema::Static, Some(pair.recipient_public), Some(pair.sender)),
                pair.keyring(EcdhSchema::Static, Some(pair.sender_public), Some(pair.recipient)),
            ),
            Row::between(
                ephemeral,
                pair.keyring(EcdhSchema::Ephemeral, Some(pair.recipient_public), None),
                pair.keyring(EcdhSchema::Discovery, None, Some(pair.recipient)),
            ),
        ]
    });
    rows.into_iter().flatten().collect()
}

fn kms_rows(keys: &KmsKeys) -> Vec<Row> {
    let strict = |key: &str, mrk| Keyring::Kms { key: key.to_owned(), mrk };
    let (first, primary, replica) = (&keys.first, &keys.primary, &keys.replica);
    vec![
        Row::new("AWS KMS, strict", strict(first, false)),
        Row::new("AWS KMS, MRK-aware", strict(first, true)),
        Row::between(
            "AWS KMS, read by discovery",
            strict(first, false),
            KmsKeys::discovery(first, false),
        ),
        Row::between(
            "AWS KMS, read by MRK-aware discovery",
            strict(first, false),
            KmsKeys::discovery(first, true),
        ),
        Row::between(
            "AWS KMS, multi-Region, read with the replica",
            strict(primary, true),
            strict(replica, true),
        ),
        Row::between(
            "AWS KMS, multi-Region, read by discovery in another Region",
            strict(primary, true),
            KmsKeys::discovery(replica, true),
        ),
    ]
}

fn kms_rsa_rows(keys: &KmsKeys) -> Vec<Row> {
    let algorithms = [
        ("AWS KMS RSA, OAEP with SHA-1", "RSAES_OAEP_SHA_1"),
        ("AWS KMS RSA, OAEP with SHA-256", "RSAES_OAEP_SHA_256"),
    ];
    let KeyPair { arn: key, public } = &keys.rsa;
    let rows = algorithms.map(|(name, algorithm)| {
        let (key, algorithm, public) = (key.clone(), algorithm.to_owned(), public.clone());
        Row::new(name, Keyring::KmsRsa { key, algorithm, public }).with_cases(unsigned(name.len()))
    });
    rows.into()
}

fn kms_ecdh_rows(keys: &KmsKeys) -> Vec<Row> {
    let curves = [
        (
            ["AWS KMS ECDH P-256, static", "AWS KMS ECDH P-256, read by discovery"],
            Curve::P256,
            &keys.p256,
        ),
        (
            ["AWS KMS ECDH P-384, static", "AWS KMS ECDH P-384, read by discovery"],
            Curve::P384,
            &keys.p384,
        ),
        (
            ["AWS KMS ECDH P-521, static", "AWS KMS ECDH P-521, read by discovery"],
            Curve::P521,
            &keys.p521,
        ),
    ];
    let rows = curves.map(|([fixed, discovery], curve, [sender, recipient])| {
        let keyring = |own: &KeyPair, schema, other: Option<&KeyPair>| {
            let (key, public) = (own.arn.clone(), other.map(|pair| pair.public.clone()));
            Keyring::KmsEcdh { key, curve, schema, public }
        };
        let writer = keyring(sender, EcdhSchema::Static, Some(recipient));
        let static_reader = keyring(recipient, EcdhSchema::Static, Some(sender));
        [
            Row::between(fixed, writer.clone(), static_reader),
            Row::between(discovery, writer, keyring(recipient, EcdhSchema::Discovery, None)),
        ]
    });
    rows.into_iter().flatten().collect()
}

fn multi_rows(keys: &KmsKeys) -> Vec<Row> {
    let kms = |key: &str| Keyring::Kms { key: key.to_owned(), mrk: false };
    let rsa = raw_rsa(RsaPadding::OaepSha256);
    let multi = Keyring::Multi {
        generator: Box::new(kms(&keys.first)),
        children: vec![raw_aes(32), kms(&keys.second), rsa.clone()],
    };
    vec![
        Row::between("multi, read by its generator", multi.clone(), kms(&keys.first)),
        Row::between("multi, read by a raw AES child", multi.clone(), raw_aes(32)),
        Row::between("multi, read by an AWS KMS child", multi.clone(), kms(&keys.second)),
        Row::between("multi, read by a raw RSA child", multi, rsa),
    ]
}

fn raw_aes(key_bytes: usize) -> Keyring {
    Keyring::RawAes {
        namespace: "strongroom-tests".to_owned(),
        // Not ASCII: it is also what is authenticated and sorted.
        name: format!("kéy-{key_bytes}"),
        key: Base64(vec![3; key_bytes]),
    }
}

fn raw_rsa(padding: RsaPadding) -> Keyring {
    Keyring::RawRsa {
        namespace: "strongroom-tests".to_owned(),
        name: "rsa".to_owned(),
        padding,
        public: include_str!("keys/rsa-2048.public.pem").to_owned(),
        private: include_str!("keys/rsa-2048.pem").to_owned(),
    }
}

/// The keys of a sender and a recipient, in PEM. They guard nothing but these tests' messages.
struct Pair {
    curve: Curve,
    sender: &'static str,
    sender_public: &'static str,
    recipient: &'static str,
    recipient_public: &'static str,
}

impl Pair {
    fn keyring(&self, schema: EcdhSchema, public: Option<&str>, private: Option<&str>) -> Keyring {
        let (public, private) = (public.map(str::to_owned), private.map(str::to_owned));
        Keyring::RawEcdh { curve: self.curve, schema, public, private }
    }
}

const P256: Pair = Pair {
    curve: Curve::P256,
    sender: include_str!("keys/p256-sender.pem"),
    sender_public: include_str!("keys/p256-sender.public.pem"),
    recipient: include_str!("keys/p256-recipient.pem"),
    recipient_public: include_str!("keys/p256-recipient.public.pem"),
};
const P384: Pair = Pair {
    curve: Curve::P384,
    sender: include_str!("keys/p384-sender.pem"),
    sender_public: include_str!("keys/p384-sender.public.pem"),
    recipient: include_str!("keys/p384-recipient.pem"),
    recipient_public: include_str!("keys/p384-recipient.public.pem"),
};
const P521: Pair = Pair {
    curve: Curve::P521,
    sender: include_str!("keys/p521-sender.pem"),
    sender_public: include_str!("keys/p521-sender.public.pem"),
    recipient: include_str!("keys/p521-recipient.pem"),
    recipient_public: include_str!("keys/p521-recipient.public.pem"),
};

pub(super) fn context() -> BTreeMap<String, String> {
    let pairs = [("purpose", "tests"), ("zwölf", "12")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Every suite with every length.
fn every_length() -> Vec<Case> {
    let pairs = AlgorithmSuite::ALL.into_iter().flat_map(|s| LENGTHS.map(|length| (s, length)));
    pairs.map(|(suite, length)| case(suite, SHORT_FRAME, length)).collect()
}

/// Every suite once; the lengths take turns, beginning elsewhere in each row.
pub(super) fn each_suite_once(turn: usize) -> Vec<Case> {
    let suites = AlgorithmSuite::ALL.into_iter().enumerate();
    suites
        .map(|(at, suite)| case(suite, SHORT_FRAME, LENGTHS[(at + turn) % LENGTHS.len()]))
        .collect()
}

/// Every suite twice, so that the second message meets the data key of the first in a cache.
fn twice() -> Vec<Case> {
    [each_suite_once(0), each_suite_once(1)].concat()
}

/// Every suite without a signature once, which keyrings of public keys demand.
fn unsigned(turn: usize) -> Vec<Case> {
    let cases = each_suite_once(turn).into_iter();
    cases.filter(|case| case.suite.signature().is_none()).collect()
}

/// Lengths around frames of the usual lengths, signed and not.
fn long_frames() -> Vec<Case> {
    let mut cases = Vec::new();
    for frame_length in [4096, 65_536] {
        for suite in crate::fixtures::COMMITTING {
            let frame = frame_length as usize;
            for length in [frame - 1, frame, frame + 1, 3 * frame + 5] {
                cases.push(case(suite, frame_length, length));
            }
        }
    }
    cases
}

/// Every suite with every length, in the form without frames.
fn single_blocks() -> Vec<Case> {
    every_length().into_iter().map(|case| Case { frame_length: 0, ..case }).collect()
}

fn case(suite: AlgorithmSuite, frame_length: u32, plaintext_length: usize) -> Case {
    Case { suite, frame_length, plaintext_length }
}
