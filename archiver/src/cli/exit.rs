//! From a failure to an exit code, one sentence, and the next step. Nowhere else.

use std::io;

use strongroom::fs::RootError;
use strongroom::{Cause, Error};
use strongroom_sdk::Error as SdkError;
use strongroom_sdk::error::KeyringFault;

use super::config::ConfigError;
use super::exit_code::{
    BAD_USE, CONCURRENCY, Code, EXISTS, FILES, INTEGRITY, KEY_DENIED, KEY_UNKNOWN, KEY_UNUSABLE,
    KEY_WRONG, KMS_UNREACHABLE, LOCAL, LOCATION, PARTIAL, REFUSED, SNAPSHOT, SOURCE, STOPPED,
    STORE_DENIED, STORE_MISSING, STORE_UNREACHABLE,
};
pub(super) use super::exit_code::{SUCCESS, USAGE, table};
pub(super) use super::failure::Failure;
use super::message::failure::MessageFailure;
use super::message::mode::Mode;
use super::message::paths::PathRule;
use super::output::Output;

/// The reader of the output went away: 128 + SIGPIPE, as shells report it.
const PIPE: u8 = 141;

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
            Self::Roots(RootError::Open { .. })
            | Self::Target { .. }
            | Self::Write { .. }
            | Self::PatternFile { .. }
            | Self::Program { .. } => &FILES,
            Self::Roots(_)
            | Self::Pattern(_)
            | Self::SnapshotPath { .. }
            | Self::DeleteAtRoot
            | Self::NoCommand { .. }
            | Self::NoName(_)
            | Self::NoProgram
            | Self::NoJson { .. }
            | Self::Regex { .. }
            | Self::NothingToForget
            | Self::PrivateKeyGiven { .. }
            | Self::Unconfirmed { .. }
            | Self::NoneLeft { .. } => &BAD_USE,
            Self::KeyFile { .. } => &FILES,
            Self::NoRecoveryKey | Self::NoRecipient { .. } => &KEY_WRONG,
            Self::Config(error) => match error {
                ConfigError::Unknown { .. } | ConfigError::None { .. } => &LOCATION,
                ConfigError::Unusable { .. } => &LOCAL,
                _ => &BAD_USE,
            },
            Self::Message(failure) => of_message(failure),
            Self::Key { source, .. } => of_cause(Cause::of_kms(source)),
            Self::KeyUnfit { .. } => &KEY_UNUSABLE,
            Self::NotInSnapshot { .. } | Self::NotAFile { .. } => &SNAPSHOT,
            Self::Partial { .. } | Self::Kept { .. } => &PARTIAL,
            Self::Damaged { .. } | Self::Unequal { .. } => &INTEGRITY,
            #[cfg(feature = "embedded-kms")]
            Self::Different { .. } => &INTEGRITY,
            #[cfg(feature = "embedded-kms")]
            Self::EmbeddedKms(_) => &LOCAL,
            Self::Output(_) | Self::Start { .. } | Self::Cache { .. } | Self::Question { .. } => {
                &LOCAL
            }
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
            Self::Library(Error::Fenced { .. }) => {
                "run the archive again: what it stored is used unless it is collected first; if this \
                 machine sleeps during archives, prune with a longer --dead-after"
                    .to_owned()
            }
            Self::Library(Error::Unfenceable { .. }) => {
                "add --exclusive if nobody else uses this location, now or until this ends"
                    .to_owned()
            }
            Self::Library(Error::StoreUrl { .. }) => {
                "write s3://BUCKET/PREFIX or file:///FOLDER".to_owned()
            }
            Self::Library(Error::Encrypt { source, .. }) if cannot_wrap(source) => {
                "the recovery key only reads; name a key of the KMS with --key to write".to_owned()
            }
            Self::Library(error) if error.cause() == Cause::KeyDenied => {
                missing_right(error).unwrap_or_else(|| code.next.to_owned())
            }
            Self::Key { source, .. } if Cause::of_kms(source) == Cause::KeyDenied => {
                "allow kms:DescribeKey in the key's policy, or name the key by its ARN".to_owned()
            }
            Self::PrivateKeyGiven { path } => {
                format!("give its public half: openssl pkey -in {} -pubout", path.display())
            }
            Self::NoRecipient { keys, .. } => format!("give one of its keys with --key: {}", keys.join(", ")),
            Self::NoRecoveryKey => "open it with --key, or with a --key that also wraps".to_owned(),
            Self::Unconfirmed { name } => {
                format!("run it on a terminal and type the name, or add --confirm {name}")
            }
            Self::DeleteAtRoot => {
                "name the parts that are meant with --include, or another target".to_owned()
            }
            Self::Unequal { .. } => {
                "with --overwrite always, files that were left alone are replaced; otherwise suspect the disk"
                    .to_owned()
            }
            Self::NothingToForget => {
                "add a rule such as --keep-daily 7, or name snapshots; --dry-run shows what would go"
                    .to_owned()
            }
            Self::NoneLeft { .. } => {
                "add --allow-none-left if that is what you want, or a rule that keeps some"
                    .to_owned()
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

/// Whether there are no keys to write with.
fn cannot_wrap(error: &SdkError) -> bool {
    matches!(error, SdkError::Keyring(KeyringFault::CannotWrap(_)))
}

/// The right whose lack keeps an object from being written or read.
fn missing_right(error: &Error) -> Option<String> {
    let (action, object) = match error {
        Error::Encrypt { object, .. } => ("kms:GenerateDataKey", object),
        Error::Decrypt { object, .. } => ("kms:Decrypt", object),
        _ => return None,
    };
    let kind = object.kind()?.as_str();
    Some(format!(
        "allow {action} in the key's policy where kms:EncryptionContext:strongroom-kind is \"{kind}\"; \
         `strongroom location policy ROLE` prints what each role needs"
    ))
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
        MessageFailure::Message { mode, source, .. } => match &**source {
            SdkError::ForbiddenByPolicy { .. } => {
                Some("choose another --algorithm, or another --commitment-policy if you must")
            }
            SdkError::SignedSuiteRefused { .. } => {
                Some("use `strongroom decrypt`, to a file or with --buffer")
            }
            SdkError::LimitExceeded { .. } if *mode == Mode::Encrypt => {
                Some("leave out --frame-length 0, or raise --max-encrypted-data-keys")
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
        Cause::Source => &SOURCE,
        Cause::Concurrency => &CONCURRENCY,
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
    fn a_sentence_names_each_cause_once() {
        let source = io::Error::new(io::ErrorKind::NotFound, "no such thing");
        let text = sentence(&Failure::Roots(RootError::Open { path: "/x".into(), source }));
        assert_eq!(text, "cannot open /x: no such thing");
        let source = io::Error::new(io::ErrorKind::NotFound, "no such thing");
        let text = sentence(&Failure::Target { path: "/x".into(), source });
        assert_eq!(text, "cannot restore into /x: no such thing");
    }
}
