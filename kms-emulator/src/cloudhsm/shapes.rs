//! Constraints of members that several operations share, as the API model has them, and faults in the
//! words of the service.

use std::fmt::Display;
use std::net::Ipv4Addr;

use crate::ids::{ClusterId, HsmId, InterfaceId, RealmId};
use crate::protocol::{Fault, FaultCode, StringLimits};

/// No string of the model without a length of its own is longer than this.
const CHARACTERS_MAX: usize = 256;

pub(super) const CLUSTER_ID: StringLimits = StringLimits::length(0, CHARACTERS_MAX)
    .pattern("cluster-[2-7a-zA-Z]{11,16}", |text| text.parse::<ClusterId>().is_ok());
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
