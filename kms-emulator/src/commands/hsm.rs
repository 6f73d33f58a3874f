//! `strongroom-kms hsm run`: one simulated HSM as a process of its own.

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use strongroom_hsm::server::{CLIENT_PORT, Listen, MANAGEMENT_PORT, serve};
use strongroom_hsm::{Config, Device, Factory};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Options of `hsm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Hsm {
    #[command(subcommand)]
    command: HsmCommand,
}

#[derive(Debug, clap::Subcommand)]
enum HsmCommand {
    /// Switch on the HSM of a directory and serve it; ending the process is a power failure
    Run(Run),
}

/// Options of `hsm run`.
#[derive(Debug, clap::Args)]
struct Run {
    /// Directory of the device; its sealed state and its control socket are there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// Address of the device, which no other has
    #[arg(long, value_name = "ADDRESS")]
    address: IpAddr,

    /// TCP port for clients; 0 takes a free one
    #[arg(long, default_value_t = CLIENT_PORT, value_name = "PORT")]
    client_port: u16,

    /// TCP port for the management tools; 0 takes a free one
    #[arg(long, default_value_t = MANAGEMENT_PORT, value_name = "PORT")]
    management_port: u16,

    /// Factory that makes the device first, if the directory holds none
    #[arg(long, value_name = "DIR", requires = "hsm_id")]
    factory: Option<PathBuf>,

    /// Id that the factory gives the device
    #[arg(long, value_name = "ID")]
    hsm_id: Option<String>,

    /// Switch off when standard input ends, so that no device outlives the server that started it
    #[arg(long)]
    until_stdin_closes: bool,
}

impl Hsm {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let HsmCommand::Run(run) = self.command;
        // Neither a core file nor another process of the same user shall hold the keys.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(run.serve())
    }
}

impl Run {
    async fn serve(self) -> Result<(), Box<dyn Error>> {
        let config = Config::default();
        if let (Some(factory), Some(hsm_id)) = (&self.factory, &self.hsm_id) {
            let factory = Factory::open(factory, &*config.clock)?;
            factory.manufacture(&self.dir, hsm_id, &*config.clock)?;
        }
        let device = Arc::new(Device::power_on(&self.dir, config)?);
        let listen = Listen {
            address: self.address,
            client_port: self.client_port,
            management_port: self.management_port,
        };
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        tokio::select! {
            result = serve(device, listen) => Ok(result?),
            _ = terminated.recv() => Ok(()),
            _ = interrupted.recv() => Ok(()),
            () = stdin_closed(), if self.until_stdin_closes => Ok(()),
        }
    }
}

/// Waits until whoever holds the other end of standard input is gone.
///
/// The read blocks a thread of its own, which the end of the process takes with it.
async fn stdin_closed() {
    let (closed, wait) = oneshot::channel();
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        // An input that cannot be read is an input that has ended.
        let _ = std::io::copy(&mut stdin, &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = wait.await;
}
