//! One group of wrapping keys, from its arguments.

use std::path::PathBuf;

use strongroom_sdk::crypto::rsa::RsaPadding;

use super::{
    Agreement, BranchKey, Filter, Padding, RawKey, Reach, WrappingKeys, WrappingKeysError,
};
use crate::cli::message::mode::Mode;
use crate::cli::message::pairs;

/// The provider that is meant where none is named, also under the name that the official command
/// line gives it in full.
const AWS_KMS: [&str; 2] = ["aws-kms", "aws-encryption-sdk-cli::aws-kms"];

/// What the arguments of one `--wrapping-keys` mean.
pub(super) fn parse(group: &[String], mode: Mode) -> Result<WrappingKeys, WrappingKeysError> {
    let pairs = group.iter().map(|argument| pairs::parse(argument)).collect::<Result<_, _>>()?;
    let mut named = Named { provider: "", pairs };
    match named.optional("provider")? {
        None => named.aws_kms(),
        Some(provider) if AWS_KMS.contains(&provider.as_str()) => named.aws_kms(),
        Some(provider) => match provider.as_str() {
            "aws-kms-hierarchy" => named.hierarchy(mode),
            "raw-aes" => named.raw_aes(),
            "raw-ecdh" => named.raw_ecdh(mode),
            "raw-rsa" => named.raw_rsa(),
            _ => Err(WrappingKeysError::Provider(provider)),
        },
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
        let reach = self.reach()?;
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

    /// To write, the other side's key is needed; to read, our own.
    fn raw_ecdh(mut self, mode: Mode) -> Result<WrappingKeys, WrappingKeysError> {
        self.provider = "raw-ecdh";
        let private = self.optional("private")?.map(PathBuf::from);
        let public = self.optional("public")?.map(PathBuf::from);
        let (needed, name) = match mode {
            Mode::Encrypt => (&public, "public"),
            Mode::Decrypt | Mode::DecryptUnsigned => (&private, "private"),
        };
        if needed.is_none() {
            return Err(WrappingKeysError::Missing { provider: self.provider, name });
        }
        self.finish(WrappingKeys::RawEcdh(Agreement { private, public }))
    }

    /// Whoever owns the store could bring a branch key of his own, under a KMS key of his own: who
    /// encrypts must say which KMS key it is.
    fn hierarchy(mut self, mode: Mode) -> Result<WrappingKeys, WrappingKeysError> {
        self.provider = "aws-kms-hierarchy";
        let branch_key = BranchKey {
            id: self.required("branch-key")?,
            store: self.required("store")?,
            store_name: self.required("store-name")?,
            store_endpoint: self.optional("store-endpoint")?,
            kms_key: match mode {
                Mode::Encrypt => Some(self.required("key")?),
                Mode::Decrypt | Mode::DecryptUnsigned => self.optional("key")?,
            },
        };
        let reach = self.reach()?;
        self.finish(WrappingKeys::Hierarchy(branch_key, reach))
    }

    fn reach(&mut self) -> Result<Reach, WrappingKeysError> {
        Ok(Reach { region: self.optional("region")?, profile: self.optional("profile")? })
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
    use crate::cli::message::wrapping_keys::KeyGroups;

    fn parse_for(mode: Mode, group: &[&str]) -> Result<WrappingKeys, String> {
        let group: Vec<String> = group.iter().map(|&argument| argument.to_owned()).collect();
        super::parse(&group, mode).map_err(|error| error.to_string())
    }

    fn parse(group: &[&str]) -> Result<WrappingKeys, String> {
        parse_for(Mode::Encrypt, group)
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
    fn each_side_of_an_agreement_needs_its_own_key() {
        let agreement = |private: Option<&str>, public: Option<&str>| {
            let (private, public) = (private.map(PathBuf::from), public.map(PathBuf::from));
            Ok(WrappingKeys::RawEcdh(Agreement { private, public }))
        };
        let both = ["provider=raw-ecdh", "private=/a", "public=/b"];
        for mode in [Mode::Encrypt, Mode::Decrypt, Mode::DecryptUnsigned] {
            assert_eq!(parse_for(mode, &both), agreement(Some("/a"), Some("/b")));
        }
        let (private, public) = (&both[..2], &[both[0], both[2]]);
        assert_eq!(parse_for(Mode::Encrypt, public), agreement(None, Some("/b")));
        assert_eq!(parse_for(Mode::Decrypt, private), agreement(Some("/a"), None));
        assert!(parse_for(Mode::Encrypt, private).unwrap_err().contains("needs public="));
        assert!(parse_for(Mode::Decrypt, public).unwrap_err().contains("needs private="));
    }

    #[test]
    fn a_branch_key_is_named_with_its_store_and_to_encrypt_with_its_kms_key() {
        let group = [
            "provider=aws-kms-hierarchy",
            "branch-key=tenant",
            "store=s3://keys/branch",
            "store-name=keys",
            "region=eu-central-1",
            "key=arn",
        ];
        let reach = Reach { region: Some("eu-central-1".into()), profile: None };
        let branch_key = BranchKey {
            id: "tenant".into(),
            store: "s3://keys/branch".into(),
            store_name: "keys".into(),
            store_endpoint: None,
            kms_key: Some("arn".into()),
        };
        let expected = WrappingKeys::Hierarchy(branch_key.clone(), reach.clone());
        assert_eq!(parse(&group), Ok(expected));
        let keyless = &group[..group.len() - 1];
        assert!(parse(keyless).unwrap_err().contains("needs key="));
        let branch_key = BranchKey { kms_key: None, ..branch_key };
        let expected = WrappingKeys::Hierarchy(branch_key, reach);
        assert_eq!(parse_for(Mode::Decrypt, keyless), Ok(expected));
        for missing in 1..4 {
            let mut group = group.to_vec();
            let (name, _) = group.remove(missing).split_once('=').unwrap();
            assert!(parse(&group).unwrap_err().contains(&format!("needs {name}=")), "{name}");
        }
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
}
