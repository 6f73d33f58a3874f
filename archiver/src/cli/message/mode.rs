//! The three modes, and what is called after them.

/// What is done with each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Mode {
    /// A message is written.
    Encrypt,
    /// A message is read.
    Decrypt,
    /// A message is read unless it is signed.
    DecryptUnsigned,
}

impl Mode {
    /// The name of the command, which metadata give too.
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::DecryptUnsigned => "decrypt-unsigned",
        }
    }

    /// What is appended to the names of files in an output directory.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Encrypt => ".encrypted",
            Self::Decrypt | Self::DecryptUnsigned => ".decrypted",
        }
    }

    /// What was done, and what is being done.
    pub(super) const fn participles(self) -> (&'static str, &'static str) {
        match self {
            Self::Encrypt => ("encrypted", "encrypting"),
            Self::Decrypt | Self::DecryptUnsigned => ("decrypted", "decrypting"),
        }
    }
}
