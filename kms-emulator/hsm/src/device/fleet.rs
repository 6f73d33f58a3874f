//! A fleet device: keys that leave only as tokens, wrapped under a domain key that stays inside.
//!
//! A key store that has more keys than an HSM has room for keeps the tokens in its database and
//! hands one in with every command. Unwrapped keys are kept inside for a while, bounded.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::cipher::draw;
use super::{Config, Device};
use crate::crypto::{self, SEAL_OVERHEAD_BYTES};
use crate::error::{HsmError, Refusal};
use crate::factory::Factory;
use crate::limits::{AAD_BYTES_MAX, MESSAGE_BYTES_MAX, WORKING_KEYS_MAX};
use crate::secret::{KEY_BYTES, KeyBytes, Plaintext};

/// First byte of a token: its format.
const TOKEN_VERSION: u8 = 1;
/// Bytes of a token.
const TOKEN_BYTES: usize = 1 + KEY_BYTES + SEAL_OVERHEAD_BYTES;
/// Authenticated with every token.
const TOKEN_FORMAT: &[u8] = b"strongroom exported key token v1";
/// Parts of the working-key memory that lock independently.
const SHARDS: usize = 16;

/// A key of a fleet, encrypted under its domain key: safe to store, useless elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyToken([u8; TOKEN_BYTES]);

impl KeyToken {
    /// Reads a token that [`KeyToken::as_bytes`] gave; it is authenticated when it is used.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] when it cannot be one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let token: [u8; TOKEN_BYTES] = bytes.try_into().map_err(|_| Refusal::NotAuthentic)?;
        match token.first() {
            Some(&TOKEN_VERSION) => Ok(Self(token)),
            _ => Err(Refusal::NotAuthentic),
        }
    }

    /// The token as it may be stored: 77 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An in-process device whose keys are tokens: the default key store's hardware.
///
/// Every method may be called from any number of threads; none holds a lock while it encrypts.
pub struct Fleet {
    device: Device,
    working: WorkingKeys,
}

impl Fleet {
    /// Switches on the fleet device of `dir`; `factory` makes it if there is none yet.
    ///
    /// # Errors
    ///
    /// As [`Factory::manufacture`] and [`Device::power_on`].
    pub fn power_on(factory: &Factory, dir: &Path, config: Config) -> Result<Self, HsmError> {
        factory.manufacture(dir, "hsm-fleet", &*config.clock)?;
        let device = Device::power_on(dir, config)?;
        if device.state()?.contents.domain_key.is_none() {
            let key = Arc::new(crypto::generate_key()?);
            device.change(|contents| {
                contents.domain_key = Some(key);
                Ok(())
            })?;
        }
        Ok(Self { device, working: WorkingKeys::default() })
    }

    /// Makes an AES-256 key and returns it wrapped.
    ///
    /// # Errors
    ///
    /// [`Refusal::Tampered`], [`Refusal::ModuleFailed`].
    pub fn generate_key(&self) -> Result<KeyToken, Refusal> {
        let key = crypto::generate_key()?;
        let mut token = Vec::with_capacity(TOKEN_BYTES);
        token.push(TOKEN_VERSION);
        token.extend(crypto::seal(&*self.domain_key()?, TOKEN_FORMAT, key.expose())?);
        let token: [u8; TOKEN_BYTES] = token.try_into().map_err(|_| Refusal::ModuleFailed)?;
        Ok(KeyToken(token))
    }

    /// Encrypts under a key derived from the token's key for this message alone.
    ///
    /// `aad` is at most [`AAD_BYTES_MAX`] bytes. The result is 44 bytes longer than the plaintext.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] for a token of another fleet; [`Refusal::TooLong`];
    /// [`Refusal::Tampered`].
    pub fn seal(
        &self,
        token: &KeyToken,
        aad: &[u8],
        plaintext: &Plaintext,
    ) -> Result<Vec<u8>, Refusal> {
        check_length(aad, AAD_BYTES_MAX)?;
        crypto::seal(&*self.unwrap(token)?, aad, plaintext.expose())
    }

    /// Decrypts what [`Fleet::seal`] or [`Fleet::generate_data_key`] returned.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] when token, `aad` or message are not those of the encryption;
    /// [`Refusal::TooLong`]; [`Refusal::Tampered`].
    pub fn open(&self, token: &KeyToken, aad: &[u8], message: &[u8]) -> Result<Plaintext, Refusal> {
        check_length(aad, AAD_BYTES_MAX)?;
        check_length(message, MESSAGE_BYTES_MAX)?;
        crypto::open(&*self.unwrap(token)?, aad, message)
    }

