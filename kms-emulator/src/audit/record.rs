//! One record of the audit trail.
//!
//! Source: CloudTrail user guide, "CloudTrail record contents" and "CloudTrail userIdentity element".

use std::sync::Arc;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::members;
use crate::auth::Peer;
use crate::clock::Timestamp;
use crate::ids::{AccountId, Region, random_uuid};
use crate::policy::{Identity, Principal};
use crate::protocol::{Fault, FaultCode};
use crate::records::Key;

/// The version of the record's form.
const EVENT_VERSION: &str = "1.11";
/// Longest error message, in characters; a policy's text may stand in one.
const ERROR_MESSAGE_CHARACTERS_MAX: usize = 1_024;

/// Who did it.
#[derive(Clone, Debug)]
pub(crate) enum Actor {
    /// A caller whose signature matched; an access key unless the call came from inside the process.
    Caller(Arc<Principal>, Option<Arc<str>>),
    /// A caller who is not authenticated.
    Unknown,
    /// The server by itself.
    Service(AccountId),
}

/// What a call was about.
#[derive(Clone, Debug)]
pub(crate) enum Touched {
    Key(Arc<Key>),
    /// An alias, by its ARN.
    Alias(String),
}

impl Touched {
    /// The alias that an ARN names, if it does.
    pub(crate) fn alias(arn: &str) -> Option<Self> {
        arn.contains(":alias/").then(|| Self::Alias(arn.to_owned()))
    }

    fn arn(&self) -> String {
        match self {
            Self::Key(key) => key.arn().to_string(),
            Self::Alias(arn) => arn.clone(),
        }
    }

    fn key(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Alias(_) => None,
        }
    }
}

/// What went over the wire.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    /// The operation's name.
    pub(crate) operation: &'a str,
    /// The request's body.
    pub(crate) request: &'a [u8],
    /// The reply's body, or the refusal.
    pub(crate) outcome: Result<&'a [u8], &'a Fault>,
}

/// Something to be recorded; it holds no secret.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    at: Timestamp,
    id: Uuid,
    request_id: Option<Uuid>,
    /// For example `kms.amazonaws.com`.
    source: &'static str,
    name: String,
    region: Region,
    actor: Actor,
    peer: Peer,
    request: Option<Map<String, Value>>,
    reply: Option<Map<String, Value>>,
    beside: Map<String, Value>,
    error: Option<(String, String)>,
    resources: Option<Vec<Resource>>,
    /// Of an event that no call caused.
    service_event: Option<Value>,
}

/// A key or alias that the call was about.
#[derive(Clone, Debug, Serialize)]
struct Resource {
    #[serde(rename = "accountId")]
    account: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "ARN")]
    arn: String,
}

impl Event {
    /// A call of `service` (for example `kms`), as it begins: without what came of it.
    pub(crate) fn call(
        at: Timestamp,
        service: &'static str,
        region: Region,
        actor: Actor,
        peer: Peer,
        request_id: Uuid,
    ) -> Self {
        let source = match service {
            "cloudhsm" => "cloudhsm.amazonaws.com",
            "sts" => "sts.amazonaws.com",
            _ => "kms.amazonaws.com",
        };
        Self {
            at,
            id: random_uuid(),
            request_id: Some(request_id),
            source,
            name: String::new(),
            region,
            actor,
            peer,
            request: None,
            reply: None,
            beside: Map::new(),
            error: None,
            resources: None,
            service_event: None,
        }
    }

    /// Something that the KMS does to a key by itself, for example `RotateKey`.
    pub(crate) fn of_service(at: Timestamp, name: &str, key: &Key, details: Option<Value>) -> Self {
        let actor = Actor::Service(key.realm.account);
        let mut event =
            Self::call(at, "kms", key.realm.region.clone(), actor, Peer::default(), Uuid::nil());
        event.request_id = None;
        event.name = name.to_owned();
        event.resources = Some(vec![Resource::of_arn(&key.arn().to_string())]);
        event.beside_store(key);
        event.service_event = Some(details.unwrap_or(Value::Null));
        event
    }

