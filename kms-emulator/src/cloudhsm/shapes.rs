//! Constraints of members that several operations share, as the API model has them, and faults in the
//! words of the service.

use std::fmt::Display;
use std::net::Ipv4Addr;

use crate::ids::{BackupId, ClusterId, HsmId, InterfaceId, RealmId, Region};
use crate::protocol::{Fault, FaultCode, StringLimits};

/// No string of the model without a length of its own is longer than this.
const CHARACTERS_MAX: usize = 256;

pub(super) const CLUSTER_ID: StringLimits = StringLimits::length(0, CHARACTERS_MAX)
    .pattern("cluster-[2-7a-zA-Z]{11,16}", |text| text.parse::<ClusterId>().is_ok());
pub(super) const BACKUP_ID: StringLimits = StringLimits::length(0, CHARACTERS_MAX)
    .pattern("backup-[2-7a-zA-Z]{11,16}", |text| text.parse::<BackupId>().is_ok());
/// A backup's id or ARN.
pub(super) const BACKUP_NAME: StringLimits = StringLimits::length(0, CHARACTERS_MAX).pattern(
    "^(arn:aws(-(us-gov))?:cloudhsm:([a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}\
     -[0-9]{1}):[0-9]{12}:backup/)?backup-[2-7a-zA-Z]{11,16}",
    |text| backup_in(text).is_some(),
);
pub(super) const HSM_TYPE: StringLimits = StringLimits::length(0, 32)
    .pattern("((p|)hsm[0-9][a-z.]*\\.[a-zA-Z]+)", |text| text.contains("hsm"));
/// What can have tags.
pub(super) const TAGGED_ID: StringLimits = StringLimits::length(0, CHARACTERS_MAX)
    .pattern("(?:cluster|backup)-[2-7a-zA-Z]{11,16}", |text| {
        text.parse::<ClusterId>().is_ok() || text.parse::<BackupId>().is_ok()
    });
/// Clusters, backups and HSMs by their ARN.
pub(super) const RESOURCE_ARN: StringLimits = StringLimits::length(0, CHARACTERS_MAX).pattern(
    "arn:aws(-(us-gov))?:cloudhsm:([a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}\
     -[0-9]{1}):[0-9]{12}:(backup/backup|cluster/cluster|hsm/hsm)-[2-7a-zA-Z]{11,16}",
    |text| text.starts_with("arn:aws") && text.contains(":cloudhsm:"),
);
pub(super) const REGION: StringLimits = StringLimits::length(0, CHARACTERS_MAX)
    .pattern("[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\\d", |text| {
        text.parse::<Region>().is_ok()
    });
pub(super) const TOKEN: StringLimits = StringLimits::length(0, 256);
pub(super) const HSM_ID: StringLimits = StringLimits::length(0, CHARACTERS_MAX)
    .pattern("hsm-[2-7a-zA-Z]{11,16}", |text| text.parse::<HsmId>().is_ok());
pub(super) const INTERFACE_ID: StringLimits = StringLimits::length(0, CHARACTERS_MAX)
    .pattern("eni-[0-9a-fA-F]{8,17}", |text| text.parse::<InterfaceId>().is_ok());
pub(super) const IP_ADDRESS: StringLimits = StringLimits::length(0, CHARACTERS_MAX)
    .pattern("\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}", |text| text.parse::<Ipv4Addr>().is_ok());
pub(super) const ZONE: StringLimits = StringLimits::length(0, CHARACTERS_MAX)
    .pattern("[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\\d[a-z]", |text| {
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    });
pub(super) const CERTIFICATE: StringLimits =
    StringLimits::length(0, 20_000).pattern("[a-zA-Z0-9+-/=\\s]*", |text| {
        // Between + and / lie the comma, the hyphen and the point.
        text.chars().all(|c| c.is_ascii_alphanumeric() || "+,-./=".contains(c) || c.is_whitespace())
    });

/// The account (none for an id alone) and the id that a backup's id or ARN names, of whatever Region.
pub(super) fn backup_in(text: &str) -> Option<(Option<RealmId>, BackupId)> {
    let Some(arn) = text.strip_prefix("arn:aws:cloudhsm:") else {
        return text.parse().ok().map(|id| (None, id));
    };
    let mut parts = arn.splitn(3, ':');
    let region = parts.next()?.parse().ok()?;
    let account = parts.next()?.parse().ok()?;
    let id = parts.next()?.strip_prefix("backup/")?.parse().ok()?;
    Some((Some(RealmId { account, region }), id))
}

/// A request that the service refuses.
pub(super) fn invalid_request(message: impl Into<String>) -> Fault {
    Fault::new(FaultCode::CloudHsmInvalidRequestException, message)
}

/// A cluster that does not exist.
pub(super) fn cluster_not_found(realm: &RealmId, id: &str) -> Fault {
    Fault::new(
        FaultCode::CloudHsmResourceNotFoundException,
        format!(
            "Cluster {id} does not exist in account {} and Region {}.",
            realm.account, realm.region
        ),
    )
}

/// A backup that does not exist.
pub(super) fn backup_not_found(realm: &RealmId, id: &str) -> Fault {
    not_found(format!(
        "Backup {id} does not exist in account {} and Region {}.",
        realm.account, realm.region
    ))
}

/// Something that a cluster does not have.
pub(super) fn not_found(message: impl Into<String>) -> Fault {
    Fault::new(FaultCode::CloudHsmResourceNotFoundException, message)
}

/// A failure of ours.
pub(super) fn internal(cause: impl Display) -> Fault {
    Fault::new(
        FaultCode::CloudHsmInternalFailureException,
        "The request was rejected because of an AWS CloudHSM internal failure. The request can be retried.",
    )
    .because(cause)
}
