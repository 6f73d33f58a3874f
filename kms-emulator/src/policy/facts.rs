//! What is true of a request, under the names that conditions use.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Principal;
use crate::clock::Timestamp;
use crate::ids::Region;
use crate::records::{Key, KeySpec, KeyUsage};

/// Looks a condition key up.
pub(super) trait Facts {
    /// The values of a condition key; none if the request has no such key. Names ignore case.
    fn values(&self, key: &str) -> Vec<String>;
}

/// What is true of a request whatever it asks for.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a> {
    pub(crate) now: Timestamp,
    /// Where it came from; none inside the process.
    pub(crate) source_ip: Option<IpAddr>,
    /// Whether it came over TLS.
    pub(crate) is_secure: bool,
    pub(crate) user_agent: Option<&'a str>,
    /// The Region that its signature is for.
    pub(crate) region: &'a Region,
}

/// What an operation knows about its request. Conditions are rare, so values are looked up when one asks.
#[derive(Clone, Copy, Default)]
pub(crate) struct RequestFacts<'a> {
    pub(crate) encryption_context: Option<&'a BTreeMap<String, String>>,
    /// The alias by which the request names the key.
    pub(crate) request_alias: Option<&'a str>,
    /// Looks up the aliases that the key has.
    pub(crate) resource_aliases: Option<&'a (dyn Fn() -> Vec<String> + Sync)>,
    pub(crate) request_tags: Option<&'a BTreeMap<String, String>>,
    pub(crate) bypass_policy_lockout: Option<bool>,
    pub(crate) pending_window_days: Option<u32>,
    pub(crate) reencrypt_on_same_key: Option<bool>,
    /// What CreateKey asks for; for other operations it follows from the key.
    pub(crate) key_origin: Option<&'a str>,
    pub(crate) key_spec: Option<KeySpec>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) encryption_algorithm: Option<&'a str>,
    /// What one operation alone has: condition keys, in lower case without `kms:`, with each value.
    pub(crate) more: &'a [(&'a str, &'a str)],
}

/// The facts of a request by one principal on one key.
pub(super) struct CallFacts<'a> {
    pub(super) principal: &'a Principal,
    pub(super) key: Option<&'a Key>,
    pub(super) environment: &'a Environment<'a>,
    pub(super) request: &'a RequestFacts<'a>,
}

impl Facts for CallFacts<'_> {
    fn values(&self, key: &str) -> Vec<String> {
        let lower = key.to_ascii_lowercase();
        match lower.split_once(':') {
            Some(("kms", name)) => self.kms_values(name),
            Some(("aws", name)) => self.aws_values(name),
            // What one operation of another service has, under its whole name.
            _ => self.request.more_values(&lower),
        }
    }
}

impl RequestFacts<'_> {
    fn more_values(&self, name: &str) -> Vec<String> {
        let named = self.more.iter().filter(|(known, _)| *known == name);
        named.map(|(_, value)| (*value).to_owned()).collect()
    }
}

impl CallFacts<'_> {
    fn kms_values(&self, name: &str) -> Vec<String> {
        let request = self.request;
        if let Some(context_key) = name.strip_prefix("encryptioncontext:") {
            return named(request.encryption_context, context_key);
        }
        match name {
            "encryptioncontextkeys" => {
                request.encryption_context.into_iter().flatten().map(|(k, _)| k.clone()).collect()
            }
            "calleraccount" => vec![self.principal.account.to_string()],
            "keyorigin" => one(self.key.map(|key| key.origin.as_str()).or(request.key_origin)),
            "keyspec" | "customermasterkeyspec" => {
                one(self.key.map(|key| key.spec).or(request.key_spec).map(KeySpec::as_str))
            }
            "keyusage" | "customermasterkeyusage" => {
                one(self.key.map(|key| key.usage).or(request.key_usage).map(KeyUsage::as_str))
            }
            "encryptionalgorithm" => one(request.encryption_algorithm),
            "multiregion" if self.key.is_some() => {
                one(self.key.map(|key| key.primary_region.is_some()))
            }
            "multiregionkeytype" => one(self
                .key
                .filter(|key| key.primary_region.is_some())
                .map(|key| if key.is_primary() { "PRIMARY" } else { "REPLICA" })),
            "requestalias" => one(request.request_alias),
            "resourcealiases" => {
                request.resource_aliases.map(|look_up| look_up()).unwrap_or_default()
            }
            "bypasspolicylockoutsafetycheck" => one(request.bypass_policy_lockout),
            "schedulekeydeletionpendingwindowindays" => one(request.pending_window_days),
            "reencryptonsamekey" => one(request.reencrypt_on_same_key),
            // kms:ViaService and the keys of attestation: no request here has them.
            _ => request.more_values(name),
        }
    }

    fn aws_values(&self, name: &str) -> Vec<String> {
        if let Some(tag) = name.strip_prefix("resourcetag/") {
            return named(self.key.map(|key| key.tags.as_ref()), tag);
        }
        if let Some(tag) = name.strip_prefix("requesttag/") {
            return named(self.request.request_tags, tag);
        }
        let environment = self.environment;
        match name {
            "currenttime" => vec![environment.now.to_iso8601()],
            "epochtime" => vec![environment.now.as_seconds().to_string()],
            "sourceip" => one(environment.source_ip.map(|address| address.to_canonical())),
            "securetransport" => vec![environment.is_secure.to_string()],
            "useragent" => one(environment.user_agent),
            "requestedregion" => one(Some(environment.region)),
            "principalarn" => vec![self.principal.identity_arn().to_owned()],
            "principalaccount" => vec![self.principal.account.to_string()],
            "principaltype" => {
                let kind = match &self.principal.identity {
                    super::Identity::Root => "Account",
                    super::Identity::User { .. } => "User",
                    super::Identity::Role { .. } => "AssumedRole",
                };
                vec![kind.to_owned()]
            }
            "userid" => vec![self.principal.unique_id.clone()],
            "username" => match &self.principal.identity {
                super::Identity::User { name, .. } => vec![name.clone()],
                super::Identity::Root | super::Identity::Role { .. } => Vec::new(),
            },
            "tokenissuetime" => match &self.principal.identity {
                super::Identity::Role { issued, .. } => vec![issued.to_iso8601()],
                _ => Vec::new(),
            },
            "tagkeys" => {
                self.request.request_tags.into_iter().flatten().map(|(k, _)| k.clone()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Every value whose name equals `wanted`, which is in lower case, without regard to case.
fn named(map: Option<&BTreeMap<String, String>>, wanted: &str) -> Vec<String> {
    map.into_iter()
        .flatten()
        .filter(|(name, _)| name.to_ascii_lowercase() == wanted)
        .map(|(_, value)| value.clone())
        .collect()
}

fn one(value: Option<impl ToString>) -> Vec<String> {
    value.map(|value| value.to_string()).into_iter().collect()
}
