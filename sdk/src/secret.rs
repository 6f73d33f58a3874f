//! Bytes that must not outlive their use.
//!
//! The types here have no `Clone`, `Debug`, `PartialEq` or serialisation: the only way to the bytes is
//! [`SecretBytes::expose`], which a reader can search for.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Secret bytes on the heap, overwritten with zeros when dropped.
///
/// Boxed, so that moving the value moves a pointer and leaves no copy behind.
#[derive(ZeroizeOnDrop)]
pub struct SecretBytes(Box<[u8]>);

impl SecretBytes {
    /// Copies `bytes`; the caller's copy stays the caller's to wipe.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Copies `bytes` and overwrites the caller's copy with zeros.
    #[must_use]
    pub fn take(bytes: &mut [u8]) -> Self {
        let secret = Self(Box::from(&*bytes));
        bytes.zeroize();
        secret
    }

    /// Makes `length` bytes by letting `fill` write into a zeroed buffer.
    ///
    /// # Errors
    /// What `fill` returns; the buffer is wiped.
    pub fn fill_with<E>(
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut secret = Self(vec![0; length].into_boxed_slice());
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// The bytes themselves. Every use of this is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The plaintext data key of one message, from which its body key is derived.
pub struct DataKey(SecretBytes);

impl DataKey {
    /// A data key of the bytes that a keyring made or unwrapped.
    #[must_use]
    pub fn new(bytes: SecretBytes) -> Self {
        Self(bytes)
    }

    /// The secret, to wrap it or to derive from it.
    #[must_use]
    pub fn secret(&self) -> &SecretBytes {
        &self.0
    }
}
