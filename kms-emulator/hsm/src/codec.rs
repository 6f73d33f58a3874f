//! The compact, strict, length-prefixed encoding of everything that crosses a boundary.
//!
//! Integers are big-endian; byte strings and lists carry a 32-bit length that is checked against
//! their limit *before* anything is allocated. A decoder consumes its input exactly. There is no
//! indexing, no recursion, and no arithmetic on lengths that could wrap.

use crate::secret::SecretBuffer;

/// Bytes that do not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}")]
pub struct Malformed {
    /// What was being read.
    pub what: &'static str,
}

/// Something with exactly one encoding.
pub(crate) trait Wire: Sized {
    /// Appends the encoding.
    fn put(&self, out: &mut Writer);
    /// Reads one value.
    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// Encodes a value on its own.
pub(crate) fn encode<T: Wire>(value: &T) -> SecretBuffer {
    let mut out = Writer::default();
    value.put(&mut out);
    out.finish()
}

/// Decodes a value that is all of `bytes`.
pub(crate) fn decode<T: Wire>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut input = Reader { rest: bytes };
    let value = T::take(&mut input)?;
    if input.rest.is_empty() { Ok(value) } else { Err(Malformed { what: "trailing bytes" }) }
}

/// Where encodings go: a buffer that leaves no copy of what it held when it grows.
#[derive(Default)]
pub(crate) struct Writer {
    buffer: SecretBuffer,
}

impl Writer {
    /// Appends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let needed = self.buffer.len().saturating_add(bytes.len());
        if needed > self.buffer.capacity() {
            self.grow(needed);
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends a byte string with its length.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    /// Appends a length or count.
    pub(crate) fn length(&mut self, length: usize) {
        // Every encoded thing is bounded far below 4 GiB; a longer one could not be decoded.
        u32::try_from(length).unwrap_or(u32::MAX).put(self);
    }

    /// The encoding.
    pub(crate) fn finish(self) -> SecretBuffer {
        self.buffer
    }

    /// Moves to a larger buffer by hand: `Vec` would free the old one with the secrets in it.
    fn grow(&mut self, needed: usize) {
        let mut larger = SecretBuffer::new(Vec::with_capacity(needed.saturating_mul(2).max(256)));
        larger.extend_from_slice(&self.buffer);
        self.buffer = larger;
    }
}

/// Where encodings are read from.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `length` bytes.
    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) =
            self.rest.split_at_checked(length).ok_or(Malformed { what: "truncated input" })?;
        self.rest = rest;
        Ok(head)
    }

    /// Reads a byte string of at most `max` bytes; `what` names it in the error.
    pub(crate) fn bytes(&mut self, max: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let length = self.length(max, what)?;
        self.raw(length)
    }

    /// Reads a length or count of at most `max`.
    pub(crate) fn length(&mut self, max: usize, what: &'static str) -> Result<usize, Malformed> {
        let length = usize::try_from(u32::take(self)?).unwrap_or(usize::MAX);
        if length <= max { Ok(length) } else { Err(Malformed { what }) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.raw(N)?.try_into().map_err(|_| Malformed { what: "truncated input" })
    }
}

/// A last field that encodings from before it was introduced do not have: to them it is the default.
#[derive(Clone, Default)]
pub(crate) struct Trailing<T>(pub(crate) T);

impl<T> std::ops::Deref for Trailing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Trailing<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Wire + Default> Wire for Trailing<T> {
    fn put(&self, out: &mut Writer) {
        self.0.put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        if input.rest.is_empty() { Ok(Self::default()) } else { T::take(input).map(Self) }
    }
}

macro_rules! wire_integers {
    ($($integer:ty),*) => {$(
        impl Wire for $integer {
            fn put(&self, out: &mut Writer) {
                out.raw(&self.to_be_bytes());
            }

            fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self::from_be_bytes(input.array()?))
            }
        }
    )*};
}
wire_integers!(u8, u16, u32, u64);

impl Wire for bool {
    fn put(&self, out: &mut Writer) {
        u8::from(*self).put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::take(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed { what: "flag" }),
        }
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Writer) {
        out.raw(self);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        input.array()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Writer) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        if bool::take(input)? { T::take(input).map(Some) } else { Ok(None) }
    }
}

impl<T: Wire> Wire for std::sync::Arc<T> {
    fn put(&self, out: &mut Writer) {
        T::put(self, out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        T::take(input).map(Self::new)
    }
}

/// A public byte string of at most `MAX` bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Blob<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Blob<MAX> {
    /// Wraps bytes.
    ///
    /// # Errors
    ///
    /// [`Malformed`] beyond `MAX` bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Malformed> {
        if bytes.len() <= MAX { Ok(Self(bytes)) } else { Err(Malformed { what: "byte string" }) }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, owned.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<const MAX: usize> Wire for Blob<MAX> {
    fn put(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self(input.bytes(MAX, "byte string")?.to_vec()))
    }
}

