//! From a failure to an exit code, one sentence, and the next step. Nowhere else.

use std::io;

use strongroom::fs::RootError;
use strongroom::{Cause, Error};
use strongroom_sdk::Error as SdkError;

use super::config::ConfigError;
pub(super) use super::failure::Failure;
use super::message::failure::MessageFailure;
use super::message::paths::PathRule;
use super::output::Output;

/// Everything was done.
pub(super) const SUCCESS: u8 = 0;
/// The options make no sense.
pub(super) const USAGE: u8 = 2;
/// The reader of the output went away: 128 + SIGPIPE, as shells report it.
const PIPE: u8 = 141;

/// One line of the table of exit codes.
struct Code {
    code: u8,
    name: &'static str,
    meaning: &'static str,
    /// What to do about it; empty where the failure's own sentence says it.
    next: &'static str,
}

const fn code(code: u8, name: &'static str, meaning: &'static str, next: &'static str) -> Code {
    Code { code, name, meaning, next }
}

const LOCAL: Code = code(
    1,
    "local",
    "this machine failed: memory, disk, cache",
    "see whether the disk is full; the cache may be deleted at any time",
);
const BAD_USE: Code = code(
    USAGE,
    "usage",
    "wrong options or arguments",
    "`strongroom help` and `strongroom COMMAND --help` show what is possible",
);
const PARTIAL: Code = code(
    3,
    "partial",
    "finished, but some entries could not be read or restored in full",
    "see the entries named above; everything else is done",
);
const LOCATION: Code = code(
    10,
    "location",
    "no such location, or it is not an archival location",
    "`strongroom location list` shows the locations that are known here",
);
const STORE_UNREACHABLE: Code = code(
    11,
    "store-unreachable",
    "the store is out of reach or failing",
    "see whether the endpoint is right and the server runs; then run the command again",
);
const KEY_DENIED: Code = code(
    12,
    "key-denied",
    "the KMS denies the key to these credentials",
    "allow kms:DescribeKey, kms:GenerateDataKey and kms:Decrypt in the key's policy, or use other credentials",
);
const INTEGRITY: Code = code(
    13,
    "integrity",
    "stored data is damaged or missing",
    "`strongroom check --read-data` names every damaged object; other snapshots and files are not affected",
);
const STORE_DENIED: Code = code(
    14,
    "store-denied",
    "the store denies access to these credentials",
    "see whether AWS_ACCESS_KEY_ID or the profile belongs to this store and may get, put, list and delete",
);
const STORE_MISSING: Code = code(
    15,
    "store-missing",
    "the bucket or folder does not exist",
    "create the bucket, or correct the URL",
);
const KMS_UNREACHABLE: Code = code(
    16,
    "kms-unreachable",
    "the KMS is out of reach, or no credentials for it were found",
    "see whether --kms-endpoint is right and the KMS runs, and whether AWS credentials are set",
);
const KEY_UNKNOWN: Code = code(
    17,
    "key-unknown",
    "the KMS knows no such key or alias",
    "see whether the key's name, its Region and its account are right",
);
const KEY_UNUSABLE: Code = code(
    18,
    "key-unusable",
    "the key exists and cannot be used now: disabled, to be deleted, its key store not connected",
    "enable the key, cancel its deletion, or connect its custom key store; then run the command again",
);
const KEY_WRONG: Code = code(
    19,
    "key-wrong",
    "the location or the message was made with another key",
    "name the key that it was made with; `strongroom decrypt --metadata-output` shows a message's keys",
);
const SNAPSHOT: Code = code(
    20,
    "snapshot",
    "no such snapshot, or no such path in it",
    "`strongroom snapshots` and `strongroom ls` show what is there",
);
const FILES: Code = code(
    21,
    "files",
    "a path to archive or to restore into cannot be opened",
    "see whether the path is right and may be accessed",
);
const REFUSED: Code = code(
    22,
    "refused",
    "a message is not one that the options accept: suite, signature, encryption context, limits",
    "see the options by which the message was refused; nothing of it was released",
);
const EXISTS: Code = code(
    23,
    "exists",
    "an output file exists already",
    "add --overwrite to replace it, --interactive to be asked, or --no-overwrite to leave it alone",
);
const STOPPED: Code = code(
    130,
    "stopped",
    "interrupted; nothing was committed, nothing is lost",
    "run the command again: what was stored already is found and not sent again",
);

