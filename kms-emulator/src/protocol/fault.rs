//! What a caller is told when a request fails, and what only the log is told.

use std::fmt;

/// Message that AWS gives with every internal failure: nothing of the inside.
const INTERNAL_MESSAGE: &str = "KMS encountered an internal error; try the request again.";

macro_rules! fault_codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal,)*) => {
        /// The `__type` of a failure, by its name in the API models of KMS and CloudHSM v2 or in AWS's
        /// list of common errors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::enum_variant_names, reason = "these are the names on the wire")]
        #[allow(dead_code, reason = "the table is complete; operations to come use the rest")]
        pub(crate) enum FaultCode { $($(#[$doc])* $name,)* }

        impl FaultCode {
            /// The name on the wire.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The HTTP status that goes with it.
            pub(crate) fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

fault_codes! {
    // Authentication and transport, common to all services.
    MissingAuthenticationTokenException = 400,
    IncompleteSignatureException = 400,
    InvalidSignatureException = 400,
    UnrecognizedClientException = 400,
    ExpiredTokenException = 400,
    AccessDeniedException = 400,
    UnknownOperationException = 400,
    SerializationException = 400,
    ValidationException = 400,
    RequestEntityTooLargeException = 413,
    RequestTimeoutException = 408,
    ThrottlingException = 400,
    // KMS.
    AlreadyExistsException = 400,
    CloudHsmClusterInUseException = 400,
    CloudHsmClusterInvalidConfigurationException = 400,
    CloudHsmClusterNotActiveException = 400,
    CloudHsmClusterNotFoundException = 400,
    CloudHsmClusterNotRelatedException = 400,
    ConflictException = 400,
    CustomKeyStoreHasCMKsException = 400,
    CustomKeyStoreInvalidStateException = 400,
    CustomKeyStoreNameInUseException = 400,
    CustomKeyStoreNotFoundException = 400,
    DependencyTimeoutException = 500,
    DisabledException = 400,
    DryRunOperationException = 400,
    ExpiredImportTokenException = 400,
    IncorrectKeyException = 400,
    IncorrectKeyMaterialException = 400,
    IncorrectTrustAnchorException = 400,
    InvalidAliasNameException = 400,
    InvalidArnException = 400,
    InvalidCiphertextException = 400,
    InvalidGrantIdException = 400,
    InvalidGrantTokenException = 400,
    InvalidImportTokenException = 400,
    InvalidKeyUsageException = 400,
    InvalidMarkerException = 400,
    KMSInternalException = 500,
    KMSInvalidMacException = 400,
    KMSInvalidSignatureException = 400,
    KMSInvalidStateException = 400,
    KeyUnavailableException = 500,
    LimitExceededException = 400,
    MalformedPolicyDocumentException = 400,
    NotFoundException = 400,
    TagException = 400,
    UnsupportedOperationException = 400,
    // CloudHSM v2.
    CloudHsmAccessDeniedException = 400,
    CloudHsmInternalFailureException = 500,
    CloudHsmInvalidRequestException = 400,
    CloudHsmResourceLimitExceededException = 400,
    CloudHsmResourceNotFoundException = 400,
    CloudHsmServiceException = 400,
    CloudHsmTagException = 400,
}

/// A refused request: a code and a message for the caller, and what only the log may hold.
#[derive(Debug)]
pub(crate) struct Fault {
    code: FaultCode,
    message: String,
    internal: Option<String>,
}

impl Fault {
    /// A fault whose message, worded as AWS words it, goes to the caller.
    pub(crate) fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), internal: None }
    }

    /// A failure of ours: the caller learns that it happened, the log learns what.
    pub(crate) fn internal(cause: impl fmt::Display) -> Self {
        Self {
            code: FaultCode::KMSInternalException,
            message: INTERNAL_MESSAGE.to_owned(),
            internal: Some(cause.to_string()),
        }
    }

    /// The same fault with a cause that only the log is told.
    pub(crate) fn because(mut self, cause: impl fmt::Display) -> Self {
        self.internal = Some(cause.to_string());
        self
    }

    /// A member of the request has the wrong JSON type, or the body is not JSON.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::new(FaultCode::SerializationException, message)
    }

    /// A member's value is refused by a rule that is not one of the model's constraints.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(FaultCode::ValidationException, message)
    }

    /// The operation exists and is not provided here.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(FaultCode::UnsupportedOperationException, message)
    }

    /// Something named does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(FaultCode::NotFoundException, message)
    }

    /// The key's state does not allow the operation.
    pub(crate) fn invalid_state(message: impl Into<String>) -> Self {
        Self::new(FaultCode::KMSInvalidStateException, message)
    }

    /// A ciphertext is not ours, was altered, or belongs to another encryption context. The message is
    /// empty, as AWS leaves it: nothing tells which.
    pub(crate) fn invalid_ciphertext() -> Self {
        Self::new(FaultCode::InvalidCiphertextException, "")
    }

    /// The code.
    pub(crate) fn code(&self) -> FaultCode {
        self.code
    }

    /// What the caller is told.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What only the log is told, if there is anything.
    pub(crate) fn internal_cause(&self) -> Option<&str> {
        self.internal.as_deref()
    }

    /// The JSON body: `__type` and `message`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "__type": self.code.as_str(), "message": self.message })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Fault {}
