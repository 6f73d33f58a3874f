//! `strongroom encrypt`, `decrypt` and `decrypt-unsigned`: files, directories and pipes as messages of
//! the AWS Encryption SDK, with the options of its official command line.
//!
//! | module | subject |
//! |---|---|
//! | [`argument_file`] | `@FILE` among the arguments |
//! | [`arguments`], `pairs`, `suite_name` | the options |
//! | [`wrapping_keys`], `keyrings`, `branch_keys` | which keys, and the keyring of them |
//! | `caching` | data keys for more than one message |
//! | `context` | encryption contexts to write and to demand |
//! | [`paths`] | which input goes to which output |
//! | `codec` | one message |
//! | `surface`, `single_block` | one core or several; a message without frames |
//! | `existing` | what happens to output files that exist |
//! | `destination` | files that appear whole or not at all |
//! | `metadata` | the line of JSON about each message |
//! | [`failure`] | what can go wrong |

pub(super) mod argument_file;
pub(super) mod arguments;
mod branch_keys;
mod caching;
mod codec;
mod context;
mod destination;
mod existing;
pub(super) mod failure;
mod keyrings;
mod metadata;
pub(super) mod mode;
pub(super) mod pairs;
pub(super) mod paths;
mod single_block;
mod suite_name;
mod surface;
pub(super) mod wrapping_keys;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt as _;
use serde_json::{Value, json};
use strongroom::Cause;
use strongroom::control::Control;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::options::{DecryptOptions, SignedMessages};
use tokio::sync::mpsc;

use self::arguments::{Common, Decrypt, Encrypt, Metadata};
use self::caching::Caching;
use self::codec::{Codec, Done, Operation, Undone};
use self::existing::{Step, decide};
use self::failure::MessageFailure;
use self::metadata::MetadataLog;
use self::mode::Mode;
use self::paths::{PathRule, Plan, same_as_standard};
use super::exit::{Failure, sentence};
use super::output::{Output, bytes_text, counted, printable};
use super::report::{Report, seconds, speed};

/// Paths that are found ahead of what is being processed.
const PLANNED_AHEAD: usize = 256;

/// Most messages processed at a time; each holds a few frames in memory.
const CONCURRENCY_MAX: usize = 16;

/// Runs `strongroom encrypt`.
pub(super) async fn encrypt(arguments: Encrypt, output: &Output) -> Result<(), Failure> {
    let Encrypt { common, encryption_context, algorithm, frame_length } = arguments;
    let operation = Operation::Encrypt {
        request: EncryptionRequest {
            encryption_context: context::parse(&encryption_context)?,
            commitment_policy: common.commitment_policy.into(),
            suite: algorithm.map(|name| name.0),
            encrypted_data_keys_max: common.max_encrypted_data_keys.map(usize::from),
            ..EncryptionRequest::default()
        },
        frame_length,
    };
    run(Mode::Encrypt, operation, common, output).await
}

/// Runs `strongroom decrypt` or `strongroom decrypt-unsigned`.
pub(super) async fn decrypt(
    mode: Mode,
    arguments: Decrypt,
    output: &Output,
) -> Result<(), Failure> {
    let Decrypt { common, encryption_context, max_length } = arguments;
    let mut limits = Limits::default();
    limits.frame_bytes_max = max_length.unwrap_or(limits.frame_bytes_max);
    let keys_max = common.max_encrypted_data_keys.map(usize::from);
    limits.encrypted_data_keys_max = keys_max.unwrap_or(limits.encrypted_data_keys_max);
    let signed_messages = match mode {
        Mode::DecryptUnsigned => SignedMessages::Refuse,
        Mode::Encrypt | Mode::Decrypt => SignedMessages::Accept,
    };
    let operation = Operation::Decrypt {
        options: DecryptOptions {
            commitment_policy: common.commitment_policy.into(),
            limits,
            signed_messages,
            ..DecryptOptions::default()
        },
        requirements: context::Requirements::parse(&encryption_context)?,
    };
    run(mode, operation, common, output).await
}

