//! `strongroom location policy`: roles, as statements of the key's policy.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use strongroom::location::role::{Role, statements};

use crate::cli::Global;
use crate::cli::connect::LocationArguments;
use crate::cli::exit::Failure;
use crate::cli::output::Output;

/// Whose rights.
#[derive(Args)]
pub(in crate::cli) struct PolicyArguments {
    /// What the caller is there for.
    role: RoleName,
    /// ARN of a user or role who gets the rights; may be repeated [default: one called
    /// strongroom-ROLE in the key's account].
    #[arg(long, value_name = "ARN")]
    principal: Vec<String>,
    #[command(flatten)]
    location: LocationArguments,
}

/// [`Role`] as an argument.
#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// Archives with deduplication; reads back neither content nor names.
    Writer,
    /// Forgets, checks the structure, collects; reads no content.
    Collector,
    /// Restores and checks everything; writes nothing.
    Restorer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Writer => Self::Writer,
            RoleName::Collector => Self::Collector,
            RoleName::Restorer => Self::Restorer,
        }
    }
}

pub(super) async fn run(
    arguments: PolicyArguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let reach = arguments.location.resolve(global)?;
    let location = crate::cli::connect::open(&reach).await?;
    let role = Role::from(arguments.role);
    let mut principals = arguments.principal;
    if principals.is_empty() {
        let placeholder = placeholder(&reach.key, role);
        output.note(&format!(
            "strongroom: replace {placeholder} by who is meant, or name them with --principal"
        ));
        principals.push(placeholder);
    }
    let sid = sid(role);
    let format = location.format();
    let rights = match format.recipients.keys.len() {
        _ if !format.data_keys.are_direct() => role.rights_of_branch_keys(),
        0 | 1 => role.rights(),
        _ => role.rights_of_several_keys(),
    };
    let statements = statements(&sid, &rights, location.id(), &principals);
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    let text = serde_json::to_string_pretty(&policy).unwrap_or_default();
    output.result(&text, || -> Value {
        json!({
            "role": role.as_str(),
            "location": location.id().to_string(),
            "key": reach.key,
            "policy": policy,
        })
    })
}

/// A role's ARN in the account of the key, to be replaced.
fn placeholder(key: &str, role: Role) -> String {
    let account = key.split(':').nth(4).filter(|account| !account.is_empty());
    format!("arn:aws:iam::{}:role/strongroom-{}", account.unwrap_or("ACCOUNT"), role.as_str())
}

/// What the statements' names begin with: letters and digits, as IAM wants them.
fn sid(role: Role) -> String {
    match role {
        Role::Writer => "StrongroomWriter",
        Role::Collector => "StrongroomCollector",
        Role::Restorer => "StrongroomRestorer",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_in_the_key_s_account() {
        let key = "arn:aws:kms:eu-central-1:111122223333:key/1234";
        let wanted = "arn:aws:iam::111122223333:role/strongroom-writer";
        assert_eq!(placeholder(key, Role::Writer), wanted);
        assert_eq!(
            placeholder("alias/x", Role::Writer),
            "arn:aws:iam::ACCOUNT:role/strongroom-writer"
        );
    }
}
