//! `--wrapping-keys NAME=VALUE…`, parsed: which keys, and how each is reached.

use std::path::PathBuf;

use clap::parser::ArgMatches;
use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use strongroom_sdk::crypto::rsa::RsaPadding;

use super::mode::Mode;
use super::pairs::NotAPair;

mod group;

/// Most groups of wrapping keys in one command.
const GROUPS_MAX: usize = 256;

/// The groups as they were typed, one for each `--wrapping-keys`.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyGroups(Vec<Vec<String>>);

/// One group, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WrappingKeys {
    /// Keys of a KMS by their names: key ARNs, key ids, aliases; at least one.
    AwsKms(Vec<String>, Reach),
    /// Whatever key of a KMS a message names, within a filter.
    Discovery(Option<Filter>, Reach),
    /// An AES key.
    RawAes(RawKey),
    /// One half of an RSA key.
    RawRsa(RawKey, Padding),
    /// Keys of elliptic curves that agree on a wrapping key.
    RawEcdh(Agreement),
    /// A branch key of a key store.
    Hierarchy(BranchKey, Reach),
}

/// How the KMS is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// The Region for keys that are not named by an ARN.
    pub(super) region: Option<String>,
    /// The AWS profile with the credentials.
    pub(super) profile: Option<String>,
}

/// Whose keys may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) partition: String,
    pub(super) accounts: Vec<String>,
}

/// A key in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawKey {
    /// The namespace, which readers must use too.
    pub(super) namespace: String,
    /// The name, which readers must use too.
    pub(super) name: String,
    /// Where its bytes are.
    pub(super) file: PathBuf,
}

/// The two sides of a key agreement, each in a file; at least the one that the mode needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    /// Our private key. Who encrypts without one gets a new one for each message.
    pub(super) private: Option<PathBuf>,
    /// The other side's public key. Who decrypts without it takes messages from anybody.
    pub(super) public: Option<PathBuf>,
}

/// A branch key in a key store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BranchKey {
    /// Its identifier.
    pub(super) id: String,
    /// The URL of the key store.
    pub(super) store: String,
    /// The name that is bound to every branch key of the store.
    pub(super) store_name: String,
    /// The S3 endpoint of the store.
    pub(super) store_endpoint: Option<String>,
    /// The ARN of the KMS key that the branch key must be wrapped by; who only decrypts may leave it to
    /// the store.
    pub(super) kms_key: Option<String>,
}

/// How RSA pads, as people type it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Padding(pub(super) RsaPadding);

/// Why a group of wrapping keys cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WrappingKeysError {
    /// Not of the form that all have.
    #[error("--wrapping-keys: {0}")]
    Pair(#[from] NotAPair),
    /// Nobody here has such keys.
    #[error(
        "--wrapping-keys: there is no provider \"{0}\", only aws-kms, aws-kms-hierarchy, raw-aes, raw-rsa and raw-ecdh"
    )]
    Provider(String),
    /// A name that the provider does not know.
    #[error("--wrapping-keys provider={provider} takes no \"{name}\"")]
    Unknown {
        /// The provider.
        provider: &'static str,
        /// The name.
        name: String,
    },
    /// A name that must be there is not.
    #[error("--wrapping-keys provider={provider} needs {name}=…")]
    Missing {
        /// The provider.
        provider: &'static str,
        /// The name.
        name: &'static str,
    },
    /// A name that may be there once is there more often.
    #[error("--wrapping-keys: {0}=… may be given only once in a group")]
    Repeated(&'static str),
    /// A value that its name does not take.
    #[error("--wrapping-keys: {name}={value} is not one of {allowed}")]
    Value {
        /// The name.
        name: &'static str,
        /// The value.
        value: String,
        /// What it takes.
        allowed: &'static str,
    },
    /// Keys are named, and discovery would ask for others.
    #[error("--wrapping-keys: discovery=true takes no key=…")]
    DiscoveryOfKeys,
    /// Discovery names no key to encrypt under.
    #[error("--wrapping-keys: discovery=true only decrypts: it names no key")]
    DiscoveryEncrypts,
    /// More groups than anybody needs.
    #[error("--wrapping-keys is given {0} times, more than {GROUPS_MAX}")]
    TooMany(usize),
}

impl KeyGroups {
    /// What the groups mean, in their order.
    pub(super) fn parse(&self, mode: Mode) -> Result<Vec<WrappingKeys>, WrappingKeysError> {
        if self.0.len() > GROUPS_MAX {
            return Err(WrappingKeysError::TooMany(self.0.len()));
        }
        let groups =
            self.0.iter().map(|group| group::parse(group, mode)).collect::<Result<Vec<_>, _>>()?;
        let discovers = |group: &WrappingKeys| matches!(group, WrappingKeys::Discovery(..));
        if mode == Mode::Encrypt && groups.iter().any(discovers) {
            return Err(WrappingKeysError::DiscoveryEncrypts);
        }
        Ok(groups)
    }
}

/// The derive macro would throw all groups into one list.
impl Args for KeyGroups {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new("wrapping_keys")
                .short('w')
                .long("wrapping-keys")
                .value_name("NAME=VALUE")
                .num_args(1..)
                .action(ArgAction::Append)
                .required(true)
                .help(
                    "A provider's wrapping keys; may be repeated, the first key makes the data key",
                )
                .long_help(LONG_HELP),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

const LONG_HELP: &str = "\
A provider's wrapping keys; may be repeated. Every key wraps the data key, and any one can open the \
message; the first makes the data key.

  [provider=aws-kms] key=KEY… [region=REGION] [profile=NAME]
  [provider=aws-kms] discovery=true [discovery-partition=PARTITION discovery-account=ACCOUNT…]
      decrypts with whatever key the message names, in any Region or only in region=REGION
  provider=raw-aes namespace=NAMESPACE key=NAME file=PATH
      16, 24 or 32 bytes
  provider=raw-rsa namespace=NAMESPACE key=NAME file=PATH [padding=oaep-sha256]
      PEM of the public key to encrypt, of the private key to decrypt
  provider=raw-ecdh [private=PATH] [public=PATH]
      PEM of our private and of the other side's public key; to encrypt, public= is enough,
      to decrypt what anybody wrote for us, private= is
  provider=aws-kms-hierarchy branch-key=ID store=URL store-name=NAME key=KEY_ARN
      [store-endpoint=URL] [region=REGION] [profile=NAME]
      a branch key in a folder or bucket; key=, the KMS key that wraps it, may be missing to decrypt";

impl FromArgMatches for KeyGroups {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let groups = matches.get_occurrences::<String>("wrapping_keys").into_iter().flatten();
        Ok(Self(groups.map(|group| group.cloned().collect()).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_groups_is_limited() {
        let group = vec!["key=k".to_owned()];
        assert!(KeyGroups(vec![group.clone(); GROUPS_MAX]).parse(Mode::Encrypt).is_ok());
        let more = KeyGroups(vec![group; GROUPS_MAX + 1]).parse(Mode::Encrypt);
        assert_eq!(more, Err(WrappingKeysError::TooMany(GROUPS_MAX + 1)));
    }
}