async fn run(
    mode: Mode,
    operation: Operation,
    common: Common,
    output: &Output,
) -> Result<(), Failure> {
    check_standard_streams(&common, output)?;
    let plan = Plan::new(&common, mode).map_err(MessageFailure::Paths)?;
    check_metadata(&common.metadata, &plan)?;
    let groups = common.wrapping_keys.parse(mode).map_err(MessageFailure::WrappingKeys)?;
    let caching = Caching::parse(&common.caching).map_err(MessageFailure::Caching)?;
    let keyring = keyrings::keyring(&groups, mode, common.kms_endpoint.as_deref()).await?;
    let mut manager: Arc<dyn MaterialsManager> = Arc::new(DefaultCmm::new(keyring));
    if let Some(caching) = &caching {
        let over = caching.over(manager).map_err(MessageFailure::CachingUnusable)?;
        manager = Arc::new(over);
    }
    let codec = Arc::new(Codec {
        mode,
        operation,
        manager,
        caches: caching.is_some(),
        // Several files go to as many cores; one file is shared among them.
        pool: match plan.is_many() {
            true => None,
            false => surface::pool_of_cores().map_err(|source| Failure::Start { source })?,
        },
        hold_back: common.buffer,
        encode: common.encode,
        decode: common.decode,
    });
    let report = Report::start(output, mode.participles().1);
    let run = Run { codec, common: &common, output, report, tally: Tally::default() };
    run.all(plan).await
}

/// Each standard stream has one use at a time.
fn check_standard_streams(common: &Common, output: &Output) -> Result<(), MessageFailure> {
    let to_standard = |path: Option<&Path>| path.is_some_and(same_as_standard);
    let data = to_standard(Some(&common.output));
    let metadata = to_standard(common.metadata.metadata_output.as_deref());
    let message = "the message or its plaintext";
    let twice = match (data, metadata, output.is_json()) {
        (true, true, _) => (message, "metadata"),
        (true, _, true) => (message, "the result as JSON"),
        (_, true, true) => ("metadata", "the result as JSON"),
        _ if common.existing.interactive
            && common.input.iter().any(|path| same_as_standard(path)) =>
        {
            return Err(PathRule::StandardInputTwice.into());
        }
        _ => return Ok(()),
    };
    Err(PathRule::StandardOutputTwice(twice.0, twice.1).into())
}

fn check_metadata(options: &Metadata, plan: &Plan) -> Result<(), MessageFailure> {
    match &options.metadata_output {
        Some(path) if !same_as_standard(path) && plan.touches(path) => {
            Err(PathRule::MetadataInTheWay(path.clone()).into())
        }
        _ => Ok(()),
    }
}

/// One command under way.
struct Run<'a> {
    codec: Arc<Codec>,
    common: &'a Common,
    output: &'a Output,
    report: Report,
    tally: Tally,
}

/// What became of the messages.
#[derive(Default)]
struct Tally {
    done: u64,
    /// Output files that were there and were left alone, as asked.
    kept: u64,
    failed: u64,
    /// Names that stand for no file.
    left_out: u64,
    bytes: u64,
}

/// What became of one planned message.
enum Ended {
    Done(Done),
    Undone(Undone),
    Kept(PathBuf),
    LeftOut(String),
}

impl Run<'_> {
    async fn all(mut self, plan: Plan) -> Result<(), Failure> {
        let options = &self.common.metadata;
        let path = || options.metadata_output.clone().unwrap_or_default();
        let mut log = MetadataLog::open(options)
            .map_err(|source| MessageFailure::Open { path: path(), source })?;
        let many = plan.is_many();
        let (sender, mut receiver) = mpsc::channel(PLANNED_AHEAD);
        let planning = tokio::task::spawn_blocking(move || {
            plan.visit(|planned| sender.blocking_send(planned).is_ok())
        });
        let planned = futures::stream::poll_fn(|context| receiver.poll_recv(context));
        let (codec, control) = (self.codec.clone(), self.report.control.clone());
        let existing = &self.common.existing;
        // In order, so that metadata and questions come in order; each step is decided before the
        // next one is looked at.
        let mut results = planned
            .map(|planned| carry_out(codec.clone(), control.clone(), decide(planned, existing)))
            .buffered(concurrency());
        while let Some(ended) = results.next().await {
            if let Some(record) = ended.record() {
                log.write(record)
                    .map_err(|source| MessageFailure::Write { path: path(), source })?;
            }
            if let Err(failure) = self.tally.count(ended, many, &self.report, self.output) {
                // What is under way beside it need not be finished.
                control.stop();
                return Err(failure);
            }
        }
        drop(results);
        planning.await.map_err(|error| Failure::Start { source: error.into() })??;
        self.tell()
    }

    fn tell(&self) -> Result<(), Failure> {
        let elapsed = self.report.finish();
        let Tally { done, kept, failed, left_out, bytes } = self.tally;
        let participle = self.codec.mode.participles().0;
        if !self.uses_standard_output() {
            let human = format!(
                "{participle} {}: {} in {:.1} s ({})\n  {kept} left alone, {left_out} left out, {failed} failed",
                counted(done, "file"),
                bytes_text(bytes),
                elapsed.as_secs_f64(),
                speed(bytes, elapsed),
            );
            self.output.summary(&human, || {
                json!({
                    "files": done,
                    "bytes": bytes,
                    "kept": kept,
                    "left_out": left_out,
                    "failed": failed,
                    "seconds": seconds(elapsed),
                })
            })?;
        }
        match failed {
            0 => Ok(()),
            count => {
                let total = done + kept + failed;
                Err(MessageFailure::Some { count, total, done: participle }.into())
            }
        }
    }

    fn uses_standard_output(&self) -> bool {
        let metadata = self.common.metadata.metadata_output.as_deref();
        same_as_standard(&self.common.output) || metadata.is_some_and(same_as_standard)
    }
}

