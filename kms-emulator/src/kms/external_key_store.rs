//! The members of external key stores (XKS), which are read, held to the model, and refused.

use crate::ids::Region;
use crate::protocol::{EnumValues, Fault, Members, StringLimits};

use super::shapes::names;

const URI_ENDPOINT: StringLimits =
    StringLimits::length(10, 128).pattern("^https://[a-zA-Z0-9.-]+$", |text| {
        let is_host = |host: &str| {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
        };
        text.strip_prefix("https://").is_some_and(is_host)
    });
const URI_PATH: StringLimits = StringLimits::length(10, 128).pattern(
    "^(/[a-zA-Z0-9\\/_-]+/kms/xks/v\\d{1,2})$|^(/kms/xks/v\\d{1,2})$",
    |text| {
        let Some((prefix, version)) = text.rsplit_once("/kms/xks/v") else { return false };
        let is_prefix = prefix.is_empty()
            || prefix.len() > 1
                && prefix.starts_with('/')
                && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-".contains(&b));
        is_prefix && (1..=2).contains(&version.len()) && version.bytes().all(|b| b.is_ascii_digit())
    },
);
const ENDPOINT_SERVICE: StringLimits = StringLimits::length(20, 64).pattern(
    "^(com|eu)\\.amazonaws\\.vpce\\.([a-z]+-){2,3}\\d+\\.vpce-svc-[0-9a-z]+$",
    |text| {
        let parts: Vec<&str> = text.split('.').collect();
        let ["com" | "eu", "amazonaws", "vpce", region, service] = parts.as_slice() else {
            return false;
        };
        let is_id = |id: &str| {
            !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        region.parse::<Region>().is_ok() && service.strip_prefix("vpce-svc-").is_some_and(is_id)
    },
);
const ENDPOINT_SERVICE_OWNER: StringLimits = StringLimits::length(12, 12)
    .pattern("[0-9]{12}", |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()));
const ACCESS_KEY_ID: StringLimits = StringLimits::length(20, 30)
    .pattern("^[A-Z2-7]+$", |text| {
        !text.is_empty() && text.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'))
    })
    .sensitive();
const RAW_SECRET_ACCESS_KEY: StringLimits = StringLimits::length(43, 64)
    .pattern("^[a-zA-Z0-9\\/+=]+$", |text| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+=".contains(&b))
    })
    .sensitive();

names! {
    /// `XksProxyConnectivityType`.
    Connectivity {
        PublicEndpoint = "PUBLIC_ENDPOINT",
        VpcEndpointService = "VPC_ENDPOINT_SERVICE",
    }
}

/// Refuses a request that has any member of an external key store.
pub(super) fn refuse(members: &mut Members) -> Result<(), Fault> {
    let credential =
        members.optional_structure("XksProxyAuthenticationCredential", |credential| {
            credential.string("AccessKeyId", &ACCESS_KEY_ID)?;
            credential.string("RawSecretAccessKey", &RAW_SECRET_ACCESS_KEY).map(drop)
        })?;
    let connectivity = members.optional_enum::<Connectivity>("XksProxyConnectivity")?;
    let mut is_given = credential.is_some() || connectivity.is_some();
    for (name, limits) in [
        ("XksProxyUriEndpoint", &URI_ENDPOINT),
        ("XksProxyUriPath", &URI_PATH),
        ("XksProxyVpcEndpointServiceName", &ENDPOINT_SERVICE),
        ("XksProxyVpcEndpointServiceOwner", &ENDPOINT_SERVICE_OWNER),
    ] {
        is_given |= members.optional_string(name, limits)?.is_some();
    }
    if is_given {
        members.refuse(unsupported());
    }
    Ok(())
}

/// The refusal of an external key store.
pub(super) fn unsupported() -> Fault {
    Fault::unsupported("External key stores are not provided here.")
}
