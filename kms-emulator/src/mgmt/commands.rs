//! The commands: names, syntax, abbreviations.

/// A command of the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    ApproveToken,
    ChangePassword,
    CreateUser,
    DeleteUser,
    EnableE2e,
    Exit,
    FindAllKeys,
    GetAttribute,
    GetCert,
    GetHsmInfo,
    GetKeyInfo,
    GetMValue,
    GetToken,
    Help,
    Info,
    ListAttributes,
    ListTokens,
    ListUsers,
    Login,
    Logout,
    Quit,
    RegisterQuorumKey,
    Server,
    SetAttribute,
    SetMValue,
    ShareKey,
    SyncKey,
    SyncUser,
}

/// What there is to know of a command without running it.
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) word: &'static str,
    pub(super) syntax: &'static str,
    pub(super) summary: &'static str,
}

/// What a first word means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Command(Name),
    /// The start of several.
    Ambiguous(Vec<&'static str>),
    Unknown,
}

const fn entry(
    name: Name,
    word: &'static str,
    syntax: &'static str,
    summary: &'static str,
) -> Entry {
    Entry { name, word, syntax, summary }
}

/// Every command, in the order of `help`.
pub(super) const TABLE: &[Entry] = &[
    entry(
        Name::ApproveToken,
        "approveToken",
        "<approval file>",
        "Approves a quorum token with the signatures of officers",
    ),
    entry(
        Name::ChangePassword,
        "changePswd",
        "<user-type> <user-name> <password |-hpswd> [-2fa </path/to/authdata>]",
        "Changes the passwords of users on the HSMs",
    ),
    entry(
        Name::CreateUser,
        "createUser",
        "<user-type> <user-name> <password |-hpswd> [-2fa </path/to/authdata>]",
        "Creates users of all types on the HSMs",
    ),
    entry(
        Name::DeleteUser,
        "deleteUser",
        "<user-type> <user-name>",
        "Deletes users of all types from the HSMs",
    ),
    entry(Name::EnableE2e, "enable_e2e", "", "Enables end-to-end encryption"),
    entry(Name::Exit, "exit", "", "Leaves server mode"),
    entry(
        Name::FindAllKeys,
        "findAllKeys",
        "<user id> <key hash (0/1)> [<output file>]",
        "Gets the keys that a user owns or shares",
    ),
    entry(
        Name::GetAttribute,
        "getAttribute",
        "<key handle> <attribute id> [<output file>]",
        "Gets an attribute value for a key",
    ),
    entry(
        Name::GetCert,
        "getCert",
        "<file-name> <certificate-type>",
        "Gets a certificate of an HSM, in server mode",
    ),
    entry(Name::GetHsmInfo, "getHSMInfo", "", "Gets information about the hardware of an HSM"),
    entry(
        Name::GetKeyInfo,
        "getKeyInfo",
        "<key handle> [<output file>]",
        "Gets owners and shared users of a key",
    ),
    entry(Name::GetMValue, "getMValue", "<service>", "Gets the quorum value of a service"),
    entry(
        Name::GetToken,
        "getToken",
        "<service> <user-name> <token file>",
        "Gets a quorum token from the HSMs",
    ),
    entry(Name::Help, "help", "[<command>]", "Shows the commands, or the syntax of one"),
    entry(Name::Info, "info", "server <server id>", "Gets information about an HSM"),
    entry(Name::ListAttributes, "listAttributes", "", "Lists the attributes of keys"),
    entry(Name::ListTokens, "listTokens", "", "Lists the quorum tokens of the HSMs"),
    entry(Name::ListUsers, "listUsers", "", "Gets the users in each of the HSMs"),
    entry(
        Name::Login,
        "loginHSM",
        "<user-type> <user-name> <password |-hpswd> [-2fa </path/to/authdata>]",
        "Logs in to the HSMs",
    ),
    entry(Name::Logout, "logoutHSM", "", "Logs out of the HSMs"),
    entry(Name::Quit, "quit", "", "Quits the tool"),
    entry(
        Name::RegisterQuorumKey,
        "registerQuorumPubKey",
        "<user-type> <user-name> <registration-token> <signed-registration-token> <public-key>",
        "Registers the key by which an officer approves quorum tokens",
    ),
    entry(Name::Server, "server", "<server id>", "Enters server mode on an HSM"),
    entry(
        Name::SetAttribute,
        "setAttribute",
        "<key handle> <attribute id> <value>",
        "Sets an attribute value of a key",
    ),
    entry(
        Name::SetMValue,
        "setMValue",
        "<service> <M value>",
        "Sets the quorum value of a service",
    ),
    entry(
        Name::ShareKey,
        "shareKey",
        "<key handle> <user id> <(share/unshare key?) 1/0>",
        "Shares a key with a user, or shares it no more",
    ),
    entry(
        Name::SyncKey,
        "syncKey",
        "<key handle> <server id>",
        "Copies a key to another HSM, in server mode",
    ),
    entry(
        Name::SyncUser,
        "syncUser",
        "<user id> <server id>",
        "Copies a user to another HSM, in server mode",
    ),
];

/// Finds a command by its name, or by enough of it to tell it from the others.
pub(super) fn find(word: &str) -> Meaning {
    if let Some(entry) = TABLE.iter().find(|entry| entry.word == word) {
        return Meaning::Command(entry.name);
    }
    let starting: Vec<_> = TABLE.iter().filter(|entry| entry.word.starts_with(word)).collect();
    match starting.as_slice() {
        [] => Meaning::Unknown,
        [entry] => Meaning::Command(entry.name),
        several => Meaning::Ambiguous(several.iter().map(|entry| entry.word).collect()),
    }
}

/// The table's row of a command.
pub(super) fn describe(name: Name) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_of_a_name_suffices() {
        assert_eq!(find("listU"), Meaning::Command(Name::ListUsers));
        assert_eq!(find("loginHSM"), Meaning::Command(Name::Login));
        assert_eq!(find("q"), Meaning::Command(Name::Quit));
        let lists = vec!["listAttributes", "listTokens", "listUsers"];
        assert_eq!(find("list"), Meaning::Ambiguous(lists));
        assert_eq!(find("LISTUSERS"), Meaning::Unknown);
    }

    #[test]
    fn every_command_is_described_once() {
        for entry in TABLE {
            assert_eq!(describe(entry.name).unwrap().word, entry.word);
        }
    }
}
