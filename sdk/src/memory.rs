//! Memory for outputs.

use zeroize::Zeroize;

/// Makes `bytes` that long; what it holds is going to be written over. Only what is new costs zeros, and
/// an empty vector takes them from the system as they are.
///
/// No huge pages are asked for: where the system's memory is in pieces, which a full page cache makes it,
/// putting them together was measured to take three times as long as the small pages do.
pub(crate) fn resize_for_overwrite(bytes: &mut Vec<u8>, length: usize) {
    if bytes.capacity() < length {
        bytes.zeroize();
        *bytes = vec![0; length];
    }
    bytes.resize(length, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_grows_and_shrinks_to_any_length() {
        let mut bytes = vec![1; 3];
        for length in [0, 1, 100, 7, 1 << 20] {
            resize_for_overwrite(&mut bytes, length);
            assert_eq!(bytes.len(), length);
        }
        assert!(bytes.iter().all(|byte| *byte == 0), "what is new is zeros");
    }
}
