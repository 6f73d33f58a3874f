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
    fn a_vector_takes_any_length_and_what_is_new_is_zeros() {
        let mut bytes = vec![0xab; 3];
        for length in [0, 1, 100, 7, 1 << 20, 5, 1 << 20] {
            let kept = bytes.len().min(length);
            let moved = bytes.capacity() < length;
            resize_for_overwrite(&mut bytes, length);
            assert_eq!(bytes.len(), length);
            let new = if moved { 0 } else { kept };
            assert!(
                bytes.iter().skip(new).all(|byte| *byte == 0),
                "{length} bytes, {new} of them older"
            );
            bytes.fill(0xab);
        }
    }
}
