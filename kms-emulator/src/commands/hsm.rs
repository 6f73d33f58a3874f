//! `strongroom-kms hsm`: one simulated HSM as a process of its own, and the operator's hands on those of
//! a server that runs.

use std::error::Error;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, getrlimit, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, capabilities};
use strongroom_hsm::server::{CLIENT_PORT, Listen, MANAGEMENT_PORT, serve};
use strongroom_hsm::{Config, Device, Factory};
use strongroom_kms::admin::{self, AdminRequest};
use strongroom_kms::{HsmFaults, NetworkChange};
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
    /// List the HSMs of a running server
    List(OfServer),
    /// Switch on an HSM of a running server that was stopped, killed or has failed
    Start(OneOfServer),
    /// Switch off an HSM of a running server, as a power failure does
    Stop(OneOfServer),
    /// Break the seal of an HSM of a running server: it zeroises itself, and its keys are gone
    Tamper(OneOfServer),
    /// Say what is wrong around an HSM of a running server: nothing, if no option is given
    Fault(Fault),
}

/// Options of what concerns all HSMs of a server.
#[derive(Debug, clap::Args)]
pub(super) struct OfServer {
    /// Directory of the server's state
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: PathBuf,
}

/// Options of what concerns one HSM of a server.
#[derive(Debug, clap::Args)]
struct OneOfServer {
    #[command(flatten)]
    server: OfServer,

    /// Id of the HSM, as `hsm list` shows it
    hsm_id: String,
}

/// Options of `hsm fault`.
#[derive(Debug, clap::Args)]
struct Fault {
    #[command(flatten)]
    one: OneOfServer,

    /// Let nothing arrive there, and nothing come from there
    #[arg(long)]
    partition: bool,

    /// Time that each of its answers takes longer, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    delay: u32,

    /// Sessions that other programs hold, of 1,024
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    occupied_sessions: u32,

    /// Commands that it executes in a second, at most; 0 for as many as it can
    #[arg(long, default_value_t = 0, value_name = "COMMANDS")]
    rate: u32,
}

impl Fault {
    fn run(self) -> Result<(), Box<dyn Error>> {
        let faults = HsmFaults {
            partitioned: self.partition,
            delay_millis: self.delay,
            occupied_sessions: self.occupied_sessions,
            commands_per_second: self.rate,
        };
        let OneOfServer { server, hsm_id } = self.one;
        let change = NetworkChange::SetHsm { hsm_id, faults };
        super::network::ask(&server, Some(change))
    }
}

impl OfServer {
    /// Asks the server and prints the HSMs that the request was about.
    fn ask(&self, request: &AdminRequest) -> Result<(), Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let hsms = runtime.block_on(admin::ask(&self.data_dir, request))?;
        let mut out = std::io::stdout().lock();
        for hsm in hsms {
            let state = if hsm.is_active { "ACTIVE" } else { "DEGRADED" };
            let process = hsm.process.map(|id| format!("  pid {id}")).unwrap_or_default();
            writeln!(
                out,
                "{}  {}  {}  {}  {state}{process}",
                hsm.hsm_id, hsm.cluster_id, hsm.zone, hsm.address
            )?;
        }
        Ok(())
    }
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
        let run = match self.command {
            HsmCommand::Run(run) => run,
            HsmCommand::List(server) => return server.ask(&AdminRequest::List),
            HsmCommand::Start(one) => return one.server.ask(&AdminRequest::Start(one.hsm_id)),
            HsmCommand::Stop(one) => return one.server.ask(&AdminRequest::Stop(one.hsm_id)),
            HsmCommand::Fault(fault) => return fault.run(),
            HsmCommand::Tamper(one) => return one.server.ask(&AdminRequest::Tamper(one.hsm_id)),
        };
        // Neither a core file nor another process of the same user shall hold the keys.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        if !lock_memory() {
            let why = "the limit on locked memory (RLIMIT_MEMLOCK) is not unlimited, and the right to pass it (CAP_IPC_LOCK) is lacking";
            writeln!(std::io::stderr(), "The memory of this HSM may be swapped out: {why}.")?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(run.serve())
    }
}

/// Keeps the keys from being written to swap space; says whether that was allowed.
///
/// All memory or none: under a limit, what is allocated later would fail once that is reached.
fn lock_memory() -> bool {
    let is_unlimited = getrlimit(Resource::Memlock).current.is_none();
    let capabilities = capabilities(None).map(|sets| sets.effective);
    let is_exempt = capabilities.is_ok_and(|sets| sets.contains(CapabilitySet::IPC_LOCK));
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    (is_unlimited || is_exempt) && mlockall(flags).is_ok()
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