const CODES: [&Code; 18] = [
    &LOCAL,
    &BAD_USE,
    &PARTIAL,
    &LOCATION,
    &STORE_UNREACHABLE,
    &KEY_DENIED,
    &INTEGRITY,
    &STORE_DENIED,
    &STORE_MISSING,
    &KMS_UNREACHABLE,
    &KEY_UNKNOWN,
    &KEY_UNUSABLE,
    &KEY_WRONG,
    &SNAPSHOT,
    &FILES,
    &REFUSED,
    &EXISTS,
    &STOPPED,
];

/// The table of exit codes for `--help`.
pub(super) fn table() -> String {
    let mut text = "Exit codes:\n    0  everything was done\n".to_owned();
    for code in CODES {
        text.push_str(&format!("  {:>3}  {}\n", code.code, code.meaning));
    }
    text.push_str("  141  the reader of standard output went away\n");
    text
}

/// Says how the command ended and answers its exit code.
pub(super) fn end(result: Result<(), Failure>, output: &Output) -> u8 {
    let failure = match result {
        Ok(()) => return SUCCESS,
        Err(failure) => failure,
    };
    if let Failure::Output(error) = &failure
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        return PIPE;
    }
    let code = failure.code();
    let hint = failure.hint(code);
    output.failed(&sentence(&failure), &hint, code.code, code.name);
    code.code
}

/// As [`end`], for a failure that comes before the options are known.
pub(super) fn end_before(failure: Failure) -> u8 {
    end(Err(failure), &Output::plain())
}

impl Failure {
    fn code(&self) -> &'static Code {
        match self {
            Self::Library(error) => of_cause(error.cause()),
            Self::Roots(RootError::Open { .. }) | Self::Target { .. } => &FILES,
            Self::Roots(_) | Self::Pattern(_) | Self::SnapshotPath { .. } => &BAD_USE,
            Self::Config(error) => match error {
                ConfigError::Unknown { .. } | ConfigError::None { .. } => &LOCATION,
                ConfigError::Unusable { .. } => &LOCAL,
                _ => &BAD_USE,
            },
            Self::Message(failure) => of_message(failure),
            Self::Key { source, .. } => of_cause(Cause::of_kms(source)),
            Self::KeyUnfit { .. } => &KEY_UNUSABLE,
            Self::NotInSnapshot { .. } => &SNAPSHOT,
            Self::Partial { .. } | Self::Kept { .. } => &PARTIAL,
            Self::Damaged { .. } => &INTEGRITY,
            #[cfg(feature = "embedded-kms")]
            Self::Different { .. } => &INTEGRITY,
            #[cfg(feature = "embedded-kms")]
            Self::EmbeddedKms(_) => &LOCAL,
            Self::Output(_) | Self::Start { .. } => &LOCAL,
        }
    }

    /// The next step: the code's, unless this failure has a better one.
    fn hint(&self, code: &Code) -> String {
        match self {
            Self::Library(Error::LocationExists { .. }) => {
                "use `strongroom location add` to make an existing location known here".to_owned()
            }
            Self::Library(Error::NotALocation { .. }) => {
                "correct the URL, or make a location there with `strongroom location create`"
                    .to_owned()
            }
            Self::Library(Error::StoreUrl { .. }) => {
                "write s3://BUCKET/PREFIX or file:///FOLDER".to_owned()
            }
            Self::Kept { .. } => {
                "restore into an empty directory, or add --overwrite if-changed".to_owned()
            }
            #[cfg(feature = "embedded-kms")]
            Self::Different { .. } => {
                "see whether something changed the tree meanwhile; otherwise please report this"
                    .to_owned()
            }
            #[cfg(feature = "embedded-kms")]
            Self::EmbeddedKms(_) => "choose another temporary folder with --work".to_owned(),
            Self::Config(error) => error.hint().unwrap_or_else(|| code.next.to_owned()),
            Self::Message(failure) => {
                message_hint(failure).map_or_else(|| code.next.to_owned(), str::to_owned)
            }
            _ => code.next.to_owned(),
        }
    }
}

