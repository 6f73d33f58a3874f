//! Keys: handles, labels, attributes, and the stored object. The secret part stays inside.

use std::fmt;

use crate::codec::{Blob, List, Malformed, Reader, Text, Wire, Writer, wire_enum, wire_struct};
use crate::limits::{KEY_SHARES_MAX, LABEL_BYTES_MAX};
use crate::secret::KeyBytes;
use crate::user::UserId;

/// The number of a key on one HSM. A key synchronised to another HSM keeps it if it is free there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHandle(pub u32);

impl fmt::Display for KeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Wire for KeyHandle {
    fn put(&self, out: &mut Writer) {
        self.0.put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        u32::take(input).map(Self)
    }
}

/// A key's label, such as the ARN of the CMK that it backs.
pub type Label = Text<LABEL_BYTES_MAX>;

wire_struct! {
    /// Which operations a key allows, as PKCS #11 attributes.
    ///
    /// Keys are always token objects, private, sensitive, and never extractable in clear.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct KeyUsage {
        /// `OBJ_ATTR_ENCRYPT`
        pub encrypt: bool,
        /// `OBJ_ATTR_DECRYPT`
        pub decrypt: bool,
        /// `OBJ_ATTR_DERIVE`: per-message keys may be derived from it.
        pub derive: bool,
        /// `OBJ_ATTR_DESTROYABLE`
        pub destroyable: bool,
    }
}

impl Default for KeyUsage {
    fn default() -> Self {
        Self { encrypt: true, decrypt: true, derive: true, destroyable: true }
    }
}

wire_struct! {
    /// An AES-256 key as the device stores it.
    pub(crate) struct Key {
        /// The same on every HSM that has a copy; random, 16 bytes.
        pub(crate) object_id: [u8; 16],
        pub(crate) label: Label,
        pub(crate) owner: UserId,
        pub(crate) shared_with: List<UserId, KEY_SHARES_MAX>,
        pub(crate) usage: KeyUsage,
        /// Key check value: the first three bytes of the encryption of a zero block.
        pub(crate) check_value: [u8; 3],
        pub(crate) secret: KeyBytes,
    }
}

impl Key {
    /// A second copy on purpose: a change is made on it, and then put in place of the original.
    pub(crate) fn copy(&self) -> Self {
        Self {
            object_id: self.object_id,
            label: self.label.clone(),
            owner: self.owner,
            shared_with: self.shared_with.clone(),
            usage: self.usage,
            check_value: self.check_value,
            secret: self.secret.copy(),
        }
    }

    /// Whether `user` may use the key: the owner, or one with whom it is shared.
    pub(crate) fn usable_by(&self, user: UserId) -> bool {
        self.owner == user || self.shared_with.as_slice().contains(&user)
    }

    /// What users of the key may know about it.
    pub(crate) fn public(&self, handle: KeyHandle) -> KeyInfo {
        KeyInfo {
            handle,
            label: self.label.clone(),
            owner: self.owner,
            shared_with: self.shared_with.clone(),
            usage: self.usage,
            check_value: self.check_value,
        }
    }

    /// The value of one attribute in its PKCS #11 encoding, or `None` if the key has no such one.
    pub(crate) fn attribute(&self, attribute: Attribute) -> Option<Vec<u8>> {
        let flag = |value: bool| Some(vec![u8::from(value)]);
        let number = |value: u32| Some(value.to_be_bytes().to_vec());
        match attribute {
            // CKO_SECRET_KEY and CKK_AES.
            Attribute::Class => number(4),
            Attribute::KeyType => number(31),
            Attribute::ValueLen => number(32),
            Attribute::Label => Some(self.label.as_str().as_bytes().to_vec()),
            Attribute::Id => Some(self.object_id.to_vec()),
            Attribute::Kcv => Some(self.check_value.to_vec()),
            Attribute::Token
            | Attribute::Private
            | Attribute::Sensitive
            | Attribute::Local
            | Attribute::NeverExtractable
            | Attribute::AlwaysSensitive => flag(true),
            Attribute::Encrypt => flag(self.usage.encrypt),
            Attribute::Decrypt => flag(self.usage.decrypt),
            Attribute::Derive => flag(self.usage.derive),
            Attribute::Destroyable => flag(self.usage.destroyable),
            Attribute::Extractable
            | Attribute::Trusted
            | Attribute::Wrap
            | Attribute::Unwrap
            | Attribute::Sign
            | Attribute::Verify
            | Attribute::WrapWithTrusted => flag(false),
            Attribute::Modulus
            | Attribute::ModulusBits
            | Attribute::PublicExponent
            | Attribute::WrapTemplate
            | Attribute::UnwrapTemplate => None,
        }
    }
}

