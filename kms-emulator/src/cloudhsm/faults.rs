//! What an operator does to the built-in network, and to the surroundings of single HSMs: what EC2 and the
//! world do to real ones.
//!
//! Faults are the network's, not the devices': they survive a restart of the server, and an HSM that is
//! made later meets them too.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use strongroom_hsm::Conditions;
use strongroom_hsm::limits::{DELAY_MILLIS_MAX, SESSIONS_MAX};
use strongroom_hsm::server::{CLIENT_PORT, MANAGEMENT_PORT};

use super::network::{SUBNET_ADDRESSES, SUBNETS};
use crate::records::Cluster;

/// The ports that the security group of every cluster opens between its members.
pub(crate) const PORTS: std::ops::RangeInclusive<u16> = CLIENT_PORT..=MANAGEMENT_PORT;

/// Everything that is wrong with the network of a server; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkFaults {
    /// Ports from 2223 to 2225 that a security group does not open, by the id of its cluster.
    pub closed_ports: BTreeMap<String, BTreeSet<u16>>,
    /// Private subnets that were deleted.
    pub deleted_subnets: BTreeSet<String>,
    /// Addresses of a subnet that other interfaces hold.
    pub occupied_addresses: BTreeMap<String, u8>,
    /// What is wrong around single HSMs, by id.
    pub hsms: BTreeMap<String, HsmFaults>,
}

/// What is wrong around one HSM; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HsmFaults {
    /// Nothing arrives there and nothing comes from there.
    pub partitioned: bool,
    /// Time that each answer takes longer, in milliseconds, at most 60,000.
    pub delay_millis: u32,
    /// Sessions that other programs hold, of 1,024.
    pub occupied_sessions: u32,
    /// Commands that its hardware executes in a second, at most; 0 for as many as it can.
    pub commands_per_second: u32,
}

/// One change that an operator makes to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change", rename_all_fields = "camelCase")]
pub enum NetworkChange {
    /// The security group of a cluster stops to open ports.
    ClosePorts {
        /// The cluster.
        cluster_id: String,
        /// From 2223 to 2225.
        ports: BTreeSet<u16>,
    },
    /// It opens them again.
    OpenPorts {
        /// The cluster.
        cluster_id: String,
        /// From 2223 to 2225.
        ports: BTreeSet<u16>,
    },
    /// A private subnet is deleted; no HSM may be in it.
    DeleteSubnet {
        /// One of the server's.
        subnet_id: String,
    },
    /// A deleted subnet is there again.
    CreateSubnet {
        /// One of the server's.
        subnet_id: String,
    },
    /// Other interfaces take addresses of a subnet; 0 gives all back.
    OccupyAddresses {
        /// One of the server's.
        subnet_id: String,
        /// How many of its 59.
        addresses: u8,
    },
    /// The surroundings of one HSM change to these.
    SetHsm {
        /// The HSM.
        hsm_id: String,
        /// From now on.
        faults: HsmFaults,
    },
}

impl NetworkFaults {
    /// Whether a cluster's security group opens every port that the KMS needs.
    pub(crate) fn opens_all_ports(&self, cluster: &Cluster) -> bool {
        self.closed_ports.get(cluster.id.as_str()).is_none_or(BTreeSet::is_empty)
    }

    /// Whether a subnet is there.
    pub(crate) fn has_subnet(&self, subnet: &str) -> bool {
        !self.deleted_subnets.contains(subnet)
    }

    /// Addresses of a subnet that other interfaces hold.
    pub(crate) fn occupied(&self, subnet: &str) -> usize {
        self.occupied_addresses.get(subnet).copied().unwrap_or_default().into()
    }

    /// What the device of an HSM has to know.
    pub(crate) fn conditions(&self, cluster: &Cluster, hsm: &str) -> Conditions {
        let faults = self.hsms.get(hsm).copied().unwrap_or_default();
        let closed = self.closed_ports.get(cluster.id.as_str());
        let is_closed = |port| closed.is_some_and(|ports| ports.contains(&port));
        Conditions {
            partitioned: faults.partitioned,
            client_port_closed: is_closed(CLIENT_PORT),
            management_port_closed: is_closed(MANAGEMENT_PORT),
            delay_millis: faults.delay_millis,
            occupied_sessions: faults.occupied_sessions,
            commands_per_second: faults.commands_per_second,
        }
    }