    /// The end of a key. Of one in a custom key store it says in which cluster its material was, and whether it could be
    /// destroyed there.
    pub(crate) fn deleted(at: Timestamp, key: &Key, destroyed: Option<(&str, bool)>) -> Self {
        let mut event = Self::of_service(at, "DeleteKey", key, None);
        let mut reply = Map::new();
        reply.insert("keyId".to_owned(), key.arn().to_string().into());
        event.reply = Some(reply);
        if let Some((cluster, was_destroyed)) = destroyed {
            let mut backing = backing_key(key);
            event.beside.insert("clusterId".to_owned(), cluster.into());
            event.beside.insert("backingKeys".to_owned(), listed(&backing));
            let status = if was_destroyed { "SUCCESS" } else { "FAILURE" };
            backing.insert("deletionStatus".to_owned(), status.into());
            event.beside.insert("backingKeysDeletionStatus".to_owned(), listed(&backing));
        }
        event
    }

    /// The gap that `lost` records left.
    pub(super) fn gap(at: Timestamp, account: AccountId, region: Region, lost: u64) -> Self {
        let actor = Actor::Service(account);
        let mut event = Self::call(at, "kms", region, actor, Peer::default(), Uuid::nil());
        event.request_id = None;
        event.name = "AuditGap".to_owned();
        event.service_event = Some(serde_json::json!({ "lostRecords": lost }));
        event
    }

    /// What came of the call, and what it was about.
    pub(crate) fn complete(&mut self, exchange: Exchange<'_>, touched: &[Touched]) {
        let Exchange { operation, request, outcome } = exchange;
        operation.clone_into(&mut self.name);
        self.request = members::of_request(operation, request);
        let mut arns: Vec<String> = touched.iter().map(Touched::arn).collect();
        match outcome {
            Ok(reply) => {
                self.beside = members::beside_reply(reply);
                if !is_read_only(operation) {
                    self.reply = members::of_reply(reply);
                    arns.extend(self.reply.as_ref().and_then(members::made_key).map(str::to_owned));
                    self.show_changed_key(touched);
                }
            }
            Err(fault) => self.error = Some(error(fault)),
        }
        for key in touched.iter().filter_map(Touched::key) {
            self.beside_store(key);
            if operation == "CreateKey" && key.custom_key_store.is_some() {
                let backing = Value::Object(backing_key(key)).to_string();
                self.beside.insert("backingKey".to_owned(), backing.into());
            }
        }
        let mut known = std::collections::BTreeSet::new();
        arns.retain(|arn| known.insert(arn.clone()));
        self.resources = Some(arns.iter().map(|arn| Resource::of_arn(arn)).collect());
    }

    /// A call that its client gave up, after which nobody knows what came of it.
    pub(crate) fn abandon(&mut self, operation: &str) {
        operation.clone_into(&mut self.name);
        let message = "The client closed the connection before the call ended.";
        self.error = Some(("ClientDisconnected".to_owned(), message.to_owned()));
    }

    /// Since December 2022 records name the changed key, whether or not the reply does.
    fn show_changed_key(&mut self, touched: &[Touched]) {
        let Some(key) = touched.iter().find_map(Touched::key) else { return };
        let reply = self.reply.get_or_insert_default();
        if !reply.contains_key("replicaKeyMetadata") && !reply.contains_key("keyMetadata") {
            reply.entry("keyId").or_insert_with(|| key.arn().to_string().into());
        }
    }

    fn beside_store(&mut self, key: &Key) {
        if let Some(store) = &key.custom_key_store {
            self.beside.insert("customKeyStoreId".to_owned(), store.as_ref().into());
        }
    }

    /// When it happened.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// Whose it is.
    pub(super) fn account(&self) -> Option<AccountId> {
        match &self.actor {
            Actor::Caller(principal, _) => Some(principal.account),
            Actor::Service(account) => Some(*account),
            Actor::Unknown => None,
        }
    }

    /// Where it happened.
    pub(super) fn region(&self) -> &Region {
        &self.region
    }
}

/// Names the material of a key in a custom key store. The number that it has in an HSM is another one in each.
fn backing_key(key: &Key) -> Map<String, Value> {
    let mut backing = Map::new();
    backing.insert("backingKeyId".to_owned(), key.material.id.to_string().into());
    backing
}

/// A list of one, as text: so CloudTrail has what a backing key is.
fn listed(backing: &Map<String, Value>) -> Value {
    Value::Array(vec![Value::Object(backing.clone())]).to_string().into()
}

/// The code and the message of a refusal. CloudTrail leaves `Exception` out of the one common error.
fn error(fault: &Fault) -> (String, String) {
    let code = match fault.code() {
        FaultCode::AccessDeniedException => "AccessDenied",
        other => other.as_str(),
    };
    let message = fault.message().chars().take(ERROR_MESSAGE_CHARACTERS_MAX).collect();
    (code.to_owned(), message)
}

