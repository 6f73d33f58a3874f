//! `--wrapping-keys NAME=VALUE…`, parsed: which keys, and how each is reached.

use std::path::PathBuf;

use clap::parser::ArgMatches;
use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use strongroom_sdk::crypto::rsa::RsaPadding;

use super::mode::Mode;
use super::pairs::{self, NotAPair};

/// The provider that is meant where none is named, also under the name that the official command
/// line gives it in full.
const AWS_KMS: [&str; 2] = ["aws-kms", "aws-encryption-sdk-cli::aws-kms"];

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
    #[error("--wrapping-keys: there is no provider \"{0}\", only aws-kms, raw-aes and raw-rsa")]
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
            self.0.iter().map(|group| parse_group(group)).collect::<Result<Vec<_>, _>>()?;
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
      PEM of the public key to encrypt, of the private key to decrypt";

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

fn parse_group(group: &[String]) -> Result<WrappingKeys, WrappingKeysError> {
    let pairs = group.iter().map(|argument| pairs::parse(argument)).collect::<Result<_, _>>()?;
    let mut named = Named { provider: "", pairs };
    match named.optional("provider")? {
        None => named.aws_kms(),
        Some(provider) if AWS_KMS.contains(&provider.as_str()) => named.aws_kms(),
        Some(provider) if provider == "raw-aes" => named.raw_aes(),
        Some(provider) if provider == "raw-rsa" => named.raw_rsa(),
        Some(other) => Err(WrappingKeysError::Provider(other)),
    }
}

/// The pairs of one group that have not been taken yet.
struct Named<'a> {
    provider: &'static str,
    pairs: Vec<(&'a str, &'a str)>,
}

impl Named<'_> {
    fn aws_kms(mut self) -> Result<WrappingKeys, WrappingKeysError> {
        self.provider = "aws-kms";
        let keys = self.all("key");
        let reach = Reach { region: self.optional("region")?, profile: self.optional("profile")? };
        let discovery = self.optional("discovery")?.map_or(Ok(false), truth)?;
        match (discovery, keys.is_empty()) {
            (true, false) => Err(WrappingKeysError::DiscoveryOfKeys),
            (true, true) => {
                let filter = self.filter()?;
                self.finish(WrappingKeys::Discovery(filter, reach))
            }
            (false, true) => {
                Err(WrappingKeysError::Missing { provider: self.provider, name: "key" })
            }
            (false, false) => self.finish(WrappingKeys::AwsKms(keys, reach)),
        }
    }

    fn filter(&mut self) -> Result<Option<Filter>, WrappingKeysError> {
        let provider = "aws-kms discovery=true";
        let accounts = self.all("discovery-account");
        match (self.optional("discovery-partition")?, accounts.is_empty()) {
            (None, true) => Ok(None),
            (Some(partition), false) => Ok(Some(Filter { partition, accounts })),
            (None, false) => {
                Err(WrappingKeysError::Missing { provider, name: "discovery-partition" })
            }
            (Some(_), true) => {
                Err(WrappingKeysError::Missing { provider, name: "discovery-account" })
            }
        }
    }

    fn raw_aes(mut self) -> Result<WrappingKeys, WrappingKeysError> {
        self.provider = "raw-aes";
        let key = self.raw_key()?;
        self.finish(WrappingKeys::RawAes(key))
    }

    fn raw_rsa(mut self) -> Result<WrappingKeys, WrappingKeysError> {
        self.provider = "raw-rsa";
        let key = self.raw_key()?;
        let padding = self.optional("padding")?.map_or(Ok(Padding::DEFAULT), Padding::parse)?;
        self.finish(WrappingKeys::RawRsa(key, padding))
    }

    fn raw_key(&mut self) -> Result<RawKey, WrappingKeysError> {
        Ok(RawKey {
            namespace: self.required("namespace")?,
            name: self.required("key")?,
            file: self.required("file")?.into(),
        })
    }

    fn all(&mut self, name: &str) -> Vec<String> {
        let taken = self.pairs.extract_if(.., |(found, _)| *found == name);
        taken.map(|(_, value)| value.to_owned()).collect()
    }

    fn optional(&mut self, name: &'static str) -> Result<Option<String>, WrappingKeysError> {
        let mut values = self.all(name);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(WrappingKeysError::Repeated(name)),
        }
    }

    fn required(&mut self, name: &'static str) -> Result<String, WrappingKeysError> {
        let provider = self.provider;
        self.optional(name)?.ok_or(WrappingKeysError::Missing { provider, name })
    }

    /// `keys`, unless a pair is left over.
    fn finish(self, keys: WrappingKeys) -> Result<WrappingKeys, WrappingKeysError> {
        match self.pairs.first() {
            None => Ok(keys),
            Some((name, _)) => Err(WrappingKeysError::Unknown {
                provider: self.provider,
                name: (*name).to_owned(),
            }),
        }
    }
}

impl Padding {
    const DEFAULT: Self = Self(RsaPadding::OaepSha256);

