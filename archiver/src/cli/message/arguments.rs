//! The options of `encrypt`, `decrypt` and `decrypt-unsigned`: those of the official command line,
//! and a few of our own.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use strongroom_sdk::CommitmentPolicy;
use strongroom_sdk::message::limits::FRAME_LENGTH_DEFAULT;

use super::suite_name::SuiteName;
use super::wrapping_keys::KeyGroups;

/// What to encrypt, and how.
#[derive(Args)]
#[command(after_help = "\
The result is a message of the AWS Encryption SDK, which every implementation of it can open with one
of the wrapping keys. @FILE among the arguments stands for the arguments in FILE.

Examples:
  strongroom encrypt -i report.pdf -o report.pdf.encrypted -w key=alias/backup
  tar c /srv | strongroom encrypt -i - -o - -w key=alias/backup -c purpose=backup > srv.tar.encrypted
  strongroom encrypt -i /srv -o /encrypted --recursive -w key=$ARN_1 -w key=$ARN_2 region=eu-west-1
  strongroom encrypt -i a -o a.encrypted -w provider=raw-aes namespace=lab key=k1 file=k1.bin")]
pub(in super::super) struct Encrypt {
    #[command(flatten)]
    pub(super) common: Common,
    /// Pairs to authenticate with the message; they are not secret.
    #[arg(long, short = 'c', value_name = "NAME=VALUE", num_args = 1..)]
    pub(super) encryption_context: Vec<String>,
    /// The algorithm suite [default: the commitment policy's, which is signed].
    #[arg(long, value_name = "NAME", ignore_case = true, hide_possible_values = true)]
    pub(super) algorithm: Option<SuiteName>,
    /// Bytes of plaintext in each frame; 0 makes one block of all, of up to 1 GiB, which is held in
    /// memory and which no reader can open in part.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = FRAME_LENGTH_DEFAULT,
        allow_negative_numbers = true
    )]
    pub(super) frame_length: u32,
}

/// What to decrypt, and what to demand of it.
#[derive(Args)]
#[command(after_help = "\
A file appears under its name only when the whole message has been verified. A pipe gets each frame
when its tag has been verified, so before the signature of a signed message: --buffer holds everything
back until then, and `decrypt-unsigned` refuses signed messages.
@FILE among the arguments stands for the arguments in FILE.

Examples:
  strongroom decrypt -i report.pdf.encrypted -o report.pdf -w key=$KEY_ARN
  strongroom decrypt -i - -o - -w key=alias/backup -c purpose=backup < srv.tar.encrypted | tar x
  strongroom decrypt -i /encrypted -o /srv --recursive -w key=$KEY_ARN --metadata-output log.json")]
pub(in super::super) struct Decrypt {
    #[command(flatten)]
    pub(super) common: Common,
    /// Pairs that a message's encryption context must have, and names that it must have.
    #[arg(long, short = 'c', value_name = "NAME[=VALUE]", num_args = 1..)]
    pub(super) encryption_context: Vec<String>,
    /// Longest frame, or single block, that is accepted, in bytes [default: 64 MiB].
    #[arg(long, value_name = "BYTES")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_length: Option<u32>,
}

/// What all of them take.
#[derive(Args)]
pub(super) struct Common {
    /// Files, directories, patterns, or - for standard input.
    #[arg(long, short, value_name = "PATH", required = true, num_args = 1..)]
    pub(super) input: Vec<PathBuf>,
    /// A file, an existing directory, or - for standard output.
    #[arg(long, short, value_name = "PATH")]
    pub(super) output: PathBuf,
    #[command(flatten)]
    pub(super) wrapping_keys: KeyGroups,
    /// The KMS endpoint, for a KMS other than AWS.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_KMS")]
    pub(super) kms_endpoint: Option<String>,
    /// Which suites are allowed.
    #[arg(long, value_name = "POLICY", default_value = "require-encrypt-require-decrypt")]
    pub(super) commitment_policy: Policy,
    /// Most wrapped data keys in a message.
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) max_encrypted_data_keys: Option<u16>,
    /// Use data keys for more than one message: capacity=COUNT max_age=SECONDS
    /// [max_messages_encrypted=COUNT] [max_bytes_encrypted=BYTES].
    #[arg(long, value_name = "NAME=VALUE", num_args = 1..)]
    pub(super) caching: Vec<String>,
    /// Hold back what goes to a pipe until the whole message has been processed.
    #[arg(long, short)]
    pub(super) buffer: bool,
    /// Encode the output in Base64.
    #[arg(long)]
    pub(super) encode: bool,
    /// Decode the input from Base64.
    #[arg(long)]
    pub(super) decode: bool,
    /// Process the files in directories too.
    #[arg(long, short, short_alias = 'R')]
    pub(super) recursive: bool,
    /// What to append to names in an output directory [default: .encrypted or .decrypted].
    #[arg(long, value_name = "SUFFIX", num_args = 0..=1, default_missing_value = "")]
    pub(super) suffix: Option<String>,
    #[command(flatten)]
    pub(super) existing: Existing,
    #[command(flatten)]
    pub(super) metadata: Metadata,
}

/// What happens to output files that exist; without any of these it is an error.
#[derive(Args)]
#[group(multiple = false)]
pub(super) struct Existing {
    /// Replace output files that exist.
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Leave output files that exist alone, and say so.
    #[arg(long)]
    pub(super) no_overwrite: bool,
    /// Ask before an output file is replaced.
    #[arg(long)]
    pub(super) interactive: bool,
}

/// Where metadata goes: one line of JSON for each message.
#[derive(Args)]
pub(super) struct Metadata {
    /// Append a line of JSON for each message to this file, or to standard output with -.
    #[arg(long, value_name = "FILE", conflicts_with = "suppress_metadata")]
    pub(super) metadata_output: Option<PathBuf>,
    /// Replace what the metadata file holds.
    #[arg(long, requires = "metadata_output")]
    pub(super) overwrite_metadata: bool,
    /// Write no metadata, which is the default.
    #[arg(long, short = 'S')]
    pub(super) suppress_metadata: bool,
}

/// A commitment policy as the value of an option.
#[derive(Clone, Copy, ValueEnum)]
#[allow(clippy::enum_variant_names, reason = "the names are those of the specification")]
pub(super) enum Policy {
    /// Encrypt without key commitment, decrypt everything.
    ForbidEncryptAllowDecrypt,
    /// Encrypt with key commitment, decrypt everything.
    RequireEncryptAllowDecrypt,
    /// Encrypt and decrypt with key commitment only.
    RequireEncryptRequireDecrypt,
}

impl From<Policy> for CommitmentPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::ForbidEncryptAllowDecrypt => Self::ForbidEncryptAllowDecrypt,
            Policy::RequireEncryptAllowDecrypt => Self::RequireEncryptAllowDecrypt,
            Policy::RequireEncryptRequireDecrypt => Self::RequireEncryptRequireDecrypt,
        }
    }
}
