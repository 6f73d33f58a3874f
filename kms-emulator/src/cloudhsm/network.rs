//! The built-in network: one VPC with three private subnets, one in each availability zone.
//!
//! The ids are the same in every Region. Addresses are loopback addresses, which stand for the
//! network interfaces of HSMs: each server takes one network `127.x.y.0/24` of the machine, so that
//! several servers can run at once, and cuts it into one `/26` for each zone. All accounts and Regions
//! of a server share them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::faults::NetworkFaults;
use crate::ids::Region;
use crate::records::ConnectionState;
use crate::registry::State;

/// The VPC of every Region.
pub const VPC: &str = "vpc-00000001";
/// The private subnets of every Region, with the letter of their availability zone.
pub const SUBNETS: [(char, &str); 3] =
    [('a', "subnet-0000000a"), ('b', "subnet-0000000b"), ('c', "subnet-0000000c")];

/// The file that remembers which network the server has.
const FILE_NAME: &str = "network";
/// The file that remembers what the operator did to the network.
const FAULTS_FILE_NAME: &str = "network-faults.json";
/// Networks tried at the first start before giving up.
const ATTEMPTS_MAX: usize = 32;
/// How often the own network is claimed before it counts as another server's.
const CLAIM_TRIES_MAX: usize = 20;
/// Pause between two of these tries, in milliseconds.
const CLAIM_PAUSE_MILLIS: u64 = 50;
/// All addresses of a subnet, a `/26`.
const SUBNET_SIZE: u8 = 64;
/// Addresses of a subnet that interfaces can have.
pub(super) const SUBNET_ADDRESSES: u8 = SUBNET_SIZE - RESERVED_FIRST - 1;
/// The first addresses of a subnet, which AWS keeps for itself; and so does it with the last.
const RESERVED_FIRST: u8 = 4;
/// Whoever holds this UDP port of the network's first address owns the network.
const CLAIM_PORT: u16 = 2_223;

/// The network of one server; it is the server's for as long as this value lives.
pub(crate) struct Network {
    prefix: [u8; 3],
    dir: PathBuf,
    faults: ArcSwap<NetworkFaults>,
    _claim: UdpSocket,
}

/// Why a server has no network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Another server runs on the network that this data directory has.
    #[error("another server uses the loopback network {network} of this data directory; stop it")]
    InUse {
        /// For example `127.33.44.0/24`.
        network: String,
    },
    /// No network is left, or the system has no loopback addresses beyond `127.0.0.1`.
    #[error("no free network was found among the loopback addresses 127.x.y.0/24")]
    NoneFree,
    /// The file that remembers the network cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Why there is no address for a new interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressError {
    /// The subnet is full.
    Exhausted,
    /// The address asked for is not one of the subnet's.
    Outside,
    /// The address asked for is taken.
    Taken,
}

impl Network {
    /// Takes the network that `dir` remembers, or a free one at the first start.
    pub(crate) async fn open(dir: &Path) -> Result<Self, NetworkError> {
        let path = dir.join(FILE_NAME);
        let failed = |source| NetworkError::File { path: path.clone(), source };
        let (prefix, claim) = match fs::read_to_string(&path) {
            Ok(text) => {
                let prefix =
                    parse(text.trim_end()).ok_or_else(|| failed(ErrorKind::InvalidData.into()))?;
                (prefix, Self::claim_again(prefix).await?)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let (prefix, claim) = Self::choose()?;
                write_durably(dir, &path, &network_name(prefix)).map_err(failed)?;
                (prefix, claim)
            }
            Err(error) => return Err(failed(error)),
        };
        let faults = ArcSwap::from_pointee(read_faults(&dir.join(FAULTS_FILE_NAME))?);
        Ok(Self { prefix, dir: dir.to_owned(), faults, _claim: claim })
    }

    fn choose() -> Result<([u8; 3], UdpSocket), NetworkError> {
        for _ in 0..ATTEMPTS_MAX {
            let [random, other, ..] = uuid::Uuid::new_v4().into_bytes();
            // Away from both ends of 127/8, which resolvers and other programs use.
            let prefix = [127, 16 + random % 224, other];
            if let Ok(claim) = Self::claim(prefix) {
                return Ok((prefix, claim));
            }
        }
        Err(NetworkError::NoneFree)
    }

