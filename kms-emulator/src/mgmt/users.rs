//! User management on every HSM of the configuration.

use std::fmt::Write as _;

use strongroom_hsm::{Client, HsmError, Password, Role, UserInfo};

use super::MgmtError;
use super::second_factor::{Factors, Purpose};
use super::shell::{Shell, reason};

/// The warning before every change of users.
const CAUTION: &str = "\n\
*************************CAUTION********************************\n\
This is a CRITICAL operation, should be done on all nodes in the\n\
cluster. AWS does NOT synchronize these changes automatically with the\n\
nodes on which this operation is not executed or failed, please\n\
ensure this operation is executed on all nodes in the cluster.\n\
****************************************************************\n";

/// What to do about an HSM on which a change failed.
enum Decision {
    Retry,
    Ignore,
    Abort,
}

/// What became of a change on one HSM.
enum Verdict {
    Done,
    Ignored,
    Aborted,
}

/// The question after a failure, and the letters that answer it.
struct Question {
    text: &'static str,
    abort: &'static str,
}

const RETRY_IGNORE_ABORT: Question = Question { text: "\nRetry/Ignore/Abort?(R/I/A):", abort: "A" };
const RETRY_ROLL_BACK_IGNORE: Question =
    Question { text: "\nRetry/rollBack/Ignore?(R/B/I):", abort: "B" };

/// A change of one user.
struct Change<'a> {
    role: Role,
    name: &'a str,
    password: Option<&'a str>,
    factors: Factors,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Create,
    Delete,
    ChangePassword,
}

impl Change<'_> {
    async fn apply(&self, client: &Client, number: usize) -> Result<(), HsmError> {
        let password = Password::new(self.password.unwrap_or_default())?;
        let (role, name, factor) = (self.role, self.name, self.factors.new_factor(number));
        match self.kind {
            Kind::Create => client.create_user(role, name, password, factor).await,
            Kind::Delete => client.delete_user(role, name).await,
            Kind::ChangePassword => {
                client.change_password_and_factor(role, name, password, factor).await
            }
        }
    }

    fn announcement(&self, nodes: usize) -> String {
        let verb = match self.kind {
            Kind::Create => "Creating User",
            Kind::Delete => "Deleting user",
            Kind::ChangePassword => "Changing password for",
        };
        format!("{verb} {}({}) on {nodes} nodes\n", self.name, self.role)
    }

    /// What is printed for a server on which it succeeded: the guide shows a line for deletions only.
    fn success(&self, label: &str) -> String {
        match self.kind {
            Kind::Delete => format!("deleteUser success on server {label}\n"),
            Kind::Create | Kind::ChangePassword => String::new(),
        }
    }

    fn failure(&self, label: &str, error: &HsmError) -> String {
        let why = reason(error);
        match self.kind {
            Kind::Create => {
                format!("createUser failed: {why}\ncreating user on server {label} failed\n")
            }
            Kind::Delete => {
                format!("deleteUser failed: {why}\ndeleteUser failed on server {label}\n")
            }
            Kind::ChangePassword => {
                format!("changePswd failed: {why}\nchanging password on server {label} failed\n")
            }
        }
    }

    fn question(&self) -> &'static Question {
        match self.kind {
            Kind::Delete => &RETRY_ROLL_BACK_IGNORE,
            Kind::Create | Kind::ChangePassword => &RETRY_IGNORE_ABORT,
        }
    }
}