    fn parse(text: String) -> Result<Self, WrappingKeysError> {
        let allowed = "pkcs1, oaep-sha1, oaep-sha256, oaep-sha384, oaep-sha512";
        match text.as_str() {
            "pkcs1" => Ok(Self(RsaPadding::Pkcs1)),
            "oaep-sha1" => Ok(Self(RsaPadding::OaepSha1)),
            "oaep-sha256" => Ok(Self(RsaPadding::OaepSha256)),
            "oaep-sha384" => Ok(Self(RsaPadding::OaepSha384)),
            "oaep-sha512" => Ok(Self(RsaPadding::OaepSha512)),
            _ => Err(WrappingKeysError::Value { name: "padding", value: text, allowed }),
        }
    }
}

fn truth(text: String) -> Result<bool, WrappingKeysError> {
    match text.to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "0" => Ok(false),
        _ => {
            let (name, allowed) = ("discovery", "true, false");
            Err(WrappingKeysError::Value { name, value: text, allowed })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(group: &[&str]) -> Result<WrappingKeys, String> {
        let group: Vec<String> = group.iter().map(|&argument| argument.to_owned()).collect();
        parse_group(&group).map_err(|error| error.to_string())
    }

    #[test]
    fn groups_name_keys_of_a_kms_or_a_key_in_a_file() {
        let reach = Reach { region: Some("eu-central-1".into()), profile: None };
        let keys = vec!["alias/a".into(), "b".into()];
        let expected = Ok(WrappingKeys::AwsKms(keys, reach));
        assert_eq!(parse(&["key=alias/a", "region=eu-central-1", "key=b"]), expected);
        let in_full = "provider=aws-encryption-sdk-cli::aws-kms";
        assert_eq!(parse(&[in_full, "key=alias/a", "key=b", "region=eu-central-1"]), expected);
        let raw = parse(&["provider=raw-aes", "namespace=n", "key=k", "file=/f"]);
        let key = RawKey { namespace: "n".into(), name: "k".into(), file: "/f".into() };
        assert_eq!(raw, Ok(WrappingKeys::RawAes(key.clone())));
        let rsa = ["provider=raw-rsa", "namespace=n", "key=k", "file=/f"];
        assert_eq!(parse(&rsa), Ok(WrappingKeys::RawRsa(key.clone(), Padding::DEFAULT)));
        let expected = Ok(WrappingKeys::RawRsa(key, Padding(RsaPadding::Pkcs1)));
        assert_eq!(parse(&[&rsa[..], &["padding=pkcs1"]].concat()), expected);
    }

    #[test]
    fn discovery_takes_a_filter_or_none() {
        let reach = Reach::default();
        assert_eq!(parse(&["discovery=true"]), Ok(WrappingKeys::Discovery(None, reach.clone())));
        let filter = Filter { partition: "aws".into(), accounts: vec!["1".into(), "2".into()] };
        let group = [
            "discovery=Yes",
            "discovery-account=1",
            "discovery-partition=aws",
            "discovery-account=2",
        ];
        assert_eq!(parse(&group), Ok(WrappingKeys::Discovery(Some(filter), reach)));
        let groups = KeyGroups(vec![vec!["discovery=1".to_owned()]]);
        assert_eq!(groups.parse(Mode::Encrypt), Err(WrappingKeysError::DiscoveryEncrypts));
        assert!(groups.parse(Mode::Decrypt).is_ok());
    }

    #[test]
    fn what_is_missing_repeated_or_unknown_is_named() {
        for (group, part) in [
            (&["provider=aws-kms"][..], "needs key="),
            (&["key"], "\"key\""),
            (&["provider=pgp", "key=k"], "\"pgp\""),
            (&["key=k", "region=a", "region=b"], "region"),
            (&["key=k", "regoin=a"], "\"regoin\""),
            (&["key=k", "discovery=true"], "no key="),
            (&["discovery=false"], "needs key="),
            (&["discovery=perhaps"], "perhaps"),
            (&["discovery=true", "discovery-account=1"], "discovery-partition"),
            (&["discovery=true", "discovery-partition=aws"], "discovery-account"),
            (&["key=k", "discovery-account=1"], "discovery-account"),
            (&["provider=raw-rsa", "namespace=n", "key=k", "file=f", "padding=x"], "oaep-sha1"),
            (&["provider=raw-aes", "key=k", "file=f"], "namespace"),
            (&["provider=raw-aes", "key=k", "namespace=n", "file=f", "file=g"], "file"),
        ] {
            let error = parse(group).unwrap_err();
            assert!(error.contains(part), "{group:?}: {error}");
        }
    }

    #[test]
    fn the_number_of_groups_is_limited() {
        let group = vec!["key=k".to_owned()];
        assert!(KeyGroups(vec![group.clone(); GROUPS_MAX]).parse(Mode::Encrypt).is_ok());
        let more = KeyGroups(vec![group; GROUPS_MAX + 1]).parse(Mode::Encrypt);
        assert_eq!(more, Err(WrappingKeysError::TooMany(GROUPS_MAX + 1)));
    }
}