    /// An earlier server of the same directory may still be going down.
    async fn claim_again(prefix: [u8; 3]) -> Result<UdpSocket, NetworkError> {
        for _ in 0..CLAIM_TRIES_MAX {
            if let Ok(claim) = Self::claim(prefix) {
                return Ok(claim);
            }
            tokio::time::sleep(Duration::from_millis(CLAIM_PAUSE_MILLIS)).await;
        }
        Err(NetworkError::InUse { network: network_name(prefix) })
    }

    fn claim([a, b, c]: [u8; 3]) -> std::io::Result<UdpSocket> {
        UdpSocket::bind((Ipv4Addr::new(a, b, c, 1), CLAIM_PORT))
    }

    /// The network, for example `127.33.44.0/24`.
    pub(crate) fn name(&self) -> String {
        network_name(self.prefix)
    }

    /// What is wrong with it.
    pub(crate) fn faults(&self) -> Arc<NetworkFaults> {
        self.faults.load_full()
    }

    /// Makes other faults of it, durably.
    pub(crate) fn set_faults(&self, faults: NetworkFaults) -> Result<(), NetworkError> {
        let path = self.dir.join(FAULTS_FILE_NAME);
        let failed = |source| NetworkError::File { path: path.clone(), source };
        let text = serde_json::to_string(&faults).map_err(|error| failed(error.into()))?;
        write_durably(&self.dir, &path, &text).map_err(failed)?;
        self.faults.store(Arc::new(faults));
        Ok(())
    }

    /// The address for a new HSM in a zone: `wanted` if one is asked for, else the lowest free one.
    pub(crate) fn free_address(
        &self,
        state: &State,
        zone: &Zone,
        wanted: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, AddressError> {
        if !self.has_free_address(state, zone) {
            return Err(AddressError::Exhausted);
        }
        let taken = |address: &Ipv4Addr| hsm_addresses(state).any(|used| used == *address);
        let mut all = self.addresses(zone);
        match wanted {
            None => all.find(|address| !taken(address)).ok_or(AddressError::Exhausted),
            Some(wanted) if !all.any(|address| address == wanted) => Err(AddressError::Outside),
            Some(wanted) if taken(&wanted) => Err(AddressError::Taken),
            Some(wanted) => Ok(wanted),
        }
    }

    /// Whether a zone's subnet has an address for another interface. Beside HSMs, every connection of
    /// a custom key store takes one in each subnet of its cluster.
    pub(crate) fn has_free_address(&self, state: &State, zone: &Zone) -> bool {
        let of_zone = |address: &Ipv4Addr| self.addresses(zone).any(|own| own == *address);
        let hsms = hsm_addresses(state).filter(of_zone).count();
        let connections = state
            .all_custom_key_stores()
            .filter(|store| store.connection == ConnectionState::Connected)
            .filter_map(|store| state.cluster(&store.realm, &store.cluster))
            .filter(|cluster| cluster.subnets.values().any(|subnet| subnet == zone.subnet))
            .count();
        let others = self.faults.load().occupied(zone.subnet);
        hsms.saturating_add(connections).saturating_add(others) < self.addresses(zone).count()
    }

    fn addresses(&self, zone: &Zone) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let [a, b, c] = self.prefix;
        let start = zone.index.saturating_mul(SUBNET_SIZE);
        let last = start.saturating_add(SUBNET_SIZE - 1);
        (start.saturating_add(RESERVED_FIRST)..last).map(move |d| Ipv4Addr::new(a, b, c, d))
    }
}

/// An availability zone of a Region, with its private subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    /// For example `us-east-1a`.
    pub(crate) name: String,
    pub(crate) subnet: &'static str,
    index: u8,
}

