//! AWS JSON 1.1: how a request's members are read, and how replies and faults are written.

mod base64;
mod fault;
mod members;
mod validation;

use bytes::Bytes;
use serde::Serialize;

pub(crate) use self::base64::Base64;
pub(crate) use fault::{Fault, FaultCode};
pub(crate) use members::{Members, Request};
pub(crate) use validation::{BlobLimits, EnumValues, IntegerLimits, ListLimits, StringLimits};

/// The body of a successful reply: JSON, or nothing for an operation that returns nothing.
#[derive(Debug)]
pub(crate) struct Reply(Bytes);

impl Reply {
    /// Serialises what an operation returns; `()` gives the empty body that AWS sends then.
    pub(crate) fn of<T: Serialize>(output: &T) -> Result<Self, Fault> {
        let body = serde_json::to_vec(output)
            .map_err(|error| Fault::internal(format!("a reply did not serialise: {error}")))?;
        // `()` serialises as `null`; an operation without output has an empty body.
        let body = if body == b"null" { Bytes::new() } else { Bytes::from(body) };
        Ok(Self(body))
    }

    /// The body's bytes, to look at.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The body's bytes.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }
}