impl Shell<'_> {
    pub(super) async fn login(
        &mut self,
        role: &str,
        name: &str,
        password: &str,
        factor: Option<&str>,
    ) -> Result<(), MgmtError> {
        let Some(role) = self.role(role)? else { return Ok(()) };
        let Some(password) = self.password(password)? else { return Ok(()) };
        let Some(factors) = self.second_factor(factor, Purpose::Login).await? else {
            return Ok(());
        };
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            let signature = factors.signature(number);
            let result = match Password::new(&password) {
                Ok(password) => client.login_with_factor(role, name, password, signature).await,
                Err(refusal) => Err(HsmError::Refused(refusal)),
            };
            match result {
                Ok(()) => {
                    self.set_login(number, Some((role, name.to_owned())));
                    self.print(&format!("loginHSM success on server {label}\n"))?;
                }
                Err(error) => self.fail(&format!(
                    "loginHSM failed: {}\nloginHSM failed on server {label}\n",
                    reason(&error)
                ))?,
            }
        }
        Ok(())
    }

    pub(super) async fn logout(&mut self) -> Result<(), MgmtError> {
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            match client.logout().await {
                Ok(()) => {
                    self.set_login(number, None);
                    self.print(&format!("logoutHSM success on server {label}\n"))?;
                }
                Err(error) => self.fail(&format!(
                    "logoutHSM failed: {}\nlogoutHSM failed on server {label}\n",
                    reason(&error)
                ))?,
            }
        }
        Ok(())
    }

    pub(super) async fn list_users(&mut self) -> Result<(), MgmtError> {
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            match client.list_users().await {
                Ok(users) => {
                    self.print(&format!("Users on server {label}:\n{}", table(&users)))?;
                }
                Err(error) => {
                    self.fail(&format!(
                        "listUsers failed on server {label}: {}\n",
                        reason(&error)
                    ))?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn create_user(
        &mut self,
        role: &str,
        name: &str,
        password: &str,
        factor: Option<&str>,
    ) -> Result<(), MgmtError> {
        self.set_password((role, name), password, factor, Kind::Create).await
    }

    pub(super) async fn delete_user(&mut self, role: &str, name: &str) -> Result<(), MgmtError> {
        let Some(role) = self.role(role)? else { return Ok(()) };
        let factors = Factors::none();
        let change = Change { role, name, password: None, factors, kind: Kind::Delete };
        self.change_everywhere(&change).await
    }

    pub(super) async fn change_password(
        &mut self,
        role: &str,
        name: &str,
        password: &str,
        factor: Option<&str>,
    ) -> Result<(), MgmtError> {
        self.set_password((role, name), password, factor, Kind::ChangePassword).await
    }

    async fn set_password(
        &mut self,
        (role, name): (&str, &str),
        password: &str,
        factor: Option<&str>,
        kind: Kind,
    ) -> Result<(), MgmtError> {
        let Some(role) = self.role(role)? else { return Ok(()) };
        if factor.is_some() && role != Role::CryptoOfficer {
            return self.fail("Two-factor authentication is for crypto officers: use CO\n");
        }
        let Some(password) = self.password(password)? else { return Ok(()) };
        let Some(factors) = self.second_factor(factor, Purpose::Registration).await? else {
            return Ok(());
        };
        let change = Change { role, name, password: Some(&password), factors, kind };
        if self.confirm()? { self.change_everywhere(&change).await } else { Ok(()) }
    }

    async fn change_everywhere(&mut self, change: &Change<'_>) -> Result<(), MgmtError> {
        let numbers = self.selected();
        self.print(&change.announcement(numbers.len()))?;
        for number in numbers {
            match self.change_one(number, change).await? {
                Verdict::Done | Verdict::Ignored => {}
                Verdict::Aborted => break,
            }
        }
        Ok(())
    }

    /// Changes one server, again as long as the user wants.
    async fn change_one(
        &mut self,
        number: usize,
        change: &Change<'_>,
    ) -> Result<Verdict, MgmtError> {
        let Some((client, label)) = self.reach(number) else { return Ok(Verdict::Ignored) };
        while let Err(error) = change.apply(&client, number).await {
            self.fail(&change.failure(&label, &error))?;
            match self.decide(change.question())? {
                Decision::Retry => {}
                Decision::Ignore => return Ok(Verdict::Ignored),
                Decision::Abort => return Ok(Verdict::Aborted),
            }
        }
        self.note_activation(number, change);
        self.print(&change.success(&label))?;
        Ok(Verdict::Done)
    }

    /// A PRECO who has set a password is a CO from then on.
    fn note_activation(&mut self, number: usize, change: &Change<'_>) {
        let own = (change.role, change.name);
        let login = self.servers.get_mut(number).and_then(|server| server.login.as_mut());
        if let Some((role, name)) = login
            && matches!(change.kind, Kind::ChangePassword)
            && own == (Role::PrecryptoOfficer, name.as_str())
        {
            *role = Role::CryptoOfficer;
        }
    }

    /// Shows the warning and asks whether to go on; the end of the input is a no.
    pub(super) fn confirm(&mut self) -> Result<bool, MgmtError> {
        self.print(CAUTION)?;
        loop {
            self.print("\nDo you want to continue(y/n)?")?;
            let answer = self.console.line()?;
            match answer.as_deref().map(|answer| answer.trim()) {
                Some("y" | "Y") => return Ok(true),
                Some("n" | "N") | None => return Ok(false),
                Some(_) => self.print("Invalid option, please type 'y' or 'n'\n")?,
            }
        }
    }

    /// Asks what to do about a failure; the end of the input aborts.
    fn decide(&mut self, question: &Question) -> Result<Decision, MgmtError> {
        loop {
            self.print(question.text)?;
            let answer = self.console.line()?;
            match answer.as_deref().map(|answer| answer.trim()) {
                Some("R" | "r") => return Ok(Decision::Retry),
                Some("I" | "i") => return Ok(Decision::Ignore),
                Some(letter) if letter.eq_ignore_ascii_case(question.abort) => {
                    return Ok(Decision::Abort);
                }
                None => return Ok(Decision::Abort),
                Some(_) => self.print("Invalid option\n")?,
            }
        }
    }

    fn role(&mut self, word: &str) -> Result<Option<Role>, MgmtError> {
        let role = Role::parse(word);
        if role.is_none() {
            self.fail(&format!("Invalid user type '{word}': use CO, CU or PRECO\n"))?;
        }
        Ok(role)
    }

    /// The connection to a server and its name in the outputs.
    pub(super) fn reach(&self, number: usize) -> Option<(Client, String)> {
        let server = self.servers.get(number)?;
        Some((server.client.clone()?, server.label()))
    }

    fn set_login(&mut self, number: usize, login: Option<(Role, String)>) {
        if let Some(server) = self.servers.get_mut(number) {
            server.login = login;
        }
    }
}

/// The users of a server, in the columns of the guide.
fn table(users: &[UserInfo]) -> String {
    let mut text = format!(
        "Number of users found:{}\n\n    \
         {:<20}{:<16}{:<35}{:<14}{:<24}2FA\n",
        users.len(),
        "User Id",
        "User Type",
        "User Name",
        "MofnPubKey",
        "LoginFailureCnt"
    );
    for user in users {
        let yes_no = |yes| if yes { "YES" } else { "NO" };
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{:>10}{:14}{:<16}{:<40}{:>3}{:>16}{:>17}",
            user.id.0,
            "",
            user.role.short_name(),
            user.name.as_str(),
            yes_no(user.quorum_key),
            user.login_failures,
            yes_no(user.second_factor)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use strongroom_hsm::{UserId, UserName};

    use super::*;

    #[test]
    fn users_stand_in_the_columns_of_the_guide() {
        let user = |id, role, name| UserInfo {
            id: UserId(id),
            role,
            name: UserName::parse(name).unwrap(),
            login_failures: 0,
            second_factor: false,
            quorum_key: false,
        };
        let users = [
            user(1, Role::CryptoOfficer, "admin"),
            user(2, Role::ApplianceUser, "app_user"),
            user(3, Role::CryptoUser, "example_user"),
        ];
        assert_eq!(
            table(&users),
            "Number of users found:3\n\n    \
             User Id             User Type       User Name                          MofnPubKey    LoginFailureCnt         2FA\n         \
             1              CO              admin                                    NO               0               NO\n         \
             2              AU              app_user                                 NO               0               NO\n         \
             3              CU              example_user                             NO               0               NO\n"
        );
    }
}