impl Zone {
    /// The zones of a Region.
    pub(crate) fn all(region: &Region) -> impl Iterator<Item = Self> + use<'_> {
        (0..).zip(SUBNETS).map(move |(index, (letter, subnet))| Self {
            name: format!("{region}{letter}"),
            subnet,
            index,
        })
    }

    /// The zone in which a subnet lies.
    pub(crate) fn of_subnet(region: &Region, subnet: &str) -> Option<Self> {
        Self::all(region).find(|zone| zone.subnet == subnet)
    }

    /// The zone of that name.
    pub(crate) fn of_name(region: &Region, name: &str) -> Option<Self> {
        Self::all(region).find(|zone| zone.name == name)
    }

    /// The zones of a cluster's subnets.
    pub(crate) fn of_cluster(region: &Region, subnets: &BTreeMap<String, String>) -> Vec<Self> {
        subnets.values().filter_map(|subnet| Self::of_subnet(region, subnet)).collect()
    }
}

fn hsm_addresses(state: &State) -> impl Iterator<Item = Ipv4Addr> {
    state.all_clusters().flat_map(|cluster| cluster.hsms.values().map(|hsm| hsm.address))
}

fn network_name([a, b, c]: [u8; 3]) -> String {
    format!("{a}.{b}.{c}.0/24")
}

fn parse(text: &str) -> Option<[u8; 3]> {
    match text.strip_suffix("/24")?.parse::<Ipv4Addr>().ok()?.octets() {
        [127, b, c, 0] => Some([127, b, c]),
        _ => None,
    }
}

fn read_faults(path: &Path) -> Result<NetworkFaults, NetworkError> {
    let failed = |source| NetworkError::File { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| failed(error.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(NetworkFaults::default()),
        Err(error) => Err(failed(error)),
    }
}

fn write_durably(dir: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        Zone::of_name(&"us-east-1".parse().unwrap(), "us-east-1b").unwrap()
    }

    #[tokio::test]
    async fn a_data_directory_keeps_its_network() {
        let dir = tempfile::tempdir().unwrap();
        let first = Network::open(dir.path()).await.unwrap().name();
        let second = Network::open(dir.path()).await.unwrap();
        assert_eq!(second.name(), first);
        assert!(matches!(Network::open(dir.path()).await, Err(NetworkError::InUse { .. })));
    }

    #[tokio::test]
    async fn a_damaged_file_is_not_guessed_at() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "10.0.0.0/24", "127.1.2.3/24", "127.1.2.0", "127.1.2.0/16"] {
            fs::write(dir.path().join(FILE_NAME), text).unwrap();
            assert!(
                matches!(Network::open(dir.path()).await, Err(NetworkError::File { .. })),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn a_subnet_has_59_addresses() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::open(dir.path()).await.unwrap();
        let addresses: Vec<_> = network.addresses(&zone()).map(|a| a.octets()[3]).collect();
        assert_eq!((addresses.len(), addresses[0], addresses[58]), (59, 68, 126));
        assert_eq!(addresses.len(), usize::from(SUBNET_ADDRESSES));
    }

    #[tokio::test]
    async fn faults_survive_a_restart_and_take_addresses() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::open(dir.path()).await.unwrap();
        let subnet = zone().subnet.to_owned();
        let occupied_addresses = BTreeMap::from([(subnet, SUBNET_ADDRESSES)]);
        let faults = NetworkFaults { occupied_addresses, ..NetworkFaults::default() };
        network.set_faults(faults.clone()).unwrap();
        drop(network);
        let network = Network::open(dir.path()).await.unwrap();
        assert_eq!(*network.faults(), faults);
        let none = network.free_address(&State::default(), &zone(), None);
        assert_eq!(none, Err(AddressError::Exhausted));
    }

    #[tokio::test]
    async fn addresses_are_taken_in_order_or_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::open(dir.path()).await.unwrap();
        let state = State::default();
        let [a, b, c] = network.prefix;
        let first = Ipv4Addr::new(a, b, c, 68);
        assert_eq!(network.free_address(&state, &zone(), None), Ok(first));
        let wanted = Ipv4Addr::new(a, b, c, 100);
        assert_eq!(network.free_address(&state, &zone(), Some(wanted)), Ok(wanted));
        for outside in [Ipv4Addr::new(a, b, c, 4), Ipv4Addr::new(a, b, c, 127)] {
            let refused = network.free_address(&state, &zone(), Some(outside));
            assert_eq!(refused, Err(AddressError::Outside));
        }
    }
}
