//! Key commitment: messages that open to two plaintexts under two keys, built here, open under a
//! permissive policy and never under the default one (promise S4).
//!
//! A GCM tag is an affine function of each block of what it authenticates, `tag = X * h + c` in
//! GF(2^128), with other `h` and `c` for another key. So one free block makes the tags of two keys equal.

use std::sync::Arc;

use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::crypto::{AeadKey, Iv, default_provider};
use strongroom_sdk::error::Region;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::DecryptOptions;
use strongroom_sdk::policy::CommitmentPolicy;
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{Error, oneshot};

use crate::fixtures::{self, KnownDataKey, say, wait};

const KEYS: [[u8; 32]; 2] = [[0x11; 32], [0x22; 32]];
const CONTENT: usize = 64;

/// A block as an element of GCM's field: the first bit is the coefficient of 1.
type Element = u128;

/// Multiplies in GF(2^128) modulo `x^128 + x^7 + x^2 + x + 1`, in GCM's bit order.
fn multiply(a: Element, b: Element) -> Element {
    let (mut product, mut shifted) = (0, b);
    for bit in (0..128).rev() {
        if a >> bit & 1 == 1 {
            product ^= shifted;
        }
        let carry = shifted & 1;
        shifted = shifted >> 1 ^ if carry == 1 { 0xe1 << 120 } else { 0 };
    }
    product
}

/// The inverse by Fermat: `a^(2^128 - 2)`.
fn invert(a: Element) -> Element {
    let one = 1 << 127;
    let (mut result, mut square) = (one, a);
    for _ in 1..128 {
        square = multiply(square, square);
        result = multiply(result, square);
    }
    result
}

/// The block that makes two affine functions equal, each given as its values at zero and at one.
fn collide(first: [Element; 2], second: [Element; 2]) -> Element {
    let slopes = first[0] ^ first[1] ^ second[0] ^ second[1];
    multiply(first[0] ^ second[0], invert(slopes))
}

fn element(block: [u8; 16]) -> Element {
    Element::from_be_bytes(block)
}

struct Forgery {
    suite: AlgorithmSuite,
    ciphers: [Box<dyn AeadKey>; 2],
    /// Of the first key.
    commitment: Option<Vec<u8>>,
    message_id: Vec<u8>,
}

impl Forgery {
    fn new(suite: AlgorithmSuite) -> Self {
        let provider = default_provider();
        let message_id = vec![0x5a; suite.version().message_id_bytes()];
        let derive = |key: &[u8; 32], info: &[&[u8]]| {
            let secret = SecretBytes::copy_of(key);
            match suite.kdf() {
                None => secret,
                Some(hash) => provider.hkdf(hash, &message_id, &secret, info, 32).unwrap(),
            }
        };
        let id = suite.id().to_be_bytes();
        let ciphers = KEYS.map(|key| {
            provider.aead_key(suite.aead(), &derive(&key, &[&id, b"DERIVEKEY"])).unwrap()
        });
        let commitment =
            suite.commits().then(|| derive(&KEYS[0], &[b"COMMITKEY"]).expose().to_vec());
        Self { suite, ciphers, commitment, message_id }
    }

    /// The header body, with `free` at a place where GHASH sees it as one block.
    fn header_body(&self, free: Element) -> Vec<u8> {
        let mut out = vec![self.suite.version().byte()];
        if !self.suite.commits() {
            out.push(0x80);
        }
        out.extend(self.suite.id().to_be_bytes());
        out.extend(&self.message_id);
        out.extend([0, 0, 0, 1, 0, 1, b'p', 0, 1, b'i']);
        // The wrapped key: zeros up to the next block, the free block, zeros.
        let before = 16 - (out.len() + 2) % 16;
        out.extend(((before + 32) as u16).to_be_bytes());
        out.extend(vec![0; before]);
        out.extend(free.to_be_bytes());
        out.extend([0; 16]);
        out.push(2);
        if !self.suite.commits() {
            out.extend([0, 0, 0, 0, 12]);
        }
        out.extend((CONTENT as u32).to_be_bytes());
        out.extend(self.commitment.iter().flatten());
        out
    }

    fn header_tag(&self, key: usize, free: Element) -> [u8; 16] {
        self.ciphers[key].seal_in_place(&[0; 12], &self.header_body(free), &mut []).unwrap()
    }

    fn header(&self) -> Vec<u8> {
        let line = |key| [0, 1 << 127].map(|free| element(self.header_tag(key, free)));
        let free = collide(line(0), line(1));
        assert_eq!(self.header_tag(0, free), self.header_tag(1, free), "the header tags collide");
        let mut header = self.header_body(free);
        if !self.suite.commits() {
            header.extend([0; 12]);
        }
        header.extend(self.header_tag(0, free));
        header
    }

    fn body_aad(&self) -> Vec<u8> {
        let label = b"AWSKMSEncryptionClient Final Frame";
        let place = [&1_u32.to_be_bytes()[..], &(CONTENT as u64).to_be_bytes()].concat();
        [&self.message_id[..], label, &place].concat()
    }

