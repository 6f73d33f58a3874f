//! `strongroom-kms serve`.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strongroom_kms::clock::SystemClock;
use strongroom_kms::ids::{AccountId, Region};
use strongroom_kms::{DataDir, Emulator, EmulatorConfig, HsmHosting, SUBNETS};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Options of `serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4599", value_name = "ADDR")]
    listen: SocketAddr,

    /// Directory of the server's state, made if it is not there
    #[arg(long, value_name = "DIR", required_unless_present = "ephemeral")]
    data_dir: Option<PathBuf>,

    /// Keep no state: everything is gone when the server ends
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,

    /// JSON file with more accounts and users
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// Account that the first start creates
    #[arg(long, default_value = "000000000000", value_name = "ID")]
    account: AccountId,

    /// Region to suggest to clients; the server answers for every Region
    #[arg(long, default_value = "us-east-1", value_name = "NAME")]
    region: Region,

    /// Run the HSMs of CloudHSM clusters inside the server, not each as a process of its own
    #[arg(long)]
    hsm_in_process: bool,

    /// Seconds for which clusters and HSMs show that they are being made
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    hsm_latency: u32,

    /// What to log to standard error, for example info or strongroom_kms=debug
    #[arg(long, env = "STRONGROOM_LOG", default_value = "info", value_name = "FILTER")]
    log: String,

    /// Log as JSON, one object a line
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        self.start_logging()?;
        raise_open_files_limit();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    fn start_logging(&self) -> Result<(), Box<dyn Error>> {
        let filter = EnvFilter::try_new(&self.log)?;
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        if self.log_json {
            subscriber.json().init();
        } else {
            subscriber.init();
        }
        Ok(())
    }

    async fn serve(self) -> Result<(), Box<dyn Error>> {
        let data_dir = self.data_dir.map_or(DataDir::Ephemeral, DataDir::Persistent);
        // Before anything listens, so that no signal falls between.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let emulator = Emulator::start(EmulatorConfig {
            data_dir,
            listen: self.listen,
            credentials_file: self.credentials,
            account: self.account,
            region: self.region,
            clock: Arc::new(SystemClock),
            hsm_hosting: if self.hsm_in_process {
                HsmHosting::InProcess
            } else {
                HsmHosting::Processes { program: std::env::current_exe()? }
            },
            hsm_latency_seconds: self.hsm_latency,
        })
        .await?;
        announce(&emulator)?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        emulator.shutdown().await;
        Ok(())
    }
}

/// Tells where the server listens and, the one time that it is made, the root credential.
fn announce(emulator: &Emulator) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if emulator.is_first_start() {
        let root = emulator.credentials();
        writeln!(
            out,
            "# Root credential of account {}; it is not shown again.",
            emulator.account()
        )?;
        writeln!(out, "export AWS_ACCESS_KEY_ID={}", root.access_key_id)?;
        writeln!(out, "export AWS_SECRET_ACCESS_KEY={}", root.secret_access_key)?;
    }
    // The SDKs read the first, the aws CLI and boto3 the second.
    writeln!(out, "export AWS_REGION={}", emulator.region())?;
    writeln!(out, "export AWS_DEFAULT_REGION={}", emulator.region())?;
    writeln!(out, "export AWS_ENDPOINT_URL={}", emulator.endpoint())?;
    let subnets = SUBNETS.map(|(zone, subnet)| format!("{subnet} (zone {zone})"));
    writeln!(out, "# Private subnets for CloudHSM clusters: {}", subnets.join(", "))?;
    writeln!(out, "# Listening. Stop with Ctrl-C.")?;
    out.flush()
}

/// Each connection takes a file descriptor, and the usual soft limit of 1,024 is below what the server
/// allows. A system that refuses more leaves the server with fewer connections.
fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files was not raised");
    }
}