impl Ended {
    /// The line of metadata about it.
    fn record(&self) -> Option<&Value> {
        match self {
            Self::Done(done) => Some(&done.record),
            Self::Undone(undone) => undone.record.as_ref(),
            Self::Kept(_) | Self::LeftOut(_) => None,
        }
    }
}

impl Tally {
    /// Counts what became of one message and says what is not as one would expect.
    ///
    /// # Errors
    /// The failure of the only message, or one that every other message would meet too.
    fn count(
        &mut self,
        ended: Ended,
        many: bool,
        report: &Report,
        output: &Output,
    ) -> Result<(), Failure> {
        match ended {
            Ended::Done(done) => {
                self.done += 1;
                self.bytes = self.bytes.saturating_add(done.bytes);
                report.control.progress.entries.fetch_add(1, Ordering::Relaxed);
            }
            Ended::Undone(Undone { failure, .. }) if !many || concerns_all(&failure) => {
                return Err(*failure);
            }
            Ended::Undone(Undone { failure, .. }) => {
                self.failed += 1;
                report.say(&format!("strongroom: {}", printable(&sentence(&failure))));
            }
            Ended::Kept(path) => {
                self.kept += 1;
                if !output.is_quiet() {
                    let path = printable(&path.display().to_string());
                    report.say(&format!("strongroom: left {path} as it is: it exists already"));
                }
            }
            Ended::LeftOut(what) => {
                self.left_out += 1;
                report.say(&format!("strongroom: left out: {}", printable(&what)));
            }
        }
        Ok(())
    }
}

/// Whether every other message would fail in the same way.
fn concerns_all(failure: &Failure) -> bool {
    match failure {
        Failure::Library(_) | Failure::Output(_) | Failure::Start { .. } => true,
        Failure::Message(MessageFailure::Write { source, .. }) => {
            source.kind() == io::ErrorKind::StorageFull
        }
        Failure::Message(MessageFailure::Message { mode, source, .. }) => {
            match (source.kms_errors().first(), mode) {
                (None, _) => false,
                // The same keys wrap every message; each may be for another key to read.
                (Some(_), Mode::Encrypt) => true,
                (Some((_, answer)), _) => Cause::of_kms(answer) == Cause::KmsUnreachable,
            }
        }
        _ => false,
    }
}

/// How many messages are processed at a time.
fn concurrency() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(CONCURRENCY_MAX)
}

/// Carries out one step, on a thread that may wait.
async fn carry_out(codec: Arc<Codec>, control: Control, step: Step) -> Ended {
    let (job, replace) = match step {
        Step::Process { job, replace } => (job, replace),
        Step::Nothing(ended) => return ended,
    };
    let processed = tokio::task::spawn_blocking(move || {
        make_folder_of(&job.output)?;
        codec.process(&job, replace, &control)
    });
    match processed.await {
        Ok(Ok(done)) => Ended::Done(done),
        Ok(Err(undone)) => Ended::Undone(undone),
        Err(error) => Ended::Undone(Failure::Start { source: error.into() }.into()),
    }
}

/// Makes the folders that an output in a directory needs.
fn make_folder_of(output: &Path) -> Result<(), MessageFailure> {
    let folder = paths::folder_of(output);
    fs::create_dir_all(folder)
        .map_err(|source| MessageFailure::Open { path: folder.to_owned(), source })
}
