//! Secrets are gone from memory when their owner is (promise S7).

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::crypto::CryptoProvider;
use strongroom_sdk::crypto::ecdh::EcCurve;
use strongroom_sdk::crypto::rsa::RsaPadding;
use strongroom_sdk::keyring::{
    Keyring, MultiKeyring, RawAesKeyring, RawEcdhKeyring, RawRsaKeyring, RsaKeys,
};
use strongroom_sdk::keys::EcPrivateKey;
use strongroom_sdk::materials::DecryptionRequest;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::secret::{DataKey, SecretBytes};

use crate::asymmetric::{rsa_pair, sec1};
use crate::fixtures::{self, KnownDataKey, say, wait};
use crate::heap::{MARKER, markers_freed_by};

#[test]
fn the_search_finds_what_is_not_wiped() {
    assert_eq!(markers_freed_by(|| drop(MARKER.to_vec())), 1);
}

#[test]
fn secret_bytes_are_wiped_however_they_were_made() {
    let found = markers_freed_by(|| {
        drop(SecretBytes::copy_of(&MARKER));
        let mut bytes = MARKER;
        drop(SecretBytes::take(&mut bytes));
        assert_eq!(bytes, [0; 32], "the caller's copy is wiped");
        let filled = SecretBytes::fill_with(32, |out| {
            out.copy_from_slice(&MARKER);
            Ok::<(), ()>(())
        });
        drop(filled);
        let failed = SecretBytes::fill_with(32, |out| {
            out.copy_from_slice(&MARKER);
            Err::<(), ()>(())
        });
        assert!(failed.is_err());
        drop(DataKey::new(SecretBytes::copy_of(&MARKER)));
    });
    assert_eq!(found, 0);
}

#[test]
fn no_message_leaves_its_data_key_behind() {
    // Without key derivation the data key is the cipher key too, so this also sees key schedules.
    for suite in [AlgorithmSuite::Aes256Gcm, fixtures::UNSIGNED, fixtures::SIGNED] {
        for provider in fixtures::providers() {
            let keyring = Arc::new(KnownDataKey(MARKER.to_vec()));
            let manager = DefaultCmm::with_provider(keyring.clone(), provider.clone());
            let found = markers_freed_by(|| {
                let options = EncryptOptions { frame_length: 16 };
                let request = fixtures::request(suite);
                let message =
                    wait(oneshot::encrypt(&[1; 100], &manager, &request, &options)).unwrap();
                let reading = fixtures::reading(suite);
                wait(oneshot::decrypt(&message, &manager, &reading)).unwrap();
            });
            assert_eq!(found, 0, "{suite} with {}", provider.name());
        }
    }
}

#[test]
fn no_keyring_leaves_its_wrapping_key_behind() {
    for provider in fixtures::providers() {
        let found = markers_freed_by(|| {
            let key = SecretBytes::copy_of(&MARKER);
            let keyring = RawAesKeyring::new("ns", "name", key).unwrap();
            let manager = DefaultCmm::with_provider(Arc::new(keyring), provider.clone());
            let request = fixtures::request(fixtures::UNSIGNED);
            let options = EncryptOptions::default();
            let message = wait(oneshot::encrypt(b"text", &manager, &request, &options)).unwrap();
            let reading = fixtures::reading(fixtures::UNSIGNED);
            wait(oneshot::decrypt(&message, &manager, &reading)).unwrap();
        });
        assert_eq!(found, 0, "{}", provider.name());
    }
}

/// A keyring of `generator`, which makes the data key, and `writer`, which wraps it.
fn both(generator: &Arc<KnownDataKey>, writer: impl Keyring + 'static) -> MultiKeyring {
    MultiKeyring::new(Some(generator.clone()), vec![Arc::new(writer)]).unwrap()
}

#[test]
fn no_asymmetric_keyring_leaves_the_data_key_behind() {
    // Outlives the search, since it does not wipe what it knows.
    let marked = Arc::new(KnownDataKey(MARKER.to_vec()));
    for provider in fixtures::providers() {
        for padding in RsaPadding::ALL {
            let found = markers_freed_by(|| {
                let (public, private) = rsa_pair();
                let keyring = |keys| RawRsaKeyring::new("ns", "n", padding, keys).unwrap();
                let writer = keyring(RsaKeys::Public(public));
                let reader = keyring(RsaKeys::Private(private));
                round_trip(both(&marked, writer), reader, &provider);
            });
            assert_eq!(found, 0, "{padding}, {}", provider.name());
        }
        let found = markers_freed_by(|| {
            let recipient = EcPrivateKey::generate(&*provider, EcCurve::P256).unwrap();
            let writer = RawEcdhKeyring::ephemeral_to(recipient.public_key().clone());
            round_trip(both(&marked, writer), RawEcdhKeyring::discovery(recipient), &provider);
        });
        assert_eq!(found, 0, "ECDH, {}", provider.name());
    }
}

