//! What the providers' counter-mode key derivation has in common: its fixed input.
//!
//! Source: NIST SP 800-108r1, section 4.1.

use crate::error::{Error, Result};

/// The fixed input `Label || 0x00 || Context || L` that follows the counter in every block; L is the
/// length of the output in bits, in four bytes.
///
/// # Errors
/// [`Error::Provider`] when `length`, in bytes, is zero or its bits do not fit into L.
pub(super) fn fixed_input(label: &[u8], context: &[u8], length: usize) -> Result<Vec<u8>> {
    let bits = u32::try_from(length).ok().and_then(|bytes| bytes.checked_mul(8));
    let Some(bits) = bits.filter(|bits| *bits > 0) else {
        return Err(Error::Provider { operation: "KBKDF" });
    };
    Ok([label, &[0], context, &bits.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longest output whose length in bits fits into four bytes.
    const LENGTH_MAX: usize = (u32::MAX / 8) as usize;

    #[test]
    fn the_fixed_input_is_label_separator_context_and_length_in_bits() {
        let expected = [b"label", &[0][..], b"context", &[0, 0, 1, 0]].concat();
        assert_eq!(fixed_input(b"label", b"context", 32).unwrap(), expected);
    }

    #[test]
    fn a_length_is_refused_when_it_is_zero_or_its_bits_do_not_fit() {
        assert!(fixed_input(b"", b"", 0).is_err());
        assert!(fixed_input(b"", b"", LENGTH_MAX).is_ok());
        assert!(fixed_input(b"", b"", LENGTH_MAX + 1).is_err());
    }
}
