//! AWS managed keys: those that `alias/aws/<service>` names. KMS makes one when its alias is first described.
//!
//! They serve requests that a service makes for its user (`kms:ViaService`), and nobody changes them: both are
//! what their key policy says. Here no service makes requests, so that they are there to be looked at.

use std::sync::Arc;

use strongroom_hsm::KeyKind;

use super::access::{FoundKey, Naming};
use super::{Call, key_policy};
use crate::ids::{ALIAS_PREFIX, AliasName, KeyId, RealmId};
use crate::keystore::KeyStoreError;
use crate::policy::RequestFacts;
use crate::protocol::Fault;
use crate::records::{
    Alias, Key, KeyManager, KeySpec, KeyUsage, Lifecycle, Material, Origin, RotationSchedule,
};

/// Days between two rotations, which cannot be turned off.
const ROTATION_PERIOD_DAYS: u32 = 365;

/// A service with a key of its own.
struct Service {
    /// Behind `alias/aws/`.
    alias: &'static str,
    /// The first label of its endpoint, for `kms:ViaService`.
    endpoint: &'static str,
    name: &'static str,
    /// What the key protects.
    protects: &'static str,
}

const fn service(
    alias: &'static str,
    endpoint: &'static str,
    name: &'static str,
    protects: &'static str,
) -> Service {
    Service { alias, endpoint, name, protects }
}

const SERVICES: &[Service] = &[
    service("acm", "acm", "ACM", "ACM private keys"),
    service("backup", "backup", "Backup", "Backup data"),
    service("codecommit", "codecommit", "CodeCommit", "CodeCommit repositories"),
    service("dynamodb", "dynamodb", "DynamoDB", "DynamoDB data"),
    service("ebs", "ec2", "EBS", "EBS volumes"),
    service("elasticfilesystem", "elasticfilesystem", "EFS", "EFS filesystems"),
    service("es", "es", "OpenSearch Service", "OpenSearch data"),
    service("glue", "glue", "Glue", "Glue data"),
    service("kinesis", "kinesis", "Kinesis", "Kinesis data"),
    service("lambda", "lambda", "Lambda", "Lambda functions"),
    service("rds", "rds", "RDS", "RDS database volumes"),
    service("redshift", "redshift", "Redshift", "Redshift clusters"),
    service("s3", "s3", "S3", "S3 objects"),
    service("secretsmanager", "secretsmanager", "Secrets Manager", "Secrets Manager data"),
    service("sns", "sns", "SNS", "SNS data"),
    service("sqs", "sqs", "SQS", "SQS messages"),
    service("ssm", "ssm", "SSM", "SSM parameters"),
    service("xray", "xray", "X-Ray", "X-Ray data"),
];

impl Service {
    /// The service of an alias.
    fn of(alias: &AliasName) -> Option<&'static Self> {
        let name = alias.as_str().strip_prefix(ALIAS_PREFIX)?.strip_prefix("aws/")?;
        SERVICES.iter().find(|service| service.alias == name)
    }

    /// The policy: use through the service alone, and a look for the account.
    fn policy(&self, realm: &RealmId) -> String {
        serde_json::json!({
            "Version": "2012-10-17",
            "Id": format!("auto-{}-1", self.alias),
            "Statement": [
                {
                    "Sid": format!(
                        "Allow access through {} for all principals in the account that are \
                         authorized to use {0}",
                        self.name
                    ),
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": [
                        "kms:Encrypt",
                        "kms:Decrypt",
                        "kms:ReEncrypt*",
                        "kms:GenerateDataKey*",
                        "kms:CreateGrant",
                        "kms:DescribeKey",
                    ],
                    "Resource": "*",
                    "Condition": {"StringEquals": {
                        "kms:CallerAccount": realm.account.to_string(),
                        "kms:ViaService": format!("{}.{}.amazonaws.com", self.endpoint, realm.region),
                    }},
                },
                {
                    "Sid": "Allow direct access to key metadata to the account",
                    "Effect": "Allow",
                    "Principal": {"AWS": format!("arn:aws:iam::{}:root", realm.account)},
                    "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
                    "Resource": "*",
                },
            ],
        })
        .to_string()
    }

    /// The key, whose material has yet to be made.
    fn key(&self, call: &Call) -> Result<Key, Fault> {
        let rotation = RotationSchedule {
            period_days: ROTATION_PERIOD_DAYS,
            next: call.now.plus_days(ROTATION_PERIOD_DAYS),
        };
        let description =
            format!("Default key that protects my {} when no other key is defined", self.protects);
        Ok(Key {
            realm: call.realm.clone(),
            id: KeyId::random(),
            created: call.now,
            description: description.into(),
            lifecycle: Lifecycle::Enabled,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            manager: KeyManager::Aws,
            custom_key_store: None,
            policy: key_policy::parse(&self.policy(&call.realm))?,
            tags: Arc::default(),
            material: Arc::new(Material::awaited()),
            earlier: Arc::default(),
            pending: None,
            rotation: Some(rotation),
            primary_region: None,
            last_usage: Arc::default(),
        })
    }
}

/// Finds a key as `Call::find_key` does, and makes it if it is an AWS managed one that is not there yet.
///
/// # Errors
/// Those of `Call::find_key`, and `AccessDeniedException` before anything is made.
pub(super) async fn find_or_make(call: &Call, name: &str) -> Result<FoundKey, Fault> {
    let found = call.find_key(name, Naming::KeyOrAlias);
    let alias = call.own_alias(name).filter(|_| found.is_err());
    let service = alias.as_ref().and_then(Service::of);
    let (Some(alias), Some(service)) = (alias, service) else { return found };
    let key = service.key(call)?;
    FoundKey::of(&Arc::new(key.clone())).authorize(call, RequestFacts::default())?;
    let material = call.kms.key_stores.fleet().create_kind(KeyKind::Aes256).await;
    let material = material.map_err(KeyStoreError::into_creation_fault)?.into();
    let key = Key { material, ..key };
    let made = call
        .update(move |draft| {
            let state = draft.state();
            // Another request may have been first.
            let there = state.alias(&key.realm, &alias).map(|alias| alias.target);
            if let Some(there) = there.and_then(|id| state.key(&key.realm, id)) {
                return Ok(Arc::clone(there));
            }
            draft.put_key(key.clone());
            draft.put_alias(Alias {
                realm: key.realm.clone(),
                name: alias.clone(),
                target: key.id,
                created: key.created,
                updated: key.created,
            });
            Ok(Arc::new(key.clone()))
        })
        .await?;
    Ok(FoundKey::of(&made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_their_aliases_alone() {
        let service = |alias: &str| Service::of(&alias.parse().unwrap()).map(|known| known.alias);
        assert_eq!(service("alias/aws/s3"), Some("s3"));
        assert_eq!(service("alias/aws/s4"), None);
        assert_eq!(service("alias/s3"), None);
        for known in SERVICES {
            assert_eq!(service(&format!("alias/aws/{}", known.alias)), Some(known.alias));
        }
    }
}