/// Whether an operation changes nothing. Using a key is reading it, in the samples too.
fn is_read_only(operation: &str) -> bool {
    [
        "Assume",
        "Decrypt",
        "Derive",
        "Describe",
        "Encrypt",
        "Generate",
        "Get",
        "List",
        "ReEncrypt",
        "Sign",
        "Verify",
    ]
    .iter()
    .any(|verb| operation.starts_with(verb))
}

impl Resource {
    fn of_arn(arn: &str) -> Self {
        let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
        Self { account, kind: "AWS::KMS::Key", arn: arn.to_owned() }
    }
}

impl Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_map(None)?;
        record.serialize_entry("eventVersion", EVENT_VERSION)?;
        record.serialize_entry("userIdentity", &UserIdentity(&self.actor))?;
        record.serialize_entry("eventTime", &self.at.to_iso8601())?;
        record.serialize_entry("eventSource", self.source)?;
        record.serialize_entry("eventName", &self.name)?;
        record.serialize_entry("awsRegion", self.region.as_str())?;
        let inside = "AWS Internal";
        match self.peer.address {
            Some(address) => record.serialize_entry("sourceIPAddress", &address)?,
            None => record.serialize_entry("sourceIPAddress", inside)?,
        }
        let agent =
            self.peer.user_agent.as_deref().or(self.peer.address.is_none().then_some(inside));
        record.serialize_entry("userAgent", &agent)?;
        if let Some((code, message)) = &self.error {
            record.serialize_entry("errorCode", code)?;
            record.serialize_entry("errorMessage", message)?;
        }
        record.serialize_entry("requestParameters", &self.request)?;
        record.serialize_entry("responseElements", &self.reply)?;
        if !self.beside.is_empty() {
            record.serialize_entry("additionalEventData", &self.beside)?;
        }
        if let Some(id) = &self.request_id {
            record.serialize_entry("requestID", id)?;
        }
        record.serialize_entry("eventID", &self.id)?;
        let read_only = self.service_event.is_none() && is_read_only(&self.name);
        record.serialize_entry("readOnly", &read_only)?;
        if let Some(resources) = &self.resources {
            record.serialize_entry("resources", resources)?;
        }
        let kind = if self.service_event.is_some() { "AwsServiceEvent" } else { "AwsApiCall" };
        record.serialize_entry("eventType", kind)?;
        record.serialize_entry("managementEvent", &true)?;
        if let Some(account) = self.account() {
            record.serialize_entry("recipientAccountId", &account.to_string())?;
        }
        if let Some(details) = self.service_event.as_ref().filter(|details| !details.is_null()) {
            record.serialize_entry("serviceEventDetails", details)?;
        }
        record.serialize_entry("eventCategory", "Management")?;
        if let Some(tls) = &self.peer.tls {
            record.serialize_entry("tlsDetails", tls)?;
        }
        record.end()
    }
}

/// The `userIdentity` element.
struct UserIdentity<'a>(&'a Actor);

impl Serialize for UserIdentity<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut element = serializer.serialize_map(None)?;
        match self.0 {
            Actor::Unknown => element.serialize_entry("type", "Unknown")?,
            Actor::Service(account) => {
                element.serialize_entry("accountId", &account.to_string())?;
                element.serialize_entry("invokedBy", "AWS Internal")?;
            }
            Actor::Caller(principal, access_key_id) => {
                let kind = match &principal.identity {
                    Identity::Root => "Root",
                    Identity::User { .. } => "IAMUser",
                    Identity::Role { .. } => "AssumedRole",
                };
                element.serialize_entry("type", kind)?;
                element.serialize_entry("principalId", &principal.unique_id)?;
                element.serialize_entry("arn", &principal.arn)?;
                element.serialize_entry("accountId", &principal.account.to_string())?;
                if let Some(id) = access_key_id {
                    element.serialize_entry("accessKeyId", id.as_ref())?;
                }
                match &principal.identity {
                    Identity::Root => {}
                    Identity::User { name, .. } => element.serialize_entry("userName", name)?,
                    Identity::Role { name, role_arn, role_id, issued, .. } => {
                        let context = json!({
                            "sessionIssuer": {
                                "type": "Role",
                                "principalId": role_id,
                                "arn": role_arn,
                                "accountId": principal.account.to_string(),
                                "userName": name,
                            },
                            "attributes": {
                                "creationDate": issued.to_iso8601(),
                                "mfaAuthenticated": "false",
                            },
                        });
                        element.serialize_entry("sessionContext", &context)?;
                    }
                }
            }
        }
        element.end()
    }
}
