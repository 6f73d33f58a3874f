//! Reading big-endian fields from bytes that nobody vouches for.

use crate::error::{Error, Fault, Region, Result};

/// A cursor over untrusted bytes that names the region it reads in every error.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
    region: Region,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], region: Region) -> Self {
        Self { rest: bytes, total: bytes.len(), region }
    }

    /// Names the region of what is read from here on.
    pub(crate) fn enter(&mut self, region: Region) {
        self.region = region;
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.total.saturating_sub(self.rest.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or(Error::Truncated { region: self.region })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) =
            self.rest.split_first_chunk().ok_or(Error::Truncated { region: self.region })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        //= data-format/message-header.md#structure
        //# The message header is a sequence of bytes that MUST be in big-endian format.
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A field that its length in two bytes precedes.
    pub(crate) fn field(&mut self) -> Result<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A field of UTF-8 text that its length in two bytes precedes.
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        let bytes = self.field()?;
        std::str::from_utf8(bytes).map_err(|_| self.fault(Fault::NotUtf8))
    }

    /// `fault` in the region being read.
    pub(crate) fn fault(&self, fault: Fault) -> Error {
        Error::Malformed { region: self.region, fault }
    }
}

/// Appends `field` with its length in two bytes before it.
///
/// # Errors
/// [`Error::LimitExceeded`] when it is longer than two bytes can say.
pub(crate) fn put_field(out: &mut Vec<u8>, quantity: &'static str, field: &[u8]) -> Result<()> {
    out.extend_from_slice(&length_u16(quantity, field.len())?.to_be_bytes());
    out.extend_from_slice(field);
    Ok(())
}

/// A count or length as the two bytes that the format has for it.
pub(crate) fn length_u16(quantity: &'static str, length: usize) -> Result<u16> {
    u16::try_from(length).map_err(|_| Error::LimitExceeded {
        quantity,
        value: length as u64,
        max: u64::from(u16::MAX),
    })
}
