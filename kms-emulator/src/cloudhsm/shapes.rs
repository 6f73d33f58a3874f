//! Constraints of members that several operations share, as the API model has them, and faults in the
//! words of the service.

use std::fmt::Display;
use std::net::Ipv4Addr;

use crate::ids::{BackupId, ClusterId, HsmId, InterfaceId, RealmId};
use crate::protocol::{Fault, FaultCode, StringLimits};

/// What `.` of a pattern does not match.
const LINE_TERMINATORS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
const COMPASS: [&str; 5] = ["east", "west", "north", "south", "central"];
/// A string whose pattern alone limits its length.
const ANY_LENGTH: StringLimits = StringLimits::length(0, usize::MAX);

pub(super) const CLUSTER_ID: StringLimits =
    ANY_LENGTH.pattern("cluster-[2-7a-zA-Z]{11,16}", |text| text.parse::<ClusterId>().is_ok());
pub(super) const BACKUP_ID: StringLimits =
    ANY_LENGTH.pattern("backup-[2-7a-zA-Z]{11,16}", |text| text.parse::<BackupId>().is_ok());
/// A backup's id or ARN.
pub(super) const BACKUP_NAME: StringLimits = ANY_LENGTH.pattern(
    "^(arn:aws(-(us-gov))?:cloudhsm:([a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}\
     -[0-9]{1}):[0-9]{12}:backup/)?backup-[2-7a-zA-Z]{11,16}",
    |text| backup_in(text).is_some(),
);
pub(super) const HSM_TYPE: StringLimits =
    StringLimits::length(0, 32).pattern("((p|)hsm[0-9][a-z.]*\\.[a-zA-Z]+)", is_hsm_type);
/// What can have tags.
pub(super) const TAGGED_ID: StringLimits = ANY_LENGTH
    .pattern("(?:cluster|backup)-[2-7a-zA-Z]{11,16}", |text| {
        text.parse::<ClusterId>().is_ok() || text.parse::<BackupId>().is_ok()
    });
/// Clusters, backups and HSMs by their ARN.
pub(super) const RESOURCE_ARN: StringLimits = ANY_LENGTH.pattern(
    "arn:aws(-(us-gov))?:cloudhsm:([a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}\
     -[0-9]{1}):[0-9]{12}:(backup/backup|cluster/cluster|hsm/hsm)-[2-7a-zA-Z]{11,16}",
    |text| text.starts_with("arn:aws") && text.contains(":cloudhsm:"),
);
pub(super) const REGION: StringLimits =
    ANY_LENGTH.pattern("[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\\d", is_region);
pub(super) const TOKEN: StringLimits =
    StringLimits::length(0, 256).pattern(".*", |text| !text.contains(LINE_TERMINATORS));
pub(super) const HSM_ID: StringLimits =
    ANY_LENGTH.pattern("hsm-[2-7a-zA-Z]{11,16}", |text| text.parse::<HsmId>().is_ok());
pub(super) const SUBNET_ID: StringLimits = ANY_LENGTH.pattern("subnet-[0-9a-fA-F]{8,17}", |text| {
    text.strip_prefix("subnet-").is_some_and(|digits| {
        (8..=17).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
});
pub(super) const INTERFACE_ID: StringLimits =
    ANY_LENGTH.pattern("eni-[0-9a-fA-F]{8,17}", |text| text.parse::<InterfaceId>().is_ok());
pub(super) const IP_ADDRESS: StringLimits = ANY_LENGTH
    .pattern("\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}", |text| text.parse::<Ipv4Addr>().is_ok());
pub(super) const ZONE: StringLimits =
    ANY_LENGTH.pattern("[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\\d[a-z]", |text| {
        let letter = text.chars().next_back().filter(char::is_ascii_lowercase);
        letter.is_some() && text.get(..text.len() - 1).is_some_and(is_region)
    });
pub(super) const CERTIFICATE: StringLimits =
    StringLimits::length(0, 20_000).pattern("[a-zA-Z0-9+-/=\\s]*", |text| {
        // Between + and / lie the comma, the hyphen and the point.
        text.chars().all(|c| c.is_ascii_alphanumeric() || "+,-./=".contains(c) || c.is_whitespace())
    });

/// A Region in the model's pattern: two letters, `-gov` or not, one or two points of the compass, a digit.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [country, middle @ .., number] = parts.as_slice() else { return false };
    let middle = middle.strip_prefix(&["gov"]).unwrap_or(middle);
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_lowercase())
        && middle.len() == 1
        && is_compass(middle.first().copied().unwrap_or_default())
        && matches!(number.as_bytes(), [digit] if digit.is_ascii_digit())
}

/// A type in the model's pattern: `hsm` or `phsm`, a digit, letters and points, a point, letters.
fn is_hsm_type(text: &str) -> bool {
    let rest = text.strip_prefix('p').unwrap_or(text).strip_prefix("hsm");
    let rest = rest.and_then(|rest| rest.strip_prefix(|c: char| c.is_ascii_digit()));
    rest.and_then(|rest| rest.rsplit_once('.')).is_some_and(|(generation, size)| {
        generation.bytes().all(|b| b.is_ascii_lowercase() || b == b'.')
            && !size.is_empty()
            && size.bytes().all(|b| b.is_ascii_alphabetic())
    })
}

/// One or two points of the compass, as in `southeast`.
fn is_compass(text: &str) -> bool {
    let rests = COMPASS.iter().filter_map(|point| text.strip_prefix(point));
    rests.into_iter().any(|rest| rest.is_empty() || COMPASS.contains(&rest))
}

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
