//! The audit log: every management command and its outcome, in the CloudHSM format, numbered
//! without gaps.
//!
//! The file is the log itself: one block of `Name : value` lines per event, closed by an empty
//! line. An event is on the disk before its command is answered. What a power failure cut off is
//! dropped at the next power-on; the numbers go on after the last whole event.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;
use time::macros::format_description;

use crate::error::{HsmError, Refusal};
use crate::key::KeyHandle;
use crate::limits::{AUDIT_BYTES_MAX, AUDIT_FILE_BYTES_MAX};
use crate::user::{Role, UserName};

/// What happened: the operation codes of the HSM audit log reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the names are those of the reference")]
pub(crate) enum Opcode {
    InitToken,
    GeneratePasswordKey,
    CreateApplianceUser,
    InitDone,
    Login,
    Logout,
    CloseSession,
    CreateUser,
    CreateOfficer,
    DeleteUser,
    ChangePassword,
    GenerateKey,
    DestroyObject,
    ExtractMasked,
    InsertMasked,
    BackupBegin,
    BackupEnd,
    RestoreBegin,
    RestoreEnd,
    StoreCertificate,
    Zeroize,
    SetQuorumValue,
    SetTokenTimeout,
    ApproveToken,
    RegisterQuorumKey,
    ShareKey,
    ModifyObject,
}

impl Opcode {
    /// The name, with the number where the reference or its samples show one.
    fn text(self) -> &'static str {
        match self {
            Self::InitToken => "CN_INIT_TOKEN (0x1)",
            Self::GeneratePasswordKey => "CN_GEN_PSWD_ENC_KEY (0x1d)",
            Self::CreateApplianceUser => "CN_CREATE_APPLIANCE_USER (0xfc)",
            Self::InitDone => "CN_INIT_DONE (0x95)",
            Self::Login => "CN_LOGIN (0xd)",
            Self::Logout => "CN_LOGOUT (0xe)",
            Self::CloseSession => "CN_CLOSE_SESSION",
            Self::CreateUser => "CN_CREATE_USER (0x3)",
            Self::CreateOfficer => "CN_CREATE_CO (0x4)",
            Self::DeleteUser => "CN_DELETE_USER (0xa1)",
            Self::ChangePassword => "CN_CHANGE_PSWD (0x9)",
            Self::GenerateKey => "CN_GENERATE_KEY (0x17)",
            Self::DestroyObject => "CN_DESTROY_OBJECT (0x11)",
            Self::ExtractMasked => "CN_EXTRACT_MASKED_OBJECT_USER (0xf0)",
            Self::InsertMasked => "CN_INSERT_MASKED_OBJECT_USER (0xf1)",
            Self::BackupBegin => "CN_BACKUP_BEGIN",
            Self::BackupEnd => "CN_BACKUP_END",
            Self::RestoreBegin => "CN_RESTORE_BEGIN",
            Self::RestoreEnd => "CN_RESTORE_END",
            Self::StoreCertificate => "CN_CERT_AUTH_STORE_CERT",
            Self::Zeroize => "CN_ZEROIZE",
            Self::SetQuorumValue => "CN_SET_M_VALUE",
            Self::SetTokenTimeout => "CN_SET_TOKEN_TIMEOUT",
            Self::ApproveToken => "CN_APPROVE_TOKEN",
            Self::RegisterQuorumKey => "CN_REGISTER_MOFN_PUB_KEY",
            Self::ShareKey => "CN_SHARE_OBJECT",
            Self::ModifyObject => "CN_MODIFY_OBJECT",
        }
    }

    fn command_type(self) -> &'static str {
        match self {
            Self::StoreCertificate => "CN_CERT_AUTH_CMD (0x9)",
            _ => "CN_MGMT_CMD (0x0)",
        }
    }
}

/// Whom or what an event is about.
pub(crate) enum Subject<'a> {
    Nothing,
    User(&'a UserName, Role),
    Key(KeyHandle),
}

/// One event.
pub(crate) struct Event<'a> {
    pub(crate) opcode: Opcode,
    pub(crate) session: u32,
    pub(crate) refusal: Option<&'a Refusal>,
    pub(crate) subject: Subject<'a>,
}

/// The log of one device.
pub(crate) struct AuditLog {
    path: PathBuf,
    file: File,
    length: u64,
    next_sequence: u64,
    reboot_counter: u32,
}

impl AuditLog {
    /// Opens the log of a device that is powered on for the `reboot_counter`th time.
    pub(crate) fn open(path: &Path, reboot_counter: u32) -> Result<Self, HsmError> {
        let storage = |source| HsmError::Storage { action: "open", path: path.into(), source };
        let mut file = open_append(path).map_err(storage)?;
        let (length, mut next_sequence) = recover(&mut file).map_err(storage)?;
        file.set_len(length).map_err(storage)?;
        if length == 0 {
            next_sequence = sequence_of_previous(path).map_err(storage)?;
        }
        Ok(Self { path: path.into(), file, length, next_sequence, reboot_counter })
    }

    /// Writes one event down, durably.
    pub(crate) fn record(&mut self, event: &Event<'_>, now: Duration) -> std::io::Result<()> {
        if self.length >= AUDIT_FILE_BYTES_MAX {
            self.start_new_file()?;
        }
        let text = format_event(event, self.next_sequence, self.reboot_counter, now);
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.length = self.length.saturating_add(text.len() as u64);
        self.next_sequence = self.next_sequence.saturating_add(1);
        Ok(())
    }

