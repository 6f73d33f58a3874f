//! `strongroom-kms mgmt` and `strongroom-kms configure`: the management tool of a cluster.

use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use strongroom_hsm::clock::SystemClock;
use strongroom_kms::mgmt::{Configuration, Console, MgmtError, Outcome, Shell};
use zeroize::Zeroizing;

/// Longest line of input, in bytes.
const LINE_BYTES_MAX: u64 = 4_096;

/// Where the tool's file is.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Configuration of the tool [default: cloudhsm_mgmt_util.cfg in
    /// $XDG_CONFIG_HOME/strongroom or ~/.config/strongroom]
    #[arg(env = "STRONGROOM_MGMT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    pub(super) fn path(&self) -> Result<PathBuf, Box<dyn Error>> {
        if let Some(path) = &self.config {
            return Ok(path.clone());
        }
        let base = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".config")))
            .ok_or("there is no home directory; name the configuration file")?;
        Ok(base.join("strongroom").join("cloudhsm_mgmt_util.cfg"))
    }
}

/// Options of `mgmt`.
#[derive(Debug, clap::Args)]
pub(crate) struct Mgmt {
    #[command(flatten)]
    place: Place,
}

impl Mgmt {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let path = self.place.path()?;
        let configuration = Configuration::load(&path)?.ok_or(MgmtError::NoServers)?;
        let runtime = runtime()?;
        let outcome = runtime.block_on(async {
            let mut console = Terminal(io::stdout());
            Shell::connect(&configuration, &SystemClock, &mut console).await?.run().await
        })?;
        match outcome {
            Outcome::Succeeded => Ok(()),
            Outcome::SomethingFailed => Err("a command did not succeed on every HSM".into()),
        }
    }
}

/// Options of `configure`.
#[derive(Debug, clap::Args)]
pub(crate) struct Configure {
    /// Address of an HSM of the cluster; the tool asks it for the others
    #[arg(short = 'a', long = "cmu", value_name = "ADDRESS", num_args = 1.., required_unless_present = "members")]
    addresses: Vec<IpAddr>,

    /// Ask the HSMs configured so far for all members of their cluster
    #[arg(short = 'm', long, conflicts_with = "addresses")]
    members: bool,

    /// Configure exactly the given addresses and ask nobody
    #[arg(long, requires = "addresses")]
    only: bool,

    /// Trust anchor of the cluster [default: customerCA.crt beside the configuration]
    #[arg(long, value_name = "FILE")]
    trust_anchor: Option<PathBuf>,

    /// Management port, if it is not 2225
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    #[command(flatten)]
    place: Place,
}

impl Configure {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let path = self.place.path()?;
        let before = Configuration::load(&path)?;
        let port = self.port.or_else(|| port_of(before.as_ref()));
        let certificate = self.certificate(&path, before.as_ref())?;
        let given = if self.members { addresses_of(before.as_ref()) } else { self.addresses };
        let mut configuration = Configuration::of(given, port, certificate);
        if !self.only {
            complete(&mut configuration, port)?;
        }
        configuration.save(&path)?;
        let mut out = io::stdout();
        writeln!(out, "Updating server config in {}", path.display())?;
        for server in &configuration.servers {
            writeln!(out, "  {} port {}", server.hostname, server.port)?;
        }
        Ok(())
    }

    fn certificate(
        &self,
        path: &Path,
        before: Option<&Configuration>,
    ) -> Result<PathBuf, Box<dyn Error>> {
        match (&self.trust_anchor, before) {
            (Some(file), _) => Ok(std::path::absolute(file)?),
            (None, Some(before)) => Ok(before.certificate.clone()),
            (None, None) => Ok(std::path::absolute(path)?.with_file_name("customerCA.crt")),
        }
    }
}

/// Adds the members that the HSMs tell. One that does not answer, or a trust anchor that is not in
/// place yet, leaves the list as it is, and says so.
fn complete(configuration: &mut Configuration, port: Option<u16>) -> Result<(), Box<dyn Error>> {
    match runtime()?.block_on(configuration.discover(&SystemClock)) {
        Ok(members) => {
            let given = configuration.servers.iter().map(|server| server.hostname);
            *configuration =
                Configuration::of(given.chain(members), port, configuration.certificate.clone());
        }
        Err(error) => {
            writeln!(io::stderr(), "The other HSMs of the cluster are not known: {error}")?;
        }
    }
    Ok(())
}

fn port_of(configuration: Option<&Configuration>) -> Option<u16> {
    Some(configuration?.servers.first()?.port)
}

fn addresses_of(configuration: Option<&Configuration>) -> Vec<IpAddr> {
    configuration
        .map(|known| known.servers.iter().map(|server| server.hostname).collect())
        .unwrap_or_default()
}

pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// Standard input, and where questions go, be they a terminal or pipes.
pub(super) struct Terminal<W>(pub(super) W);

impl<W: Write + Send> Console for Terminal<W> {
    fn print(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())?;
        self.0.flush()
    }

    fn line(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        let mut line = Zeroizing::new(String::with_capacity(256));
        let mut input = io::Read::take(io::stdin().lock(), LINE_BYTES_MAX);
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let length = line.trim_end_matches(['\n', '\r']).len();
        line.truncate(length);
        Ok(Some(line))
    }

    fn secret(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        if !io::stdin().is_terminal() {
            return self.line();
        }
        let _hidden = Hidden::new()?;
        self.line()
    }
}

/// The terminal shows nothing of what is typed until this is dropped.
struct Hidden {
    before: rustix::termios::Termios,
}

impl Hidden {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that has gone away has nothing left to show.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}
