//! The management tool of a cluster: `cloudhsm_mgmt_util`, with its commands, prompts and outputs.
//!
//! [`Configuration`] is the tool's file: which HSMs it talks to. Nothing keeps it up to date but
//! `configure`; users made while it misses an HSM exist on the others only, as the guide warns.
//! [`Shell`] is the tool itself over any [`Console`]: a terminal, a pipe, a test.
//!
//! | module | subject |
//! |---|---|
//! | `configuration` | the file, and asking an HSM for the members of its cluster |
//! | `console` | lines in, text out |
//! | `commands` | names, syntax, abbreviations |
//! | `shell` | prompt, dispatch, server mode |
//! | `servers` | connections to the HSMs |
//! | `users`, `keys`, `sharing`, `quorum`, `reports` | what the commands do and print |
//! | `second_factor` | the file of digests that an officer's second factor signs |
//! | `approval` | the file that names the approvals of a quorum token |

mod approval;
mod commands;
mod configuration;
mod console;
mod error;
mod keys;
mod quorum;
mod reports;
mod second_factor;
mod servers;
mod sharing;
mod shell;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use configuration::connect as connect_to;
pub use configuration::{Configuration, Endpoint};
pub use console::Console;
pub use error::MgmtError;
pub use shell::{Outcome, Shell};
