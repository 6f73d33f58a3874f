//! What a token says in numbers, in the words of the API. AWS has no such devices behind its key stores, so the
//! table is a choice: each number means what is nearest to it in a CloudHSM cluster.

use cryptoki::error::{Error, RvError};

use crate::keystore::KeyStoreError;
use crate::records::ConnectionError;

/// The code that a store shows whose token was not logged in to.
pub(super) fn connection_error(error: &Error) -> ConnectionError {
    tracing::warn!(%error, "the token is not logged in to");
    match error {
        Error::Pkcs11(code, _) => match code {
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
                ConnectionError::InvalidCredentials
            }
            RvError::PinLocked => ConnectionError::UserLockedOut,
            RvError::UserPinNotInitialized => ConnectionError::UserNotFound,
            RvError::UserAlreadyLoggedIn | RvError::UserAnotherAlreadyLoggedIn => {
                ConnectionError::UserLoggedIn
            }
            RvError::TokenNotPresent | RvError::TokenNotRecognized => {
                ConnectionError::InsufficientHsms
            }
            RvError::SlotIdInvalid => ConnectionError::ClusterNotFound,
            RvError::DeviceError | RvError::DeviceRemoved => ConnectionError::NetworkErrors,
            _ => ConnectionError::InternalError,
        },
        _ => ConnectionError::InternalError,
    }
}

/// What a request is told that failed for a reason other than its own data.
pub(super) fn key_store_error(error: Error) -> KeyStoreError {
    match &error {
        Error::Pkcs11(RvError::SessionCount, _) => KeyStoreError::SessionsExhausted,
        Error::Pkcs11(
            RvError::DeviceError
            | RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized,
            _,
        ) => KeyStoreError::Unreachable(error.to_string()),
        _ => KeyStoreError::Device(Box::new(error)),
    }
}

/// The same where the token was given something to decrypt. Some say no more of a wrong tag than that something
/// went wrong (SoftHSM: `CKR_GENERAL_ERROR`).
pub(super) fn opening_error(error: Error) -> KeyStoreError {
    match &error {
        Error::Pkcs11(
            RvError::GeneralError | RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange,
            _,
        ) => KeyStoreError::NotAuthentic,
        _ => key_store_error(error),
    }
}

/// Whether another session, logged in again, may do it.
pub(super) fn is_session_lost(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(
        error.downcast_ref(),
        Some(Error::Pkcs11(
            RvError::SessionHandleInvalid | RvError::SessionClosed | RvError::UserNotLoggedIn,
            _
        ))
    )
}
