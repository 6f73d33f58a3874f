//! `strongroom-kms network`: what EC2 does to a real network, done to the built-in one of a server that runs.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;

use strongroom_kms::NetworkChange;
use strongroom_kms::admin;

use super::hsm::OfServer;

/// Options of `network`.
#[derive(Debug, clap::Args)]
pub(crate) struct Network {
    #[command(subcommand)]
    command: NetworkCommand,
}

#[derive(Debug, clap::Subcommand)]
enum NetworkCommand {
    /// Show what is wrong with the network
    Show(OfServer),
    /// Take ports out of the security group of a cluster
    ClosePorts(Ports),
    /// Put ports back into the security group of a cluster
    OpenPorts(Ports),
    /// Delete a private subnet in which no HSM is
    DeleteSubnet(Subnet),
    /// Make a deleted private subnet again
    CreateSubnet(Subnet),
    /// Let other network interfaces take addresses of a private subnet
    OccupyAddresses(Occupy),
}

/// Ports of the security group of a cluster.
#[derive(Debug, clap::Args)]
struct Ports {
    #[command(flatten)]
    server: OfServer,

    /// Id of the cluster
    cluster_id: String,

    /// The ports, of 2223, 2224 and 2225
    #[arg(value_name = "PORT", default_values_t = [2_223, 2_224, 2_225])]
    ports: Vec<u16>,
}

/// One of the server's private subnets.
#[derive(Debug, clap::Args)]
struct Subnet {
    #[command(flatten)]
    server: OfServer,

    /// Id of the subnet, as the server shows it when it starts
    subnet_id: String,
}

/// Addresses of a private subnet.
#[derive(Debug, clap::Args)]
struct Occupy {
    #[command(flatten)]
    subnet: Subnet,

    /// How many of its 59; 0 gives all back
    addresses: u8,
}

impl Network {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let (server, change) = self.command.into_parts();
        ask(&server, change)
    }
}

impl NetworkCommand {
    fn into_parts(self) -> (OfServer, Option<NetworkChange>) {
        let set = |ports: Vec<u16>| ports.into_iter().collect::<BTreeSet<_>>();
        match self {
            Self::Show(server) => (server, None),
            Self::ClosePorts(Ports { server, cluster_id, ports }) => {
                (server, Some(NetworkChange::ClosePorts { cluster_id, ports: set(ports) }))
            }
            Self::OpenPorts(Ports { server, cluster_id, ports }) => {
                (server, Some(NetworkChange::OpenPorts { cluster_id, ports: set(ports) }))
            }
            Self::DeleteSubnet(Subnet { server, subnet_id }) => {
                (server, Some(NetworkChange::DeleteSubnet { subnet_id }))
            }
            Self::CreateSubnet(Subnet { server, subnet_id }) => {
                (server, Some(NetworkChange::CreateSubnet { subnet_id }))
            }
            Self::OccupyAddresses(Occupy { subnet: Subnet { server, subnet_id }, addresses }) => {
                (server, Some(NetworkChange::OccupyAddresses { subnet_id, addresses }))
            }
        }
    }
}

/// Asks the server for a change, if one is given, and prints what is wrong with its network then.
pub(super) fn ask(server: &OfServer, change: Option<NetworkChange>) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let faults = runtime.block_on(admin::ask_network(&server.data_dir, change))?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &faults)?;
    writeln!(out)?;
    Ok(())
}
