//! Who sent a request: Signature Version 4 and the credentials that it is checked against.

mod credentials;
mod peer;
mod principals;
mod session;
mod sigv4;

use std::sync::Arc;

use crate::ids::Region;
use crate::policy::Principal;
use crate::protocol::{Fault, FaultCode};

pub(crate) use credentials::{Credentials, generate_root_credential, new_access_key};
pub(crate) use peer::{Peer, TlsDetails};
pub use principals::CredentialsFileError;
pub(crate) use principals::{
    CredentialEntry, PrincipalsFile, RoleEntry, SESSION_SECONDS, SESSION_SECONDS_DEFAULT,
};
pub(crate) use sigv4::{SignedRequest, verify};

/// A principal of whom it is proved that the request is its own. Made by `sigv4::verify`
/// after the signature matched, and by `in_process` for code that already runs inside the server.
#[derive(Clone, Debug)]
pub(crate) struct Authenticated(Arc<Principal>);

impl Authenticated {
    /// For calls that never cross the network: whoever links the server into its process owns it.
    pub(crate) fn in_process(principal: Arc<Principal>) -> Self {
        Self(principal)
    }

    /// The principal.
    pub(crate) fn principal(&self) -> &Arc<Principal> {
        &self.0
    }
}

/// An authenticated request: by whom, and for which Region its signature is scoped.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) identity: Authenticated,
    /// The access key that signed; none inside the process.
    pub(crate) access_key_id: Option<Arc<str>>,
    pub(crate) region: Region,
}

/// Why a request is not authenticated; each service words it in its own protocol.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    /// There is no `Authorization` header.
    #[error("Missing Authentication Token")]
    Missing,
    /// The header, or what has to go with it, does not have the form of SigV4.
    #[error("{0}")]
    Incomplete(String),
    /// A session is over.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// No such access key, or no such session.
    #[error("The security token included in the request is invalid.")]
    UnknownToken,
    /// Well formed and wrong: signature, scope, date or payload.
    #[error("{0}")]
    Invalid(String),
}

impl AuthError {
    /// The fault as the JSON services word it.
    pub(crate) fn into_fault(self) -> Fault {
        let code = match &self {
            Self::Missing => FaultCode::MissingAuthenticationTokenException,
            Self::Incomplete(_) => FaultCode::IncompleteSignatureException,
            Self::ExpiredToken => FaultCode::ExpiredTokenException,
            Self::UnknownToken => FaultCode::UnrecognizedClientException,
            Self::Invalid(_) => FaultCode::InvalidSignatureException,
        };
        Fault::new(code, self.to_string())
    }

    /// The error's code in the query protocol of STS.
    pub(crate) fn query_code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationToken",
            Self::Incomplete(_) => "IncompleteSignature",
            Self::ExpiredToken => "ExpiredToken",
            Self::UnknownToken => "InvalidClientTokenId",
            Self::Invalid(_) => "SignatureDoesNotMatch",
        }
    }
}
