//! The provider's side of a device: what the operator of the fleet does to it from outside the
//! cluster. It travels over the control channel in the device's directory, never over the network.

use crate::codec::{Blob, Text, wire_enum, wire_struct};
use crate::conditions::Conditions;
use crate::error::Refusal;
use crate::limits::{AUDIT_BYTES_MAX, BACKUP_BYTES_MAX};
use crate::state::Pem;
use crate::wire::{DeviceInfo, Members};

/// An encrypted copy of users, keys and cluster identity, which any device of the same factory and
/// owner can restore.
pub type Backup = Blob<BACKUP_BYTES_MAX>;

/// A piece of audit log.
pub type AuditText = Text<AUDIT_BYTES_MAX>;

wire_enum! {
    /// What the provider asks of a device.
    pub enum ProviderCommand as "provider command" {
        /// Asks for identity and state; also answered by a zeroised device.
        Status = 1,
        /// Makes the cluster's key and its signing request, or returns those made before.
        MakeRequest = 2,
        /// Puts the signed cluster certificate in place: the device is initialised.
        Initialize = 3 {
            /// The cluster certificate that the customer signed.
            certificate: Pem,
            /// What signed it.
            trust_anchor: Pem,
        },
        /// Makes a backup.
        Backup = 4,
        /// Replaces users, keys and cluster identity by those of a backup; sessions are closed.
        Restore = 5 {
            /// What `Backup` returned here or elsewhere.
            backup: Backup,
        },
        /// Tells the addresses of all HSMs of the cluster, for clients that ask.
        SetMembers = 6 {
            /// All of them, this one included.
            members: Members,
        },
        /// Reads the audit log.
        AuditLog = 7 {
            /// Byte of the log to start at.
            offset: u64,
        },
        /// Sets off the tamper response: the device zeroises itself at once.
        Tamper = 8,
        /// Switches the device off.
        PowerOff = 9,
        /// Replaces the conditions of the device's surroundings.
        SetConditions = 10 {
            /// From now on.
            conditions: Conditions,
        },
    }
}

wire_enum! {
    /// What a device answers its provider.
    pub enum ProviderResponse as "provider response" {
        /// It refused.
        Refused = 0 {
            /// Why.
            refusal: Refusal,
        },
        /// Done; there is nothing to tell.
        Done = 1,
        /// Identity and state.
        Status = 2 {
            /// All of that.
            status: Status,
        },
        /// Certificates and signing request.
        Request = 3 {
            /// All of them.
            certificates: ClusterCertificates,
        },
        /// A backup.
        Backup = 4 {
            /// The encrypted bytes.
            backup: Backup,
        },
        /// Whole events of the audit log.
        AuditLog = 5 {
            /// From the offset asked for.
            text: AuditText,
        },
    }
}

wire_struct! {
    /// Identity and state of a device.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Status {
        /// What anybody may know; `None` once zeroised.
        pub info: Option<DeviceInfo>,
        /// TCP port for clients (2223), 0 while it is closed.
        pub client_port: u16,
        /// TCP port for the management tools (2225), 0 while it is closed.
        pub management_port: u16,
    }
}

wire_struct! {
    /// The members of `Certificates` in *DescribeClusters* that the HSM makes, each in PEM.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ClusterCertificates {
        /// The request that the customer signs.
        pub csr: Pem,
        /// The same key, certified by the hardware.
        pub hsm_certificate: Pem,
        /// The hardware's key, certified by the owner of the fleet.
        pub aws_hardware_certificate: Pem,
        /// The hardware's key, certified by the manufacturer.
        pub manufacturer_hardware_certificate: Pem,
        /// The signed request, once the device is initialised.
        pub cluster_certificate: Option<Pem>,
    }
}

impl ProviderCommand {
    /// Whether the command makes keys, derives passwords, or moves or destroys everything.
    pub(crate) fn is_slow(&self) -> bool {
        match self {
            Self::MakeRequest
            | Self::Initialize { .. }
            | Self::Backup
            | Self::Restore { .. }
            | Self::AuditLog { .. }
            | Self::Tamper => true,
            Self::Status
            | Self::SetMembers { .. }
            | Self::SetConditions { .. }
            | Self::PowerOff => false,
        }
    }
}

impl From<Result<Self, Refusal>> for ProviderResponse {
    fn from(result: Result<Self, Refusal>) -> Self {
        result.unwrap_or_else(|refusal| Self::Refused { refusal })
    }
}
