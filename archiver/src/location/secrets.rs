//! The location's own secrets, kept in `keys/<epoch>` under the CMK.
//!
//! ```text
//! magic "SRK1" · id key 32 · chunker key 32 · format object, to the end
//! ```

use zeroize::Zeroizing;

use crate::chunk::{ChunkerKey, IdKey};
use crate::codec::Reader;

const MAGIC: &[u8; 4] = b"SRK1";

/// What `keys/0` holds.
pub(crate) struct Secrets {
    pub(crate) id_key: IdKey,
    pub(crate) chunker_key: ChunkerKey,
    /// The bytes of the `format` object that belongs to these keys.
    pub(crate) format: Vec<u8>,
}

impl Secrets {
    /// Fresh keys from the system's randomness.
    pub(crate) fn generate(format: Vec<u8>) -> std::io::Result<Self> {
        let id_key = IdKey::new(random()?);
        let chunker_key = ChunkerKey::new(random()?);
        Ok(Self { id_key, chunker_key, format })
    }

    pub(crate) fn serialize(&self) -> Zeroizing<Vec<u8>> {
        // Reserved whole, so that growing leaves no copy of a key behind.
        let mut out = Zeroizing::new(Vec::with_capacity(68 + self.format.len()));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(self.id_key.expose());
        out.extend_from_slice(self.chunker_key.expose());
        out.extend_from_slice(&self.format);
        out
    }

    pub(crate) fn parse(plain: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(plain);
        (&reader.array::<4>().ok()? == MAGIC).then_some(())?;
        let id_key = IdKey::new(boxed(reader.bytes(32).ok()?)?);
        let chunker_key = ChunkerKey::new(boxed(reader.bytes(32).ok()?)?);
        Some(Self { id_key, chunker_key, format: reader.rest().to_vec() })
    }
}

/// Copies a key straight to where it stays.
fn boxed(bytes: &[u8]) -> Option<Box<Zeroizing<[u8; 32]>>> {
    let mut key = Box::new(Zeroizing::new([0; 32]));
    key.as_mut_slice().get_mut(..bytes.len())?.copy_from_slice(bytes);
    (bytes.len() == 32).then_some(key)
}

fn random() -> std::io::Result<Box<Zeroizing<[u8; 32]>>> {
    let mut key = Box::new(Zeroizing::new([0; 32]));
    getrandom::fill(key.as_mut_slice()).map_err(std::io::Error::other)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_read_back() {
        let secrets = Secrets::generate(b"{}".to_vec()).unwrap();
        let read = Secrets::parse(&secrets.serialize()).unwrap();
        assert_eq!(read.id_key.expose(), secrets.id_key.expose());
        assert_eq!(read.chunker_key.expose(), secrets.chunker_key.expose());
        assert_eq!(read.format, b"{}");
        assert!(Secrets::parse(&secrets.serialize()[..67]).is_none());
    }

    #[test]
    fn keys_are_zeroised_when_they_go() {
        // What drop runs: the bytes themselves cannot be looked at afterwards without `unsafe`.
        let mut key = boxed(&[1; 32]).unwrap();
        zeroize::Zeroize::zeroize(&mut *key);
        assert_eq!(**key, [0; 32]);
    }
}
