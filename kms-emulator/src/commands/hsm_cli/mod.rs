//! `strongroom-kms hsm-cli`: the newer command line of a cluster.
//!
//! | module | subject |
//! |---|---|
//! | `arguments` | what can be typed |
//! | `execute` | what each command does with a session |

mod arguments;
mod execute;

use std::error::Error;
use std::io::{self, Write};

use clap::Parser;
use strongroom_hsm::clock::SystemClock;
use strongroom_kms::hsm_cli::{Answer, Login, Session, envelope};
use strongroom_kms::mgmt::{Configuration, Console, MgmtError};

use super::mgmt::{Place, Terminal};
use arguments::{Command, Line, Mode, Typed};

/// Options of `hsm-cli`.
#[derive(Debug, clap::Args)]
pub(crate) struct HsmCli {
    #[command(flatten)]
    place: Place,

    /// The role of the login: admin or crypto-user
    #[arg(long, env = "CLOUDHSM_ROLE", value_name = "ROLE", requires = "pin")]
    role: Option<String>,

    /// The login, USER:PASSWORD; better given by the environment
    #[arg(
        long,
        env = "CLOUDHSM_PIN",
        hide_env_values = true,
        value_name = "PIN",
        requires = "role"
    )]
    pin: Option<String>,

    #[command(subcommand)]
    mode: Mode,
}

impl HsmCli {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let configuration =
            Configuration::load(&self.place.path()?)?.ok_or(MgmtError::NoServers)?;
        let login = match (&self.role, &self.pin) {
            (Some(role), Some(pin)) => Some(Login::parse(role, pin)?),
            _ => None,
        };
        let runtime = super::mgmt::runtime()?;
        match self.mode {
            Mode::Interactive => runtime.block_on(interactive(&configuration)),
            Mode::Single(command) => {
                // Answers alone go to standard output, so that a program can read them.
                let mut console = Terminal(io::stderr());
                let answer =
                    runtime.block_on(single(&configuration, login.as_ref(), command, &mut console));
                print(&answer)?;
                answer.map(drop).map_err(Into::into)
            }
        }
    }
}

async fn single(
    configuration: &Configuration,
    login: Option<&Login>,
    command: Command,
    console: &mut dyn Console,
) -> Answer {
    let mut session = Session::open(configuration, &SystemClock).await?;
    if let Some(login) = login {
        session.log_in(login).await?;
    }
    command.run(&session, console).await
}

/// Takes commands until `quit` or the end of the input. What fails is told and ends nothing.
async fn interactive(configuration: &Configuration) -> Result<(), Box<dyn Error>> {
    let mut session = Session::open(configuration, &SystemClock).await?;
    let mut console = Terminal(io::stdout());
    loop {
        console.print("aws-cloudhsm > ")?;
        let Some(line) = console.line()? else { break };
        let Some(words) = shlex::split(&line) else {
            console.print("a quotation mark has no end\n")?;
            continue;
        };
        if words.is_empty() {
            continue;
        }
        let command = match Line::try_parse_from(words) {
            Ok(line) => line.command,
            Err(error) => {
                // Also what `help` prints.
                error.print()?;
                continue;
            }
        };
        let answer = match command {
            Typed::Quit => break,
            Typed::Login { user, password, factor } => {
                execute::log_in(&mut session, &user, password, factor, &mut console).await
            }
            Typed::Logout => session.logout().await,
            Typed::Command(command) => command.run(&session, &mut console).await,
        };
        print(&answer)?;
    }
    Ok(())
}

fn print(answer: &Answer) -> Result<(), Box<dyn Error>> {
    let (text, _) = envelope(answer);
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &text)?;
    writeln!(out)?;
    Ok(())
}
