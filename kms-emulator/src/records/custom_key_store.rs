//! Custom key stores, as the KMS remembers them.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::ids::{ClusterId, CustomKeyStoreId, RealmId};

/// The password of `kmsuser`: zeroised when dropped, never printed.
pub(crate) struct KeyStorePassword(Zeroizing<String>);

impl KeyStorePassword {
    /// Takes the password over.
    pub(crate) fn new(password: String) -> Self {
        Self(Zeroizing::new(password))
    }

    /// The password, for the login and for the database.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// The passwords that `kmsuser` may have on the HSMs of the cluster.
///
/// A new password is written down as `next` before the first HSM gets it, and becomes `current` after
/// the last one has it: whatever moment the server dies at, each HSM has one of the two.
#[derive(Clone)]
pub(crate) struct Passwords {
    pub(crate) current: Arc<KeyStorePassword>,
    pub(crate) next: Option<Arc<KeyStorePassword>>,
}

/// Why a connection failed, by its name in the API model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionError {
    ClusterNotFound,
    InsufficientHsms,
    InsufficientFreeAddresses,
    InternalError,
    InvalidCredentials,
    NetworkErrors,
    SubnetNotFound,
    UserLockedOut,
    UserLoggedIn,
    UserNotFound,
}

impl ConnectionError {
    const NAMES: [(Self, &'static str); 10] = [
        (Self::ClusterNotFound, "CLUSTER_NOT_FOUND"),
        (Self::InsufficientHsms, "INSUFFICIENT_CLOUDHSM_HSMS"),
        (Self::InsufficientFreeAddresses, "INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET"),
        (Self::InternalError, "INTERNAL_ERROR"),
        (Self::InvalidCredentials, "INVALID_CREDENTIALS"),
        (Self::NetworkErrors, "NETWORK_ERRORS"),
        (Self::SubnetNotFound, "SUBNET_NOT_FOUND"),
        (Self::UserLockedOut, "USER_LOCKED_OUT"),
        (Self::UserLoggedIn, "USER_LOGGED_IN"),
        (Self::UserNotFound, "USER_NOT_FOUND"),
    ];

    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(error, _)| *error == self).map_or("INTERNAL_ERROR", |(_, n)| n)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(error, _)| *error)
    }
}

/// Where a custom key store stands with its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionState {
    Disconnected,
    Connecting,
    Connected,
    Disconnecting,
    Failed(ConnectionError),
}

impl ConnectionState {
    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "DISCONNECTED",
            Self::Connecting => "CONNECTING",
            Self::Connected => "CONNECTED",
            Self::Disconnecting => "DISCONNECTING",
            Self::Failed(_) => "FAILED",
        }
    }

    /// Why it failed, if it did.
    pub(crate) fn error(self) -> Option<ConnectionError> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The inverse of `as_str` and `error`.
    pub(crate) fn from_names(state: &str, error: Option<&str>) -> Option<Self> {
        match (state, error) {
            ("DISCONNECTED", None) => Some(Self::Disconnected),
            ("CONNECTING", None) => Some(Self::Connecting),
            ("CONNECTED", None) => Some(Self::Connected),
            ("DISCONNECTING", None) => Some(Self::Disconnecting),
            ("FAILED", Some(error)) => ConnectionError::from_name(error).map(Self::Failed),
            _ => None,
        }
    }
}

/// A custom key store on a CloudHSM cluster.
#[derive(Clone)]
pub(crate) struct CustomKeyStore {
    pub(crate) realm: RealmId,
    pub(crate) id: CustomKeyStoreId,
    pub(crate) name: Arc<str>,
    pub(crate) created: Timestamp,
    pub(crate) cluster: ClusterId,
    /// `customerCA.crt` in PEM, as it was given.
    pub(crate) trust_anchor: Arc<str>,
    /// The cluster's certificate in PEM: clusters that share a backup history share it.
    pub(crate) cluster_certificate: Arc<str>,
    pub(crate) passwords: Passwords,
    pub(crate) connection: ConnectionState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_states_have_one_spelling() {
        use ConnectionState::{Connected, Connecting, Disconnected, Disconnecting, Failed};
        let failed = ConnectionError::NAMES.iter().map(|(error, _)| Failed(*error));
        for state in [Disconnected, Connecting, Connected, Disconnecting].into_iter().chain(failed)
        {
            let error = state.error().map(ConnectionError::as_str);
            assert_eq!(ConnectionState::from_names(state.as_str(), error), Some(state));
        }
        assert_eq!(ConnectionState::from_names("FAILED", None), None);
        assert_eq!(ConnectionState::from_names("CONNECTED", Some("USER_NOT_FOUND")), None);
    }
}