    /// The tag of `ciphertext` under one key: sealing what it decrypts to gives it back.
    fn body_tag(&self, key: usize, ciphertext: &[u8]) -> [u8; 16] {
        let mut block = vec![0; CONTENT];
        self.ciphers[key].seal_in_place(&IV, &[], &mut block).unwrap();
        block.iter_mut().zip(ciphertext).for_each(|(stream, byte)| *stream ^= byte);
        let tag = self.ciphers[key].seal_in_place(&IV, &self.body_aad(), &mut block).unwrap();
        assert_eq!(block, ciphertext);
        tag
    }

    fn body(&self) -> Vec<u8> {
        let ciphertext = |free: Element| [&free.to_be_bytes()[..], &[7; CONTENT - 16]].concat();
        let tag = |key, free| self.body_tag(key, &ciphertext(free));
        let line = |key| [0, 1 << 127].map(|free| element(tag(key, free)));
        let free = collide(line(0), line(1));
        assert_eq!(tag(0, free), tag(1, free), "the frame tags collide");
        let prefix = [&[0xff; 4][..], &[0, 0, 0, 1], &IV, &(CONTENT as u32).to_be_bytes()].concat();
        [&prefix[..], &ciphertext(free), &tag(0, free)].concat()
    }

    fn message(&self) -> Vec<u8> {
        [self.header(), self.body()].concat()
    }
}

const IV: Iv = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn open(message: &[u8], key: usize, policy: CommitmentPolicy) -> Result<Vec<u8>, Error> {
    let manager = DefaultCmm::new(Arc::new(KnownDataKey(KEYS[key].to_vec())));
    let options = DecryptOptions { commitment_policy: policy, ..DecryptOptions::default() };
    wait(oneshot::decrypt(message, &manager, &options)).map(|opened| opened.plaintext)
}

//= client-apis/decrypt.md#get-the-decryption-materials
//= type=test
//# If the parsed algorithm suite ID is not supported by the commitment policy configured in the
//# client decrypt MUST yield an error.
//= client-apis/decrypt.md#get-the-decryption-materials
//= type=test
//# If the algorithm suite is not supported by the commitment policy configured in the client
//# decrypt MUST yield an error.
//= client-apis/client.md#initialization
//= type=test
//# On client initialization, the caller MUST have the option to provide a:
#[test]
fn a_two_key_message_opens_only_where_commitment_is_not_required() {
    let message = Forgery::new(AlgorithmSuite::Aes256Gcm).message();
    for policy in
        [CommitmentPolicy::ForbidEncryptAllowDecrypt, CommitmentPolicy::RequireEncryptAllowDecrypt]
    {
        let plaintexts = [0, 1].map(|key| open(&message, key, policy).unwrap());
        assert_ne!(plaintexts[0], plaintexts[1], "one message, two plaintexts");
    }
    for key in [0, 1] {
        let required = CommitmentPolicy::RequireEncryptRequireDecrypt;
        let error = open(&message, key, required).unwrap_err();
        assert!(matches!(error, Error::ForbiddenByPolicy { .. }), "{error}");
    }
    say("S4: a two-key message opens under 2 permissive policies, 0 times under REQUIRE");
}

//= client-apis/decrypt.md#get-the-decryption-materials
//= type=test
//# If the algorithm suite supports key commitment then the commit key MUST be derived from the
//# plaintext data key using the commit key derivation.
//= client-apis/decrypt.md#get-the-decryption-materials
//= type=test
//# The derived commit key MUST equal the commit key stored in the message header.
#[test]
fn a_committing_suite_refuses_the_second_key_although_every_tag_is_right() {
    let message = Forgery::new(fixtures::UNSIGNED).message();
    for policy in [
        CommitmentPolicy::ForbidEncryptAllowDecrypt,
        CommitmentPolicy::RequireEncryptAllowDecrypt,
        CommitmentPolicy::RequireEncryptRequireDecrypt,
    ] {
        open(&message, 0, policy).unwrap();
        let error = open(&message, 1, policy).unwrap_err();
        assert_eq!(error.region(), Some(Region::Commitment), "{error}");
    }
}

//= client-apis/client.md#initialization
//= type=test
//# If no commitment policy is provided the default MUST be REQUIRE_ENCRYPT_REQUIRE_DECRYPT.
//= client-apis/client.md#commitment-policy
//= type=test
//# The AWS Encryption SDK MUST use the ESDK commitment policies defined in the Material Providers
//# Library.
//= client-apis/encrypt.md#get-the-encryption-materials
//= type=test
//# If an input algorithm suite is provided that is not supported by the commitment policy
//# configured in the client encrypt MUST yield an error.
//= client-apis/encrypt.md#get-the-encryption-materials
//= type=test
//# If this algorithm suite is not supported by the commitment policy configured in the client
//# encrypt MUST yield an error.
#[test]
fn each_policy_allows_the_suites_that_it_names() {
    use CommitmentPolicy as P;
    for suite in AlgorithmSuite::ALL {
        let commits = suite.commits();
        for (policy, encrypt, decrypt) in [
            (P::ForbidEncryptAllowDecrypt, !commits, true),
            (P::RequireEncryptAllowDecrypt, commits, true),
            (P::RequireEncryptRequireDecrypt, commits, commits),
        ] {
            assert_eq!(policy.check_encrypt(suite).is_ok(), encrypt, "{policy} {suite}");
            assert_eq!(policy.check_decrypt(suite).is_ok(), decrypt, "{policy} {suite}");
        }
    }
}
