//! The footer of a signed message: the signature over header and body.
//!
//! Source: `data-format/message-footer.md`.

use super::codec::{Reader, put_field};
use super::limits::{SIGNATURE_BYTES_MAX, within};
use crate::error::{Region, Result};

/// A footer as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Footer<'a> {
    /// The DER-encoded signature.
    pub signature: &'a [u8],
    /// Bytes of the footer, with its length field.
    pub length: usize,
}

impl<'a> Footer<'a> {
    /// Reads the footer at the start of `bytes`; bytes after it are left alone.
    ///
    /// # Errors
    /// [`Truncated`](crate::Error::Truncated) when `bytes` ends inside it;
    /// [`LimitExceeded`](crate::Error::LimitExceeded) above [`SIGNATURE_BYTES_MAX`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        //= client-apis/decrypt.md#verify-the-signature
        //# After deserializing the body, this operation MUST deserialize the next encrypted message
        //# bytes as the message footer.
        let mut reader = Reader::new(bytes, Region::Signature);
        let length = reader.u16()?;
        within("signature bytes", u64::from(length), SIGNATURE_BYTES_MAX as u64)?;
        let signature = reader.take(usize::from(length))?;
        Ok(Self { signature, length: reader.position() })
    }

    /// The footer that carries `signature`.
    pub(crate) fn serialize(signature: &[u8]) -> Result<Vec<u8>> {
        //= client-apis/encrypt.md#construct-the-signature
        //# This operation MUST then serialize a message footer with the following specifics:
        let mut out = Vec::with_capacity(signature.len().saturating_add(2));
        //= client-apis/encrypt.md#construct-the-signature
        //# Signature Length: MUST be the length of the output of the calculation above.
        //= client-apis/encrypt.md#construct-the-signature
        //# Signature: MUST be the output of the calculation above.
        put_field(&mut out, "signature bytes", signature)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_limit_holds_at_max_and_not_beyond() {
        let max = Footer::serialize(&vec![7; SIGNATURE_BYTES_MAX]).unwrap();
        assert_eq!(Footer::parse(&max).unwrap().length, SIGNATURE_BYTES_MAX + 2);
        let beyond = Footer::serialize(&vec![7; SIGNATURE_BYTES_MAX + 1]).unwrap();
        assert!(Footer::parse(&beyond).is_err());
    }
}