/// A public UTF-8 string of at most `MAX` bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Wraps a string.
    ///
    /// # Errors
    ///
    /// [`Malformed`] beyond `MAX` bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, Malformed> {
        let text = text.into();
        if text.len() <= MAX { Ok(Self(text)) } else { Err(Malformed { what: "text" }) }
    }

    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The string, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> std::fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> Wire for Text<MAX> {
    fn put(&self, out: &mut Writer) {
        out.bytes(self.0.as_bytes());
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = input.bytes(MAX, "text")?;
        let text = std::str::from_utf8(bytes).map_err(|_| Malformed { what: "text" })?;
        Ok(Self(text.to_owned()))
    }
}

/// A list of at most `MAX` values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> List<T, MAX> {
    /// Wraps a list.
    ///
    /// # Errors
    ///
    /// [`Malformed`] beyond `MAX` values.
    pub fn new(values: Vec<T>) -> Result<Self, Malformed> {
        if values.len() <= MAX { Ok(Self(values)) } else { Err(Malformed { what: "list" }) }
    }

    /// The values.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// The values, owned.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T: Wire, const MAX: usize> Wire for List<T, MAX> {
    fn put(&self, out: &mut Writer) {
        out.length(self.0.len());
        for value in &self.0 {
            value.put(out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        // The vector grows as values arrive: a count alone allocates nothing.
        (0..input.length(MAX, "list")?).map(|_| T::take(input)).collect::<Result<_, _>>().map(Self)
    }
}

/// Declares an enum and its encoding (one tag byte, then the fields in order) from one table.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident as $what:literal {
            $(
                $(#[$variant_meta:meta])*
                $variant:ident = $tag:literal
                $({ $( $(#[$field_meta:meta])* $field:ident : $type:ty ),* $(,)? })?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        pub enum $name {
            $( $(#[$variant_meta])* $variant $({ $( $(#[$field_meta])* $field : $type ),* })? ),*
        }

        impl $crate::codec::Wire for $name {
            fn put(&self, out: &mut $crate::codec::Writer) {
                match self {
                    $( Self::$variant $({ $($field),* })? => {
                        $crate::codec::Wire::put(&($tag as u8), out);
                        $($( $crate::codec::Wire::put($field, out); )*)?
                    } )*
                }
            }

            fn take(
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                match <u8 as $crate::codec::Wire>::take(input)? {
                    $( $tag => Ok(Self::$variant $({
                        $( $field: $crate::codec::Wire::take(input)? ),*
                    })?), )*
                    _ => Err($crate::codec::Malformed { what: $what }),
                }
            }
        }
    };
}

/// Declares a struct and its encoding (the fields in order) from one table.
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $field_visibility:vis $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $visibility struct $name {
            $( $(#[$field_meta])* $field_visibility $field : $type ),*
        }

        impl $crate::codec::Wire for $name {
            fn put(&self, out: &mut $crate::codec::Writer) {
                $( $crate::codec::Wire::put(&self.$field, out); )*
            }

            fn take(
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                Ok(Self { $( $field: $crate::codec::Wire::take(input)? ),* })
            }
        }
    };
}

pub(crate) use {wire_enum, wire_struct};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_at_max_and_fail_beyond() {
        let fits = encode(&Blob::<9>(vec![7; 4]));
        assert_eq!(decode::<Blob<4>>(&fits).unwrap().as_slice(), [7; 4]);
        assert_eq!(decode::<Blob<3>>(&fits).unwrap_err().what, "byte string");
        let list = encode(&List::<u8, 9>(vec![1, 2, 3]));
        assert_eq!(decode::<List<u8, 3>>(&list).unwrap().as_slice(), [1, 2, 3]);
        assert_eq!(decode::<List<u8, 2>>(&list).unwrap_err().what, "list");
    }

    #[test]
    fn trailing_and_missing_bytes_are_refused() {
        assert_eq!(decode::<u16>(&[0, 1, 2]).unwrap_err().what, "trailing bytes");
        assert_eq!(decode::<u16>(&[0]).unwrap_err().what, "truncated input");
        assert_eq!(decode::<bool>(&[2]).unwrap_err().what, "flag");
        assert_eq!(decode::<Text<4>>(&[0, 0, 0, 1, 0xff]).unwrap_err().what, "text");
    }

    #[test]
    fn an_encoding_may_end_before_a_trailing_field() {
        assert_eq!(decode::<Trailing<u16>>(&[]).unwrap().0, 0);
        assert_eq!(decode::<Trailing<u16>>(&encode(&Trailing(7_u16))).unwrap().0, 7);
        assert!(decode::<Trailing<u16>>(&[0]).is_err());
    }

    #[test]
    fn a_growing_writer_keeps_everything() {
        let mut out = Writer::default();
        for byte in 0..1_000_u32 {
            byte.put(&mut out);
        }
        let expected: Vec<u8> = (0..1_000_u32).flat_map(u32::to_be_bytes).collect();
        assert_eq!(*out.buffer, expected);
    }
}
