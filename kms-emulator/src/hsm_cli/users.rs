//! `user`: the users of a cluster.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use strongroom_hsm::limits::LOGIN_FAILURES_MAX;
use strongroom_hsm::{Client, HsmError, Password, Role, UserInfo};

use super::session::{Session, parse_role, role_name};
use super::{Answer, CliError};

impl Session {
    /// `user list`: every user, and whether all HSMs have it. Needs no login.
    ///
    /// # Errors
    ///
    /// [`CliError::Hsm`].
    pub async fn user_list(&self) -> Answer {
        let lists = self.on_each(async |client| client.list_users().await).await?;
        let mut users: BTreeMap<String, (UserInfo, usize)> = BTreeMap::new();
        let mut order = Vec::new();
        for user in lists.into_iter().flatten() {
            let name = user.name.as_str().to_ascii_lowercase();
            let (known, hsms) = users.entry(name.clone()).or_insert_with(|| {
                order.push(name);
                (user.clone(), 0)
            });
            known.login_failures = known.login_failures.max(user.login_failures);
            *hsms = hsms.saturating_add(1);
        }
        let shown = order.iter().filter_map(|name| {
            let (user, hsms) = users.get(name)?;
            let is_locked = user.login_failures >= LOGIN_FAILURES_MAX;
            let signs = |has_key: bool| {
                let key = json!({ "strategy": "token-sign", "status": "enabled" });
                has_key.then_some(key).into_iter().collect::<Vec<_>>()
            };
            Some(json!({
                "username": name,
                "role": role_name(user.role),
                "locked": is_locked.to_string(),
                "mfa": signs(user.second_factor),
                "quorum": signs(user.quorum_key),
                "cluster-coverage": self.coverage(*hsms),
            }))
        });
        Ok(json!({ "users": shown.collect::<Vec<_>>() }))
    }

    /// `user create`.
    ///
    /// # Errors
    ///
    /// [`CliError::NotLoggedIn`], [`CliError::Hsm`], [`CliError::QuorumRequired`], and those of the file of
    /// approvals.
    pub async fn user_create(
        &self,
        user: &UserOf,
        password: &str,
        approval: Option<&Path>,
    ) -> Answer {
        self.user()?;
        self.approve(approval).await?;
        let create = async |client: &Client| {
            client.create_user(user.role, &user.name, new_password(password)?, None).await
        };
        self.on_each(create).await?;
        Ok(user.shown())
    }

    /// `user delete`.
    ///
    /// # Errors
    ///
    /// As [`Session::user_create`].
    pub async fn user_delete(&self, user: &UserOf, approval: Option<&Path>) -> Answer {
        self.user()?;
        self.approve(approval).await?;
        self.on_each(async |client| client.delete_user(user.role, &user.name).await).await?;
        Ok(user.shown())
    }

    /// `user change-password`. A new password without a second factor takes that of the user away, which
    /// `deregister_mfa` has to say.
    ///
    /// # Errors
    ///
    /// As [`Session::user_create`], and [`CliError::TakesFactorAway`].
    pub async fn user_change_password(
        &self,
        user: &UserOf,
        password: &str,
        deregister_mfa: bool,
        approval: Option<&Path>,
    ) -> Answer {
        self.user()?;
        if !deregister_mfa {
            self.demand_no_factor(user).await?;
        }
        self.approve(approval).await?;
        let change = async |client: &Client| {
            client.change_password(user.role, &user.name, new_password(password)?).await
        };
        self.on_each(change).await?;
        Ok(user.shown())
    }

    async fn demand_no_factor(&self, user: &UserOf) -> Result<(), CliError> {
        let lists = self.on_each(async |client| client.list_users().await).await?;
        let mut users = lists.iter().flatten();
        let has_factor = users.any(|known| {
            known.second_factor && known.name.as_str().eq_ignore_ascii_case(&user.name)
        });
        if has_factor { Err(CliError::TakesFactorAway(user.name.clone())) } else { Ok(()) }
    }
}

/// A user whom a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOf {
    pub(super) name: String,
    pub(super) role: Role,
}

impl UserOf {
    /// Of a name, in any case, and a role (`admin`, `crypto-user`).
    ///
    /// # Errors
    ///
    /// [`CliError::Login`].
    pub fn new(name: &str, role: &str) -> Result<Self, CliError> {
        let role =
            parse_role(role).ok_or(CliError::Login("the role must be admin or crypto-user"))?;
        Ok(Self { name: name.to_ascii_lowercase(), role })
    }

    /// As answers show a user.
    pub(super) fn shown(&self) -> Value {
        json!({ "username": self.name, "role": role_name(self.role) })
    }
}

pub(super) fn new_password(text: &str) -> Result<Password, HsmError> {
    Ok(Password::new(text)?)
}