fn of_message(failure: &MessageFailure) -> &'static Code {
    match failure {
        MessageFailure::ArgumentFile(_)
        | MessageFailure::WrappingKeys(_)
        | MessageFailure::Context(_)
        | MessageFailure::ContextUnusable(_)
        | MessageFailure::Caching(_)
        | MessageFailure::CachingUnusable(_)
        | MessageFailure::Keyring(_) => &BAD_USE,
        MessageFailure::Paths(PathRule::NoInput(_) | PathRule::NoFolder(_)) => &FILES,
        MessageFailure::Paths(_) => &BAD_USE,
        MessageFailure::KeyFile { .. } | MessageFailure::Open { .. } => &FILES,
        MessageFailure::ContextMissing { .. } | MessageFailure::HeldBack { .. } => &REFUSED,
        MessageFailure::Exists { .. } => &EXISTS,
        MessageFailure::Read { .. } | MessageFailure::Write { .. } => &LOCAL,
        MessageFailure::Some { .. } => &PARTIAL,
        MessageFailure::Message { source, .. } => match &**source {
            SdkError::ForbiddenByPolicy { .. }
            | SdkError::SignedSuiteRefused { .. }
            | SdkError::LimitExceeded { .. } => &REFUSED,
            other => of_cause(Cause::of_message(other)),
        },
    }
}

/// A better next step than the code's.
fn message_hint(failure: &MessageFailure) -> Option<&'static str> {
    match failure {
        MessageFailure::Read { .. } => {
            Some("see whether the input is whole; with --decode it must be Base64")
        }
        MessageFailure::HeldBack { .. } => {
            Some("write to a file, which appears only when all is verified")
        }
        MessageFailure::Message { source, .. } => match &**source {
            SdkError::ForbiddenByPolicy { .. } => {
                Some("choose another --algorithm, or another --commitment-policy if you must")
            }
            SdkError::SignedSuiteRefused { .. } => {
                Some("use `strongroom decrypt`, to a file or with --buffer")
            }
            SdkError::LimitExceeded { .. } => {
                Some("raise --max-length or --max-encrypted-data-keys if you trust the message")
            }
            _ => None,
        },
        _ => None,
    }
}

fn of_cause(cause: Cause) -> &'static Code {
    match cause {
        Cause::Request => &BAD_USE,
        Cause::Location => &LOCATION,
        Cause::Snapshot => &SNAPSHOT,
        Cause::StoreUnreachable => &STORE_UNREACHABLE,
        Cause::StoreMissing => &STORE_MISSING,
        Cause::StoreDenied => &STORE_DENIED,
        Cause::KmsUnreachable => &KMS_UNREACHABLE,
        Cause::KeyDenied => &KEY_DENIED,
        Cause::KeyUnknown => &KEY_UNKNOWN,
        Cause::KeyUnusable => &KEY_UNUSABLE,
        Cause::KeyWrong => &KEY_WRONG,
        Cause::Integrity => &INTEGRITY,
        Cause::Stopped => &STOPPED,
        _ => &LOCAL,
    }
}

/// The failure and its causes as one sentence, nothing said twice.
pub(super) fn sentence(failure: &Failure) -> String {
    if let Some(text) = key_sentence(failure) {
        return text;
    }
    let mut text = failure.to_string();
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// An object that could not be encrypted or decrypted for what the KMS answered: which object,
/// which key, what answer. The library's own error tells all the ways that were tried.
fn key_sentence(failure: &Failure) -> Option<String> {
    let (verb, object, source) = match failure {
        Failure::Library(Error::Decrypt { object, source }) => {
            ("decrypt", format!("`{object}`"), source)
        }
        Failure::Library(Error::Encrypt { object, source }) => {
            ("encrypt", format!("`{object}`"), source)
        }
        Failure::Message(MessageFailure::Message { mode, input, source }) => {
            (mode.name(), input.clone(), source)
        }
        _ => return None,
    };
    let answers = source.kms_errors();
    let (key, answer) = answers.first()?;
    Some(format!("cannot {verb} {object} with the key {key}: {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_all_in_the_help() {
        let table = table();
        for (number, code) in CODES.iter().enumerate() {
            assert!(table.contains(code.meaning));
            assert!(CODES.iter().skip(number + 1).all(|other| other.code != code.code));
            assert!(!code.next.is_empty() && !code.name.is_empty());
        }
    }

    #[test]
    fn a_sentence_names_each_cause_once() {
        let source = io::Error::new(io::ErrorKind::NotFound, "no such thing");
        let text = sentence(&Failure::Roots(RootError::Open { path: "/x".into(), source }));
        assert_eq!(text, "cannot open /x: no such thing");
        let source = io::Error::new(io::ErrorKind::NotFound, "no such thing");
        let text = sentence(&Failure::Target { path: "/x".into(), source });
        assert_eq!(text, "cannot restore into /x: no such thing");
    }
}
