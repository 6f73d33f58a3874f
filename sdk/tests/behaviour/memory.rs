//! The memory of a whole process after its keys are gone (promise S7).
//!
//! The heap's own test sees what Rust frees. This one also sees stacks, and what the C library allocates. It
//! runs in a process of its own, which no other test shares.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::crypto::CryptoProvider;
use strongroom_sdk::keyring::{Keyring, RawAesKeyring};
use strongroom_sdk::materials::{DecryptionMaterials, EncryptionMaterials};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::secret::{DataKey, SecretBytes};
use strongroom_sdk::{Result, oneshot};

use crate::fixtures::{self, say, wait};

/// What the key that is looked for is combined with, so that looking for it does not make copies of it.
const MASK: u8 = 0xa5;
const KEY_BYTES: usize = 32;
/// Set in the process that is searched.
const CHILD: &str = "STRONGROOM_MEMORY_CHILD";

/// A key that exists in clear only where the SDK holds it.
struct Masked([u8; KEY_BYTES]);

impl Masked {
    /// A key of the hash of `seed`, which differs from what any other process had.
    fn new(seed: u8) -> Self {
        let provider = strongroom_sdk::crypto::default_provider();
        let mut masked = [seed; KEY_BYTES];
        provider.fill_random(&mut masked).unwrap();
        Self(masked)
    }

    fn reveal(&self) -> SecretBytes {
        SecretBytes::fill_with(KEY_BYTES, |out| {
            out.iter_mut().zip(&self.0).for_each(|(out, masked)| *out = masked ^ MASK);
            Ok::<(), ()>(())
        })
        .unwrap_or_else(|()| unreachable!("nothing fails"))
    }

    /// How often the key stands in `bytes`.
    fn count_in(&self, bytes: &[u8]) -> usize {
        let first = self.0[0] ^ MASK;
        let starts =
            (0..bytes.len().saturating_sub(KEY_BYTES - 1)).filter(|at| bytes[*at] == first);
        starts.filter(|at| (0..KEY_BYTES).all(|i| bytes[at + i] ^ MASK == self.0[i])).count()
    }
}

/// A keyring of one data key, which it holds masked.
struct MaskedDataKey(Arc<Masked>);

#[async_trait]
impl Keyring for MaskedDataKey {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        materials.set_data_key(DataKey::new(self.0.reveal()))?;
        materials.push_encrypted_data_key(EncryptedDataKey {
            provider_id: "masked".into(),
            provider_info: Vec::new(),
            ciphertext: vec![0],
        });
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        _keys: &[EncryptedDataKey],
    ) -> Result<()> {
        materials.set_data_key(DataKey::new(self.0.reveal()))
    }
}

/// Occurrences of `key` in the writable memory of this process, and how many bytes that is.
fn search(key: &Masked) -> (usize, u64) {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut window = vec![0; 1 << 16];
    let own = window.as_ptr() as u64..window.as_ptr() as u64 + window.len() as u64;
    let (mut found, mut searched) = (0, 0);
    for region in writable_regions() {
        let mut at = region.start;
        while at < region.end {
            let length = (region.end - at).min(window.len() as u64);
            // What is copied here to be looked at must not be found a second time.
            let overlaps = at < own.end && own.start < at + length;
            let piece = &mut window[..length as usize];
            if !overlaps && memory.read_exact_at(piece, at).is_ok() {
                found += key.count_in(piece);
                searched += length;
            }
            // The windows overlap by less than a key.
            at += if length < 1 << 16 { length } else { length - KEY_BYTES as u64 + 1 };
        }
    }
    (found, searched)
}

fn writable_regions() -> Vec<Range<u64>> {
    let maps = BufReader::new(File::open("/proc/self/maps").unwrap());
    let lines = maps.lines().map(Result::unwrap).filter(|line| line.contains(" rw"));
    lines
        .map(|line| {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let address = |text| u64::from_str_radix(text, 16).unwrap();
            address(start)..address(end)
        })
        .collect()
}

fn exchange(manager: &dyn MaterialsManager, suite: AlgorithmSuite) {
    let options = EncryptOptions { frame_length: 100 };
    let message = wait(oneshot::encrypt(&[1; 1000], manager, &fixtures::request(suite), &options));
    wait(oneshot::decrypt(&message.unwrap(), manager, &fixtures::reading(suite))).unwrap();
}

fn use_as_wrapping_key(key: &Masked, provider: &Arc<dyn CryptoProvider>) {
    let keyring = RawAesKeyring::new("ns", "name", key.reveal()).unwrap();
    let manager = DefaultCmm::with_provider(Arc::new(keyring), provider.clone());
    fixtures::COMMITTING.into_iter().for_each(|suite| exchange(&manager, suite));
}

fn use_as_data_key(key: &Arc<Masked>, provider: &Arc<dyn CryptoProvider>) {
    let keyring = Arc::new(MaskedDataKey(key.clone()));
    let manager = DefaultCmm::with_provider(keyring, provider.clone());
    // With the first the data key is the cipher's key too.
    for suite in [AlgorithmSuite::Aes256Gcm, fixtures::UNSIGNED, fixtures::SIGNED] {
        exchange(&manager, suite);
    }
}

/// What the searched process does; in any other it is nothing.
#[test]
fn searched_process() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let held = Masked::new(1);
    let copy = held.reveal();
    assert!(search(&held).0 > 0, "the search finds what is there");
    drop(copy);
    assert_eq!(search(&held).0, 0, "and not what is gone");
    for provider in fixtures::providers() {
        let (wrapping, data) = (Masked::new(2), Arc::new(Masked::new(3)));
        use_as_wrapping_key(&wrapping, &provider);
        use_as_data_key(&data, &provider);
        for (what, key) in [("wrapping key", &wrapping), ("data key", &*data)] {
            let (found, bytes) = search(key);
            say(&format!(
                "S7: {what}, {}: {found} copies in {bytes} bytes of memory",
                provider.name()
            ));
            assert_eq!(found, 0);
        }
    }
}

#[test]
fn no_memory_of_a_process_holds_a_key_after_its_use() {
    let test = "memory::searched_process";
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--test-threads=1", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&child.stderr);
    printed.lines().filter(|line| line.starts_with("S7: ")).for_each(say);
    assert!(child.status.success(), "{printed}");
    assert!(printed.contains("S7: "), "{printed}");
}
