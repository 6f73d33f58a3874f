//! `strongroom completions`: what makes a shell complete commands and options.

use clap::Args;
use clap_complete::Shell;
use serde_json::json;

use super::exit::Failure;
use super::output::Output;

/// For which shell.
#[derive(Args)]
#[command(after_help = "\
Examples:
  strongroom completions bash > ~/.local/share/bash-completion/completions/strongroom
  strongroom completions zsh > ~/.zfunc/_strongroom
  strongroom completions fish > ~/.config/fish/completions/strongroom.fish")]
pub(super) struct Arguments {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let mut command = super::command();
    let name = command.get_name().to_owned();
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    output.result(
        script.trim_end(),
        || json!({ "shell": arguments.shell.to_string(), "script": script }),
    )
}
