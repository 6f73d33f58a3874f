//! Users: roles, names, password verification data.

use std::fmt;

use crate::codec::{List, Malformed, Reader, Text, Wire, Writer, wire_enum, wire_struct};
use crate::error::Refusal;
use crate::limits::{LOGIN_FAILURES_MAX, PUBLIC_KEY_BYTES_MAX, USER_NAME_BYTES_MAX};

wire_enum! {
    /// What a user may do on an HSM.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Role as "role" {
        /// Crypto user (CU): owns and uses keys.
        CryptoUser = 1,
        /// Crypto officer (CO): manages users.
        CryptoOfficer = 2,
        /// Appliance user (AU): clones and synchronises, by the provider only.
        ApplianceUser = 5,
        /// Precrypto officer (PRECO): may only set its own password, which makes it a CO.
        PrecryptoOfficer = 6,
    }
}

impl Role {
    /// The name that the tools print and accept.
    #[must_use]
    pub fn short_name(self) -> &'static str {
        match self {
            Self::CryptoUser => "CU",
            Self::CryptoOfficer => "CO",
            Self::ApplianceUser => "AU",
            Self::PrecryptoOfficer => "PRECO",
        }
    }

    /// The name and number that the audit log prints.
    #[must_use]
    pub fn audit_name(self) -> &'static str {
        match self {
            Self::CryptoUser => "CN_CRYPTO_USER (1)",
            Self::CryptoOfficer => "CN_CRYPTO_OFFICER (2)",
            Self::ApplianceUser => "CN_APPLIANCE_USER (5)",
            Self::PrecryptoOfficer => "CN_CRYPTO_PRE_OFFICER (6)",
        }
    }

    /// Reads a role as the tools accept it; `PCO` is the older name of a CO.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "CU" => Some(Self::CryptoUser),
            "CO" | "PCO" => Some(Self::CryptoOfficer),
            "AU" => Some(Self::ApplianceUser),
            "PRECO" | "preCO" => Some(Self::PrecryptoOfficer),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short_name())
    }
}

/// The number of a user on one HSM, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u32);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Wire for UserId {
    fn put(&self, out: &mut Writer) {
        self.0.put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        u32::take(input).map(Self)
    }
}

/// A user's name: 1 to 31 letters, digits or underscores; case does not matter in comparisons.
#[derive(Debug, Clone)]
pub struct UserName(String);

impl UserName {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidUserName`] when it does not comply.
    pub fn parse(name: &str) -> Result<Self, Refusal> {
        let fits = (1..=USER_NAME_BYTES_MAX).contains(&name.len());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if fits && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(Refusal::InvalidUserName)
        }
    }

    /// The name as it was given when the user was created.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for UserName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for UserName {}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Wire for UserName {
    fn put(&self, out: &mut Writer) {
        out.bytes(self.0.as_bytes());
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let text = Text::<USER_NAME_BYTES_MAX>::take(input)?;
        Self::parse(text.as_str()).map_err(|_| Malformed { what: "user name" })
    }
}

/// DER of the public key that verifies a user's second factor.
pub type SecondFactorKey = crate::codec::Blob<PUBLIC_KEY_BYTES_MAX>;

wire_struct! {
    /// What an HSM keeps of a password: PBKDF2 over a salt of its own.
    #[derive(Clone)]
    pub(crate) struct PasswordRecord {
        /// Random, 16 bytes.
        pub(crate) salt: [u8; 16],
        /// PBKDF2 iterations.
        pub(crate) iterations: u32,
        /// PBKDF2-HMAC-SHA-256 output.
        pub(crate) verifier: [u8; 32],
    }
}

wire_struct! {
    /// A user as the device stores it.
    #[derive(Clone)]
    pub(crate) struct User {
        pub(crate) id: UserId,
        pub(crate) role: Role,
        pub(crate) name: UserName,
        /// `None` for the appliance user, who has no password and cannot log in from outside.
        pub(crate) password: Option<PasswordRecord>,
        pub(crate) login_failures: u32,
        pub(crate) second_factor: Option<SecondFactorKey>,
    }
}

impl User {
    /// Whether the user has used up the attempts on this HSM.
    pub(crate) fn is_locked_out(&self) -> bool {
        self.login_failures >= LOGIN_FAILURES_MAX
    }

    /// What anybody may know about the user.
    pub(crate) fn public(&self) -> UserInfo {
        UserInfo {
            id: self.id,
            role: self.role,
            name: self.name.clone(),
            login_failures: self.login_failures,
            second_factor: self.second_factor.is_some(),
            quorum_key: false,
        }
    }
}

wire_struct! {
    /// What anybody may know about a user; listing needs no login.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct UserInfo {
        /// The number on this HSM.
        pub id: UserId,
        /// The type.
        pub role: Role,
        /// The name.
        pub name: UserName,
        /// Failed logins on this HSM since the last success.
        pub login_failures: u32,
        /// Whether a second factor is required.
        pub second_factor: bool,
        /// Whether a key for signing quorum tokens is registered.
        pub quorum_key: bool,
    }
}

/// All users of an HSM.
pub type UserList = List<UserInfo, { crate::limits::USERS_MAX }>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_case_insensitive() {
        assert!(UserName::parse(&"a".repeat(USER_NAME_BYTES_MAX)).is_ok());
        assert!(UserName::parse(&"a".repeat(USER_NAME_BYTES_MAX + 1)).is_err());
        assert!(UserName::parse("").is_err());
        assert!(UserName::parse("no-dash").is_err());
        assert_eq!(UserName::parse("KmsUser").unwrap(), UserName::parse("kmsuser").unwrap());
    }

    #[test]
    fn role_names_read_back() {
        for role in
            [Role::CryptoUser, Role::CryptoOfficer, Role::ApplianceUser, Role::PrecryptoOfficer]
        {
            assert_eq!(Role::parse(role.short_name()), Some(role));
        }
        assert_eq!(Role::parse("PCO"), Some(Role::CryptoOfficer));
        assert_eq!(Role::parse("cu"), None);
    }
}
