//! `strongroom-kms serve`.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strongroom_kms::audit::OnFailure;
use strongroom_kms::clock::SystemClock;
use strongroom_kms::ids::{AccountId, Region};
use strongroom_kms::{
    DataDir, Emulator, EmulatorConfig, HsmHosting, Latency, SUBNETS, TestOptions, TlsIdentity,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Options of `serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:4599", value_name = "ADDR")]
    listen: SocketAddr,

    /// Certificate chain in PEM: serve HTTPS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Serve HTTPS with a certificate that the server issues itself; prints what clients are to trust
    #[arg(long, conflicts_with = "tls_cert")]
    tls_self_signed: bool,

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

    /// Another address for /healthz, /readyz and /metrics (Prometheus), in plain HTTP
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,

    /// Answer /_strongroom/… on the loopback address, for tests: reset, clock, hsms. With --ephemeral on
    /// such an address this is the default
    #[arg(long)]
    test_endpoints: bool,

    /// JSON file with keys to make, for tests: known ids, aliases and, if wanted, material
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,

    /// Throttle callers at the request quotas of KMS
    #[arg(long)]
    quotas: bool,

    /// How late answers are
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    latency: HowLate,

    /// Keep no audit trail; without a data directory there is none anyway
    #[arg(long)]
    no_audit: bool,

    /// What becomes of calls while the audit trail cannot be written
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", conflicts_with = "no_audit")]
    audit_failure: AuditFailure,

    /// What to log to standard error, for example info or strongroom_kms=debug
    #[arg(long, env = "STRONGROOM_LOG", default_value = "info", value_name = "FILTER")]
    log: String,

    /// Log as JSON, one object a line
    #[arg(long)]
    log_json: bool,
}

/// How late answers are.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum HowLate {
    /// No later than the work takes
    #[default]
    None,
    /// About as late as from a KMS over a network
    Realistic,
}

/// What becomes of calls while the audit trail cannot be written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum AuditFailure {
    /// Refuse them
    #[default]
    Refuse,
    /// Answer them; how many have no record is recorded later
    Continue,
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

    fn tls(&self) -> Option<TlsIdentity> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(TlsIdentity::Files { certificate: certificate.clone(), key: key.clone() })
            }
            _ => self.tls_self_signed.then_some(TlsIdentity::SelfSigned),
        }
    }

    fn tests(&self) -> Result<TestOptions, Box<dyn Error>> {
        if self.seed.is_some() && !self.ephemeral && !self.test_endpoints {
            return Err("--seed is for tests: use it with --ephemeral or --test-endpoints".into());
        }
        let by_default = self.ephemeral && self.listen.ip().is_loopback();
        Ok(TestOptions {
            endpoints: self.test_endpoints || by_default,
            seed_file: self.seed.clone(),
            quotas: self.quotas,
            latency: match self.latency {
                HowLate::None => Latency::None,
                HowLate::Realistic => Latency::Realistic,
            },
        })
    }

    async fn serve(self) -> Result<(), Box<dyn Error>> {
        let (tls, tests) = (self.tls(), self.tests()?);
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
            tls,
            metrics: self.metrics,
            tests,
            audit: (!self.no_audit).then_some(match self.audit_failure {
                AuditFailure::Refuse => OnFailure::Refuse,
                AuditFailure::Continue => OnFailure::Continue,
            }),
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
    if let Some(file) = emulator.ca_file() {
        // The first is read by the aws CLI and boto3, the second by the SDKs of Rust and Go.
        writeln!(out, "export AWS_CA_BUNDLE={}", file.display())?;
        writeln!(out, "export SSL_CERT_FILE={}", file.display())?;
    }
    if let Some(address) = emulator.metrics_address() {
        writeln!(out, "# Metrics: http://{address}/metrics")?;
    }
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
