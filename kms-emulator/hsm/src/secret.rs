//! Secrets: boxed, zeroised on drop, without `Clone`, `Debug`, `PartialEq` or `Serialize`.
//!
//! [`Password`] and [`Plaintext`] pass through the public API because their owner is outside. A
//! key has no public type at all: [`KeyBytes`] and [`PrivateKey`] are seen only inside this crate.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::codec::{Malformed, Reader, Wire, Writer};
use crate::error::Refusal;
use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, PLAINTEXT_BYTES_MAX};

/// Bytes of an AES-256 or KDF key.
pub(crate) const KEY_BYTES: usize = 32;

/// A 256-bit symmetric key; never leaves the crate in clear.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct KeyBytes(Box<[u8; KEY_BYTES]>);

impl KeyBytes {
    /// Makes a key whose bytes `fill` writes; the bytes are never on the stack.
    pub(crate) fn filled<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Self(Box::new([0; KEY_BYTES]));
        fill(key.0.as_mut_slice())?;
        Ok(key)
    }

    /// A second copy on purpose: for the hardware that a factory makes, and for a key in the making.
    pub(crate) fn copy(&self) -> Self {
        Self(Box::new(*self.0))
    }

    /// The secret bytes, for the primitives in [`crate::crypto`] and the sealed encodings.
    pub(crate) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl Wire for KeyBytes {
    fn put(&self, out: &mut Writer) {
        out.raw(self.0.as_slice());
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = input.raw(KEY_BYTES)?;
        Self::filled(|key| {
            key.copy_from_slice(bytes);
            Ok(())
        })
    }
}

/// A private key in PKCS#8 DER; never leaves the crate in clear.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct PrivateKey(Box<[u8]>);

impl PrivateKey {
    /// Longest PKCS#8 encoding: RSA 4096 takes 2.4 KB.
    const DER_BYTES_MAX: usize = 4_096;

    /// Takes ownership of a PKCS#8 document.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Self {
        Self(der.into())
    }

    /// A second copy on purpose: for a library that wants to own it.
    pub(crate) fn copy(&self) -> Self {
        Self(self.0.clone())
    }

    /// The PKCS#8 document, for signing and for the sealed encodings.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Wire for PrivateKey {
    fn put(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self(input.bytes(Self::DER_BYTES_MAX, "private key")?.into()))
    }
}

/// A user's password on its way to an HSM.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Password(Box<[u8]>);

impl Password {
    /// Wraps a password as typed; at most twice [`PASSWORD_BYTES_MAX`] bytes.
    ///
    /// A password that no user may be *given* can still be *tried*: it is then simply wrong.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidPassword`] when it is longer than that.
    pub fn new(text: &str) -> Result<Self, Refusal> {
        if text.len() > PASSWORD_BYTES_MAX * 2 {
            return Err(Refusal::InvalidPassword);
        }
        Ok(Self(text.as_bytes().into()))
    }

    /// The bytes as typed.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Checks the rule for new passwords: 7 to 32 letters and digits.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidPassword`] when it does not comply.
    pub fn check_rule(&self) -> Result<(), Refusal> {
        let length_fits = (PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&self.0.len());
        let alphanumeric = self.0.iter().all(u8::is_ascii_alphanumeric);
        if length_fits && alphanumeric { Ok(()) } else { Err(Refusal::InvalidPassword) }
    }
}

impl Wire for Password {
    fn put(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self(input.bytes(PASSWORD_BYTES_MAX * 2, "password")?.into()))
    }
}

/// Bytes that a caller encrypts or has decrypted, such as a data key: at most
/// [`PLAINTEXT_BYTES_MAX`].
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Plaintext(Box<[u8]>);

impl Plaintext {
    /// Copies a plaintext.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLong`] beyond [`PLAINTEXT_BYTES_MAX`] bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > PLAINTEXT_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        Ok(Self(bytes.into()))
    }

    /// Makes a plaintext of `length` bytes that `fill` writes.
    pub(crate) fn filled<E>(
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut plaintext = Self(vec![0; length].into_boxed_slice());
        fill(&mut plaintext.0)?;
        Ok(plaintext)
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Wire for Plaintext {
    fn put(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self(input.bytes(PLAINTEXT_BYTES_MAX, "plaintext")?.into()))
    }
}

/// A buffer for encodings that hold secrets; its whole capacity is zeroised on drop.
pub(crate) type SecretBuffer = Zeroizing<Vec<u8>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_bytes_are_zeroised() {
        let mut key = KeyBytes::filled(|bytes| {
            bytes.fill(0xa5);
            Ok::<_, ()>(())
        })
        .unwrap();
        key.zeroize();
        assert_eq!(key.expose(), &[0; KEY_BYTES]);
    }

    #[test]
    fn private_keys_passwords_and_plaintexts_are_zeroised() {
        let mut key = PrivateKey::from_pkcs8(b"secret");
        key.zeroize();
        assert!(key.expose().iter().all(|byte| *byte == 0));
        let mut password = Password::new("secret0").unwrap();
        password.zeroize();
        assert!(password.expose().iter().all(|byte| *byte == 0));
        let mut plaintext = Plaintext::new(b"secret").unwrap();
        plaintext.zeroize();
        assert!(plaintext.expose().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn secrets_are_zeroised_when_they_are_dropped() {
        fn checks<T: ZeroizeOnDrop>() {}
        checks::<KeyBytes>();
        checks::<PrivateKey>();
        checks::<Password>();
        checks::<Plaintext>();
    }

    #[test]
    fn the_password_rule_holds_at_its_bounds() {
        let accepted = |text: &str| Password::new(text).unwrap().check_rule().is_ok();
        assert!(!accepted(&"a".repeat(PASSWORD_BYTES_MIN - 1)));
        assert!(accepted(&"a".repeat(PASSWORD_BYTES_MIN)));
        assert!(accepted(&"a".repeat(PASSWORD_BYTES_MAX)));
        assert!(!accepted(&"a".repeat(PASSWORD_BYTES_MAX + 1)));
        assert!(!accepted("with space"));
        assert!(!accepted("semi;colon"));
    }

    #[test]
    fn plaintexts_are_bounded() {
        assert!(Plaintext::new(&vec![0; PLAINTEXT_BYTES_MAX]).is_ok());
        assert!(Plaintext::new(&vec![0; PLAINTEXT_BYTES_MAX + 1]).is_err());
    }
}