    /// These faults after a change.
    ///
    /// # Errors
    /// What is wrong with the change, for the operator. That its cluster and its HSM exist is the
    /// caller's to know.
    pub(crate) fn after(&self, change: &NetworkChange) -> Result<Self, String> {
        let mut faults = self.clone();
        match change.clone() {
            NetworkChange::ClosePorts { cluster_id, ports } => {
                faults.closed_ports.entry(cluster_id).or_default().extend(check_ports(ports)?);
            }
            NetworkChange::OpenPorts { cluster_id, ports } => {
                let ports = check_ports(ports)?;
                let closed = faults.closed_ports.entry(cluster_id).or_default();
                closed.retain(|port| !ports.contains(port));
            }
            NetworkChange::DeleteSubnet { subnet_id } => {
                faults.deleted_subnets.insert(check_subnet(subnet_id)?);
            }
            NetworkChange::CreateSubnet { subnet_id } => {
                faults.deleted_subnets.remove(&check_subnet(subnet_id)?);
            }
            NetworkChange::OccupyAddresses { subnet_id, addresses } => {
                let subnet_id = check_subnet(subnet_id)?;
                if addresses > SUBNET_ADDRESSES {
                    return Err(format!("a subnet has {SUBNET_ADDRESSES} addresses"));
                }
                faults.occupied_addresses.insert(subnet_id, addresses);
            }
            NetworkChange::SetHsm { hsm_id, faults: of_hsm } => {
                of_hsm.check()?;
                faults.hsms.insert(hsm_id, of_hsm);
            }
        }
        faults.forget_what_is_whole();
        Ok(faults)
    }

    fn forget_what_is_whole(&mut self) {
        self.closed_ports.retain(|_, ports| !ports.is_empty());
        self.occupied_addresses.retain(|_, addresses| *addresses > 0);
        self.hsms.retain(|_, faults| *faults != HsmFaults::default());
    }
}

impl HsmFaults {
    fn check(self) -> Result<(), String> {
        if self.delay_millis > DELAY_MILLIS_MAX {
            return Err(format!("an answer is delayed by at most {DELAY_MILLIS_MAX} milliseconds"));
        }
        if self.occupied_sessions as usize > SESSIONS_MAX {
            return Err(format!("an HSM has {SESSIONS_MAX} sessions"));
        }
        Ok(())
    }
}

fn check_ports(ports: BTreeSet<u16>) -> Result<BTreeSet<u16>, String> {
    match ports.iter().find(|port| !PORTS.contains(port)) {
        None => Ok(ports),
        Some(port) => Err(format!(
            "the security group of a cluster opens the ports {} to {}, not {port}",
            PORTS.start(),
            PORTS.end()
        )),
    }
}

fn check_subnet(id: String) -> Result<String, String> {
    if SUBNETS.iter().any(|(_, subnet)| *subnet == id) {
        return Ok(id);
    }
    Err(format!("there is no subnet {id}; there are {}", SUBNETS.map(|(_, s)| s).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet() -> String {
        SUBNETS[0].1.to_owned()
    }

    #[test]
    fn changes_are_bounded() {
        let none = NetworkFaults::default();
        let occupy = |addresses| NetworkChange::OccupyAddresses { subnet_id: subnet(), addresses };
        assert!(none.after(&occupy(SUBNET_ADDRESSES)).is_ok());
        assert!(none.after(&occupy(SUBNET_ADDRESSES + 1)).is_err());
        let close = |port| NetworkChange::ClosePorts {
            cluster_id: "cluster-aaaaaaaaaaa".to_owned(),
            ports: BTreeSet::from([port]),
        };
        assert!(none.after(&close(2_222)).is_err() && none.after(&close(2_226)).is_err());
        assert!(none.after(&close(2_223)).is_ok() && none.after(&close(2_225)).is_ok());
        let delay = |delay_millis| NetworkChange::SetHsm {
            hsm_id: "hsm-aaaaaaaaaaa".to_owned(),
            faults: HsmFaults { delay_millis, ..HsmFaults::default() },
        };
        assert!(none.after(&delay(DELAY_MILLIS_MAX)).is_ok());
        assert!(none.after(&delay(DELAY_MILLIS_MAX + 1)).is_err());
        let elsewhere = NetworkChange::DeleteSubnet { subnet_id: "subnet-ffffffff".to_owned() };
        assert!(none.after(&elsewhere).unwrap_err().contains("subnet-0000000c"));
    }

    #[test]
    fn what_is_mended_leaves_no_trace() {
        let none = NetworkFaults::default();
        let deleted = none.after(&NetworkChange::DeleteSubnet { subnet_id: subnet() }).unwrap();
        assert!(!deleted.has_subnet(&subnet()));
        let created = NetworkChange::CreateSubnet { subnet_id: subnet() };
        assert_eq!(deleted.after(&created).unwrap(), none);
    }
}