    /// Draws `bytes` random bytes; returns them, and sealed as [`Fleet::seal`] does.
    ///
    /// # Errors
    ///
    /// As [`Fleet::seal`].
    pub fn generate_data_key(
        &self,
        token: &KeyToken,
        aad: &[u8],
        bytes: usize,
    ) -> Result<(Plaintext, Vec<u8>), Refusal> {
        let plaintext = draw(bytes)?;
        let message = self.seal(token, aad, &plaintext)?;
        Ok((plaintext, message))
    }

    /// Draws random bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLong`] beyond [`crate::limits::RANDOM_BYTES_MAX`]; [`Refusal::Tampered`].
    pub fn random(&self, bytes: usize) -> Result<Plaintext, Refusal> {
        self.device.state()?;
        draw(bytes)
    }

    /// Zeroises the device: every token becomes useless.
    ///
    /// # Errors
    ///
    /// [`HsmError::Storage`] when the directory cannot be overwritten.
    pub fn tamper(&self) -> Result<(), HsmError> {
        self.device.tamper()?;
        self.working.clear();
        Ok(())
    }

    fn domain_key(&self) -> Result<Arc<KeyBytes>, Refusal> {
        self.device.state()?.contents.domain_key.clone().ok_or(Refusal::NotInitialized)
    }

    fn unwrap(&self, token: &KeyToken) -> Result<Arc<KeyBytes>, Refusal> {
        let domain_key = self.domain_key()?;
        if let Some(key) = self.working.get(token) {
            return Ok(key);
        }
        let (_, sealed) = token.0.split_first().ok_or(Refusal::NotAuthentic)?;
        let opened = crypto::open(&domain_key, TOKEN_FORMAT, sealed)?;
        let key = KeyBytes::filled(|bytes| {
            let source: &[u8; KEY_BYTES] =
                opened.expose().try_into().map_err(|_| Refusal::NotAuthentic)?;
            bytes.copy_from_slice(source);
            Ok::<_, Refusal>(())
        })?;
        Ok(self.working.insert(token, key))
    }
}

fn check_length(bytes: &[u8], max: usize) -> Result<(), Refusal> {
    if bytes.len() <= max { Ok(()) } else { Err(Refusal::TooLong) }
}

/// Unwrapped keys by token, in two generations per shard: when the young one is full it becomes the
/// old one, and the old one is zeroised. Tokens in it have been authenticated.
#[derive(Default)]
struct WorkingKeys {
    hasher: RandomState,
    shards: [RwLock<Generations>; SHARDS],
}

#[derive(Default)]
struct Generations {
    young: HashMap<KeyToken, Arc<KeyBytes>>,
    old: HashMap<KeyToken, Arc<KeyBytes>>,
}

impl WorkingKeys {
    /// Keys of one generation of one shard.
    const GENERATION_MAX: usize = WORKING_KEYS_MAX / SHARDS / 2;

    fn get(&self, token: &KeyToken) -> Option<Arc<KeyBytes>> {
        let shard = self.shard(token)?;
        let generations = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = generations.young.get(token) {
            return Some(Arc::clone(key));
        }
        let key = Arc::clone(generations.old.get(token)?);
        drop(generations);
        shard.write().unwrap_or_else(PoisonError::into_inner).keep(token, &key);
        Some(key)
    }

    fn insert(&self, token: &KeyToken, key: KeyBytes) -> Arc<KeyBytes> {
        let key = Arc::new(key);
        if let Some(shard) = self.shard(token) {
            shard.write().unwrap_or_else(PoisonError::into_inner).keep(token, &key);
        }
        key
    }

    fn clear(&self) {
        for shard in &self.shards {
            *shard.write().unwrap_or_else(PoisonError::into_inner) = Generations::default();
        }
    }

    fn shard(&self, token: &KeyToken) -> Option<&RwLock<Generations>> {
        let hash = usize::try_from(self.hasher.hash_one(token) & 0xff).ok()?;
        self.shards.get(hash % SHARDS)
    }
}

impl Generations {
    fn keep(&mut self, token: &KeyToken, key: &Arc<KeyBytes>) {
        if self.young.len() >= WorkingKeys::GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token.clone(), Arc::clone(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_keys_are_bounded() {
        let working = WorkingKeys::default();
        for number in 0..(WORKING_KEYS_MAX as u32 * 2) {
            let mut token = [0; TOKEN_BYTES];
            token[1..5].copy_from_slice(&number.to_be_bytes());
            working.insert(&KeyToken(token), crypto::generate_key().unwrap());
        }
        let kept: usize = working
            .shards
            .iter()
            .map(|shard| {
                let generations = shard.read().unwrap();
                generations.young.len() + generations.old.len()
            })
            .sum();
        assert!(kept <= WORKING_KEYS_MAX, "{kept} keys kept");
        assert!(kept > WORKING_KEYS_MAX / 4, "{kept} keys kept");
    }
}
