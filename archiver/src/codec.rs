//! The few encodings that all binary parts of the format share: little-endian integers, LEB128
//! varints, length-prefixed bytes. Reading never panics and never trusts a length.

/// What was read does not follow the format.
///
/// Carries no position: the bytes were authenticated before they were parsed, so this is a
/// writer's defect, or the wrong object, and the object's name says all that helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) type Parsed<T> = Result<T, Malformed>;

/// A cursor over bytes to be parsed.
#[derive(Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    pub(crate) fn u8(&mut self) -> Parsed<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Parsed<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Parsed<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// An unsigned LEB128 integer of at most 64 bits.
    pub(crate) fn varint(&mut self) -> Parsed<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    pub(crate) fn varint_u32(&mut self) -> Parsed<u32> {
        u32::try_from(self.varint()?).map_err(|_| Malformed)
    }

    /// A signed integer, zigzag in a varint.
    pub(crate) fn signed(&mut self) -> Parsed<i64> {
        let z = self.varint()?;
        Ok((z >> 1).cast_signed() ^ -(z & 1).cast_signed())
    }

    /// Bytes behind their length.
    pub(crate) fn prefixed(&mut self) -> Parsed<&'a [u8]> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        self.bytes(length)
    }

    /// A count of items of which each takes at least `bytes_each` bytes here: what bounds the
    /// memory reserved for them.
    pub(crate) fn count(&mut self, bytes_each: usize) -> Parsed<usize> {
        let count = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        let fits = count.checked_mul(bytes_each).is_some_and(|bytes| bytes <= self.0.len());
        if fits { Ok(count) } else { Err(Malformed) }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Everything must have been read.
    pub(crate) fn end(&self) -> Parsed<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// What is appended to while something is serialised.
pub(crate) trait Write {
    fn varint(&mut self, value: u64);
    fn signed(&mut self, value: i64);
    fn prefixed(&mut self, bytes: &[u8]);
}

impl Write for Vec<u8> {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn signed(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63).cast_unsigned());
    }

    fn prefixed(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_read_back(unsigned: u64, signed: i64) {
            let mut bytes = Vec::new();
            bytes.varint(unsigned);
            bytes.signed(signed);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(unsigned));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn lengths_are_not_trusted() {
        assert_eq!(Reader::new(&[0xff; 11]).varint(), Err(Malformed));
        assert_eq!(Reader::new(&[0x80]).varint(), Err(Malformed));
        assert_eq!(Reader::new(&[5, 1, 2]).prefixed(), Err(Malformed));
        assert_eq!(Reader::new(&[3, 0, 0]).count(1), Err(Malformed));
        assert_eq!(Reader::new(&[2, 0, 0]).count(1), Ok(2));
        let mut huge = Vec::new();
        huge.varint(u64::MAX);
        assert_eq!(Reader::new(&huge).count(2), Err(Malformed));
    }
}
