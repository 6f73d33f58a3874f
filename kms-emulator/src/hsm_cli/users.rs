//! `user`: the users of a cluster.

use std::collections::BTreeMap;

use serde_json::json;
use strongroom_hsm::limits::LOGIN_FAILURES_MAX;
use strongroom_hsm::{HsmError, Password, Role, UserInfo};

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
            let factor = json!({ "strategy": "token-sign", "status": "enabled" });
            let coverage = if *hsms == self.members.len() { "full" } else { "partial" };
            Some(json!({
                "username": name,
                "role": role_name(user.role),
                "locked": is_locked.to_string(),
                "mfa": user.second_factor.then_some(factor).into_iter().collect::<Vec<_>>(),
                "quorum": user.quorum_key.then_some(json!({ "strategy": "token-sign", "status": "enabled" }))
                    .into_iter().collect::<Vec<_>>(),
                "cluster-coverage": coverage,
            }))
        });
        Ok(json!({ "users": shown.collect::<Vec<_>>() }))
    }

    /// `user create`.
    ///
    /// # Errors
    ///
    /// [`CliError::NotLoggedIn`], [`CliError::Login`], [`CliError::Hsm`].
    pub async fn user_create(&self, name: &str, role: &str, password: &str) -> Answer {
        let role_of_user = self.role_of(role)?;
        let create = async |client: &strongroom_hsm::Client| {
            client.create_user(role_of_user, name, new_password(password)?, None).await
        };
        self.on_each(create).await?;
        Ok(json!({ "username": name, "role": role }))
    }

    /// `user delete`.
    ///
    /// # Errors
    ///
    /// As [`Session::user_create`].
    pub async fn user_delete(&self, name: &str, role: &str) -> Answer {
        let role_of_user = self.role_of(role)?;
        self.on_each(async |client| client.delete_user(role_of_user, name).await).await?;
        Ok(json!({ "username": name, "role": role }))
    }

    /// `user change-password`.
    ///
    /// # Errors
    ///
    /// As [`Session::user_create`].
    pub async fn user_change_password(&self, name: &str, role: &str, password: &str) -> Answer {
        let role_of_user = self.role_of(role)?;
        let change = async |client: &strongroom_hsm::Client| {
            client.change_password(role_of_user, name, new_password(password)?).await
        };
        self.on_each(change).await?;
        Ok(json!({ "username": name, "role": role }))
    }

    fn role_of(&self, role: &str) -> Result<Role, CliError> {
        self.logged_in()?;
        parse_role(role).ok_or(CliError::Login("the role must be admin or crypto-user"))
    }
}

fn new_password(text: &str) -> Result<Password, HsmError> {
    Ok(Password::new(text)?)
}
