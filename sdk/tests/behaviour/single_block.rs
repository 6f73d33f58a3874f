//! Messages without frames, in every suite.

use strongroom_sdk::Error;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::engine::SingleBlockEncryptor;
use strongroom_sdk::error::Region;
use strongroom_sdk::message::frame::{SINGLE_BLOCK_OVERHEAD_BYTES, SINGLE_BLOCK_PREFIX_BYTES};
use strongroom_sdk::message::header::Content;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;

use crate::fixtures::{self, Outcome, say, wait};

fn encrypt(plaintext: &[u8], suite: AlgorithmSuite) -> Vec<u8> {
    let request = fixtures::request(suite);
    wait(oneshot::encrypt_single_block(plaintext, &fixtures::manager(), &request)).unwrap()
}

#[test]
fn every_suite_writes_what_every_surface_reads() {
    for suite in AlgorithmSuite::ALL {
        for length in [0, 1, 15, 16, 17, 5000] {
            let plaintext = fixtures::sample(length);
            let message = encrypt(&plaintext, suite);
            let parsed = fixtures::parse(&message);
            assert_eq!(parsed.header.content(), Content::SingleBlock);
            if suite.signature().is_none() {
                let around = parsed.length + SINGLE_BLOCK_OVERHEAD_BYTES;
                assert_eq!(message.len(), around + length, "{suite}");
            }
            let (manager, options) = (fixtures::manager(), fixtures::reading(suite));
            for outcome in fixtures::read_everywhere(&message, &manager, &options) {
                let Outcome { surface, released, error } = outcome;
                assert!(error.is_none(), "{suite} {length} {surface}: {error:?}");
                assert_eq!(released, plaintext, "{suite} {length} {surface}");
            }
        }
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let (mut flips, mut cuts) = (0, 0);
    for suite in AlgorithmSuite::ALL {
        let plaintext = fixtures::sample(21);
        let message = encrypt(&plaintext, suite);
        let block = fixtures::parse(&message).length;
        let footer = block + plaintext.len() + SINGLE_BLOCK_OVERHEAD_BYTES;
        for bit in block * 8..message.len() * 8 {
            let mut damaged = message.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            for error in refusals(&damaged, suite) {
                let limit = matches!(error, Error::LimitExceeded { .. });
                let expected = match bit / 8 {
                    at if at < footer => error.region() == Some(Region::SingleBlock),
                    _ => matches!(
                        error.region(),
                        Some(Region::Signature | Region::TrailingBytes | Region::SingleBlock)
                    ),
                };
                // A shorter block ends before its tag, and what is behind it is no footer.
                assert!(limit || expected || error.region().is_some(), "{suite} {bit}: {error}");
            }
            flips += 1;
        }
        for end in block..message.len() {
            for error in refusals(&message[..end], suite) {
                assert!(matches!(error, Error::Truncated { .. }), "{suite} {end}: {error}");
            }
            cuts += 1;
        }
    }
    say(&format!("S1, S2: single blocks: {flips} bits flipped, {cuts} truncations, 0 accepted"));
}

/// What every surface says to a message that none of them may release a byte of.
fn refusals(damaged: &[u8], suite: AlgorithmSuite) -> Vec<Error> {
    let (manager, options) = (fixtures::manager(), fixtures::reading(suite));
    let outcomes = fixtures::read_everywhere(damaged, &manager, &options);
    let refusal = |Outcome { surface, released, error }| {
        assert!(released.is_empty(), "{suite} {surface}: released {released:?}");
        error.unwrap_or_else(|| panic!("{suite} {surface}: accepted"))
    };
    outcomes.into_iter().map(refusal).collect()
}

#[test]
fn a_block_is_sealed_in_place_as_it_is_from_elsewhere() {
    for suite in fixtures::COMMITTING {
        for length in [0, 1, 5000] {
            let plaintext = fixtures::sample(length);
            let request = fixtures::request(suite);
            let materials = wait(fixtures::manager().encryption_materials(&request)).unwrap();
            let encryptor = SingleBlockEncryptor::new(materials).unwrap();
            let mut message = encryptor.header().to_vec();
            let mut block = vec![0; length + SINGLE_BLOCK_OVERHEAD_BYTES];
            block[SINGLE_BLOCK_PREFIX_BYTES..][..length].copy_from_slice(&plaintext);
            let footer = encryptor.seal_in_place(&mut block).unwrap();
            message.extend([block, footer].concat());
            let (manager, options) = (fixtures::manager(), fixtures::reading(suite));
            let opened = wait(oneshot::decrypt(&message, &manager, &options)).unwrap();
            assert_eq!(opened.plaintext, plaintext, "{suite} {length}");
        }
    }
    let request = fixtures::request(fixtures::UNSIGNED);
    let materials = wait(fixtures::manager().encryption_materials(&request)).unwrap();
    let short = &mut [0; SINGLE_BLOCK_OVERHEAD_BYTES - 1];
    let error = SingleBlockEncryptor::new(materials).unwrap().seal_in_place(short).unwrap_err();
    assert!(matches!(error, Error::BufferSize { .. }), "{error}");
}

#[test]
fn a_block_of_another_size_is_refused() {
    for length in [SINGLE_BLOCK_OVERHEAD_BYTES + 3, SINGLE_BLOCK_OVERHEAD_BYTES + 5] {
        let request = fixtures::request(fixtures::UNSIGNED);
        let materials = wait(fixtures::manager().encryption_materials(&request)).unwrap();
        let encryptor = SingleBlockEncryptor::new(materials).unwrap();
        let error = encryptor.seal_into(&[7; 4], &mut vec![0; length]).unwrap_err();
        assert!(matches!(error, Error::BufferSize { needed: 40, .. }), "{error}");
    }
}