wire_struct! {
    /// What users of a key may know about it: everything but the key.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct KeyInfo {
        /// The number on this HSM.
        pub handle: KeyHandle,
        /// The label.
        pub label: Label,
        /// The user who owns it.
        pub owner: UserId,
        /// The users with whom it is shared.
        pub shared_with: List<UserId, KEY_SHARES_MAX>,
        /// What it may be used for.
        pub usage: KeyUsage,
        /// Key check value: the first three bytes of the encryption of a zero block.
        pub check_value: [u8; 3],
    }
}

/// The value of an attribute, in its PKCS #11 encoding with numbers big-endian.
pub type AttributeValue = Blob<{ LABEL_BYTES_MAX + 1 }>;

macro_rules! attributes {
    ($( $(#[$meta:meta])* $variant:ident = $code:literal $constant:literal ),* $(,)?) => {
        /// A key attribute of the CloudHSM key attribute reference.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Attribute {
            $( #[doc = $constant] $(#[$meta])* $variant ),*
        }

        impl Attribute {
            /// Every attribute, by number.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),* ];

            /// The number that the tools take.
            #[must_use]
            pub fn code(self) -> u32 {
                match self { $( Self::$variant => $code ),* }
            }

            /// The constant's name in the reference.
            #[must_use]
            pub fn constant(self) -> &'static str {
                match self { $( Self::$variant => $constant ),* }
            }

            /// The attribute of a number.
            #[must_use]
            pub fn from_code(code: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|attribute| attribute.code() == code)
            }
        }
    };
}

attributes! {
    Class = 0 "OBJ_ATTR_CLASS",
    Token = 1 "OBJ_ATTR_TOKEN",
    Private = 2 "OBJ_ATTR_PRIVATE",
    Label = 3 "OBJ_ATTR_LABEL",
    Trusted = 134 "OBJ_ATTR_TRUSTED",
    KeyType = 256 "OBJ_ATTR_KEY_TYPE",
    Id = 258 "OBJ_ATTR_ID",
    Sensitive = 259 "OBJ_ATTR_SENSITIVE",
    Encrypt = 260 "OBJ_ATTR_ENCRYPT",
    Decrypt = 261 "OBJ_ATTR_DECRYPT",
    Wrap = 262 "OBJ_ATTR_WRAP",
    Unwrap = 263 "OBJ_ATTR_UNWRAP",
    Sign = 264 "OBJ_ATTR_SIGN",
    Verify = 266 "OBJ_ATTR_VERIFY",
    Derive = 268 "OBJ_ATTR_DERIVE",
    Modulus = 288 "OBJ_ATTR_MODULUS",
    ModulusBits = 289 "OBJ_ATTR_MODULUS_BITS",
    PublicExponent = 290 "OBJ_ATTR_PUBLIC_EXPONENT",
    ValueLen = 353 "OBJ_ATTR_VALUE_LEN",
    Extractable = 354 "OBJ_ATTR_EXTRACTABLE",
    Local = 355 "OBJ_ATTR_LOCAL",
    NeverExtractable = 356 "OBJ_ATTR_NEVER_EXTRACTABLE",
    AlwaysSensitive = 357 "OBJ_ATTR_ALWAYS_SENSITIVE",
    Destroyable = 370 "OBJ_ATTR_DESTROYABLE",
    Kcv = 371 "OBJ_ATTR_KCV",
    WrapWithTrusted = 528 "OBJ_ATTR_WRAP_WITH_TRUSTED",
    WrapTemplate = 1_073_742_353 "OBJ_ATTR_WRAP_TEMPLATE",
    UnwrapTemplate = 1_073_742_354 "OBJ_ATTR_UNWRAP_TEMPLATE",
}

impl Wire for Attribute {
    fn put(&self, out: &mut Writer) {
        self.code().put(out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::from_code(u32::take(input)?).ok_or(Malformed { what: "attribute" })
    }
}

wire_enum! {
    /// How a user comes to use a key.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Possession as "possession" {
        /// The user owns it.
        Owned = 1,
        /// The owner shares it with the user.
        Shared = 2,
    }
}