    /// Returns whole events from byte `offset` of the current file on, at most
    /// [`AUDIT_BYTES_MAX`] bytes.
    pub(crate) fn read(&self, offset: u64) -> std::io::Result<String> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut text = String::new();
        file.take(AUDIT_BYTES_MAX as u64).read_to_string(&mut text)?;
        let end = text.rfind("\n\n").map_or(0, |at| at.saturating_add(2));
        text.truncate(end);
        Ok(text)
    }

    fn start_new_file(&mut self) -> std::io::Result<()> {
        std::fs::rename(&self.path, previous(&self.path))?;
        self.file = open_append(&self.path)?;
        self.length = 0;
        Ok(())
    }
}

fn open_append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)
}

fn previous(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// Finds the end of the last whole event and the number after it.
fn recover(file: &mut File) -> std::io::Result<(u64, u64)> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(AUDIT_FILE_BYTES_MAX.saturating_mul(2)).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let Some(end) = text.rfind("\n\n").map(|at| at.saturating_add(2)) else { return Ok((0, 0)) };
    let whole = text.get(..end).unwrap_or_default();
    let next = last_sequence(whole).map_or(0, |last| last.saturating_add(1));
    Ok((end as u64, next))
}

/// The number after the last event of the previous file, if a new one had just been started.
fn sequence_of_previous(path: &Path) -> std::io::Result<u64> {
    match File::open(previous(path)) {
        Ok(mut file) => recover(&mut file).map(|(_, next)| next),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn last_sequence(text: &str) -> Option<u64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("Sequence No : 0x"))?;
    u64::from_str_radix(line, 16).ok()
}

fn format_event(event: &Event<'_>, sequence: u64, reboots: u32, now: Duration) -> String {
    let micros = now.as_micros();
    let log_type = match event.subject {
        Subject::Nothing => "MINIMAL_LOG_ENTRY (0)",
        Subject::Key(_) => "MGMT_KEY_DETAILS_LOG (1)",
        Subject::User(..) => "MGMT_USER_DETAILS_LOG (2)",
    };
    let mut text = format!(
        "Time: {}, usecs:{micros}\n\
         Sequence No : {sequence:#x}\n\
         Reboot counter : {reboots:#x}\n\
         Command Type(hex) : {}\n\
         Opcode : {}\n\
         Session Handle : {:#x}\n\
         Response : {}\n\
         Log type : {log_type}\n",
        utc(now),
        event.opcode.command_type(),
        event.opcode.text(),
        event.session,
        response(event.refusal),
    );
    // Writing into a string cannot fail.
    let _ = match event.subject {
        Subject::Nothing => Ok(()),
        Subject::Key(handle) => {
            write!(text, "Priv/Secret Key Handle : {handle}\nPublic Key Handle : 0\n")
        }
        Subject::User(name, role) => {
            write!(text, "User Name : {name}\nUser Type : {}\n", role.audit_name())
        }
    };
    text.push('\n');
    text
}

fn response(refusal: Option<&Refusal>) -> String {
    match refusal {
        None => "0:HSM Return: SUCCESS".to_owned(),
        Some(refusal) => format!("{}:{refusal}", refusal.code()),
    }
}

/// `MM/DD/YY HH:MM:SS.micros`, in UTC.
fn utc(now: Duration) -> String {
    let format = format_description!(
        "[month]/[day]/[year repr:last_two] [hour]:[minute]:[second].[subsecond digits:6]"
    );
    i128::try_from(now.as_nanos())
        .ok()
        .and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok())
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_micros(1_516_815_699_037_255);

    fn login(log: &mut AuditLog, refusal: Option<&Refusal>) {
        let name = UserName::parse("ExampleUser").unwrap();
        let event = Event {
            opcode: Opcode::Login,
            session: 0x0c00_8002,
            refusal,
            subject: Subject::User(&name, Role::CryptoUser),
        };
        log.record(&event, NOW).unwrap();
    }

    #[test]
    fn an_event_looks_as_the_guide_shows_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = AuditLog::open(&dir.path().join("audit.log"), 0x107).unwrap();
        let name = UserName::parse("ExampleUser").unwrap();
        login(&mut log, Some(&Refusal::UserNotFound { name }));
        assert_eq!(
            log.read(0).unwrap(),
            "Time: 01/24/18 17:41:39.037255, usecs:1516815699037255\n\
             Sequence No : 0x0\n\
             Reboot counter : 0x107\n\
             Command Type(hex) : CN_MGMT_CMD (0x0)\n\
             Opcode : CN_LOGIN (0xd)\n\
             Session Handle : 0xc008002\n\
             Response : 157:HSM Error: user isn't initialized or user with this name doesn't exist\n\
             Log type : MGMT_USER_DETAILS_LOG (2)\n\
             User Name : ExampleUser\n\
             User Type : CN_CRYPTO_USER (1)\n\n"
        );
    }

    #[test]
    fn numbers_go_on_after_a_torn_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let mut log = AuditLog::open(&path, 1).unwrap();
        login(&mut log, None);
        login(&mut log, None);
        let whole = std::fs::read(&path).unwrap();
        let boundary = whole.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2;
        for cut in boundary..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut log = AuditLog::open(&path, 2).unwrap();
            login(&mut log, None);
            let text = log.read(0).unwrap();
            assert_eq!(text.matches("Sequence No : 0x1\n").count(), 1, "cut at {cut}");
            assert_eq!(text.matches("Sequence No").count(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn numbers_go_on_in_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let mut log = AuditLog::open(&path, 1).unwrap();
        login(&mut log, None);
        log.start_new_file().unwrap();
        drop(log);
        let mut log = AuditLog::open(&path, 2).unwrap();
        login(&mut log, None);
        assert!(log.read(0).unwrap().contains("Sequence No : 0x1\n"));
    }
}