#[test]
fn no_elliptic_curve_key_leaves_its_scalar_behind() {
    for provider in fixtures::providers() {
        let der = sec1(EcCurve::P256, &MARKER);
        let found = markers_freed_by(|| {
            let own = EcPrivateKey::from_der(&*provider, &der).unwrap();
            let writer = RawEcdhKeyring::ephemeral_to(own.public_key().clone());
            round_trip(writer, RawEcdhKeyring::discovery(own), &provider);
        });
        assert_eq!(found, 0, "{}", provider.name());
    }
}

fn round_trip(
    writer: impl Keyring + 'static,
    reader: impl Keyring + 'static,
    provider: &Arc<dyn CryptoProvider>,
) {
    let manager = DefaultCmm::with_provider(Arc::new(writer), provider.clone());
    let request = fixtures::request(fixtures::UNSIGNED);
    let options = EncryptOptions::default();
    let message = wait(oneshot::encrypt(b"text", &manager, &request, &options)).unwrap();
    let manager = DefaultCmm::with_provider(Arc::new(reader), provider.clone());
    let reading = fixtures::reading(fixtures::UNSIGNED);
    wait(oneshot::decrypt(&message, &manager, &reading)).unwrap();
}

#[test]
fn plaintext_that_was_refused_is_not_left_behind() {
    let plaintext = [&MARKER[..], &[0; 96]].concat();
    let mut message = fixtures::encrypt(&plaintext, fixtures::SIGNED, 64);
    *message.last_mut().unwrap() ^= 1;
    let manager = fixtures::manager();
    let found = markers_freed_by(|| {
        let reading = fixtures::reading(fixtures::SIGNED);
        wait(oneshot::decrypt(&message, &manager, &reading)).unwrap_err();
    });
    assert_eq!(found, 0);
}

/// How a secret would look in a text: as it is, in hexadecimal, in Base64, and as `Debug` writes bytes.
fn spellings() -> [String; 4] {
    let list = MARKER.map(|byte| byte.to_string());
    [
        String::from_utf8(MARKER.to_vec()).unwrap(),
        hex::encode(MARKER),
        BASE64_STANDARD.encode(MARKER),
        list.join(", "),
    ]
}

/// Everything that a caller could log about a message whose keys are the marker, and about what failed.
fn loggable_texts() -> Vec<String> {
    let mut texts = Vec::new();
    let raw = |name: &str| {
        Arc::new(RawAesKeyring::new("ns", name, SecretBytes::copy_of(&MARKER)).unwrap())
    };
    let keyrings: [Arc<dyn Keyring>; 2] = [raw("a"), Arc::new(KnownDataKey(MARKER.to_vec()))];
    for (keyring, suite) in keyrings.iter().flat_map(|k| fixtures::COMMITTING.map(|s| (k, s))) {
        let manager = DefaultCmm::new(keyring.clone());
        let request = fixtures::request(suite);
        let mut message =
            wait(oneshot::encrypt(b"text", &manager, &request, &EncryptOptions::default()))
                .unwrap();
        let header = fixtures::parse(&message).header;
        let reading = fixtures::reading(suite);
        let asked = DecryptionRequest::new(&header, &reading).unwrap();
        texts.push(format!("{request:?} {asked:?} {:?} {reading:?}", header.message_id()));
        texts.push(format!("{:?}", header.encrypted_data_keys()));
        let others: [Arc<dyn Keyring>; 3] =
            [raw("b"), fixtures::raw_keyring(), Arc::new(KnownDataKey(vec![1; 32]))];
        for other in others {
            let other = DefaultCmm::new(other);
            if let Err(error) = wait(oneshot::decrypt(&message, &other, &reading)) {
                texts.push(format!("{error} {error:?}"));
            }
        }
        for at in 0..message.len() {
            message[at] ^= 0x40;
            let error = wait(oneshot::decrypt(&message, &manager, &reading)).unwrap_err();
            texts.push(format!("{error} {error:?}"));
            message[at] ^= 0x40;
        }
    }
    let short =
        RawAesKeyring::new("ns", "name", SecretBytes::copy_of(&MARKER[..31])).err().unwrap();
    texts.push(format!("{short} {short:?}"));
    texts.extend(fixtures::providers().iter().map(|provider| format!("{provider:?}")));
    texts
}

#[test]
fn nothing_that_can_be_logged_spells_a_key() {
    let texts = loggable_texts();
    // The search itself: it finds the marker where it is.
    assert!(format!("{MARKER:?}").contains(&spellings()[3]));
    let hits: Vec<&String> =
        texts.iter().filter(|text| spellings().iter().any(|key| text.contains(key))).collect();
    say(&format!("S7: {} texts that could be logged, {} with a key", texts.len(), hits.len()));
    assert!(hits.is_empty(), "{hits:?}");
}

/// The SDK itself logs nothing: it has no dependency to log with.
#[test]
fn the_sdk_depends_on_no_logger() {
    let manifest = include_str!("../../Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    let dependencies = dependencies.split("[dev-dependencies]").next().unwrap();
    for logger in ["tracing", "log", "env_logger", "slog"] {
        let named = |line: &str| {
            line.starts_with(&format!("{logger} ")) || line.starts_with(&format!("{logger}."))
        };
        assert!(!dependencies.lines().any(named), "{logger}");
    }
}
