//! `cluster`: the HSMs as a whole.

use serde_json::json;
use strongroom_hsm::{HsmError, Password, Role};

use super::Answer;
use super::session::Session;

/// The officer that every cluster begins with, and the password that everybody knows.
const FIRST_OFFICER: (&str, &str) = ("admin", "password");

impl Session {
    /// `cluster hsm-info`. Needs no login.
    ///
    /// # Errors
    ///
    /// [`CliError::Hsm`](super::CliError::Hsm).
    pub async fn hsm_info(&self) -> Answer {
        let all = self.on_each(async |client| client.info().await).await?;
        let hsms = all.into_iter().map(|info| {
            json!({
                "vendor": "Strongroom", "model": "simulated HSM",
                "serial-number": info.serial.as_str(), "hsm-id": info.hsm_id.as_str(),
                "fips-state": "2 [FIPS mode with single factor authentication]",
            })
        });
        Ok(json!({ "hsms": hsms.collect::<Vec<_>>() }))
    }

    /// `cluster activate`: gives the first officer a password of its own. Needs no login.
    ///
    /// # Errors
    ///
    /// [`CliError::Hsm`](super::CliError::Hsm).
    pub async fn activate(&self, password: &str) -> Answer {
        let (name, first) = FIRST_OFFICER;
        let role = Role::PrecryptoOfficer;
        let activate = async |client: &strongroom_hsm::Client| {
            client.login(role, name, Password::new(first)?).await?;
            client.change_password(role, name, Password::new(password)?).await?;
            Ok::<(), HsmError>(())
        };
        self.on_each(activate).await?;
        Ok(json!("Cluster activation successful"))
    }
}
