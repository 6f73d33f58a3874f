//! One message: from its input to its output.
//!
//! Everything here waits for files and keys on the thread that it is called on.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::prelude::BASE64_STANDARD;
use base64::read::DecoderReader;
use serde_json::Value;
use strongroom::control::Control;
use strongroom_sdk::Error;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::options::DecryptOptions;
use strongroom_sdk::stream::PendingReader;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use super::context::{Missing, Requirements};
use super::destination::{Destination, HELD_BYTES_MAX, Manner};
use super::failure::MessageFailure;
use super::metadata::{HeaderOf, Record};
use super::mode::Mode;
use super::paths::{Job, same_as_standard};
use super::surface::{Pool, Sealer, open, worth_it};
use crate::cli::exit::Failure;

/// Bytes read from the input at a time.
const READ_BYTES: usize = 256 * 1024;

/// How messages are written or read: what is the same for all of one command.
pub(super) struct Codec {
    pub(super) mode: Mode,
    pub(super) operation: Operation,
    pub(super) manager: Arc<dyn MaterialsManager>,
    /// Whether the manager uses data keys for more than one message: then it must be told how long
    /// each one may get.
    pub(super) caches: bool,
    /// Threads for long files.
    pub(super) pool: Pool,
    /// Hold back what goes to a pipe until the end.
    pub(super) hold_back: bool,
    /// Encode the output in Base64.
    pub(super) encode: bool,
    /// Decode the input from Base64.
    pub(super) decode: bool,
}

/// What is done, with its options.
pub(super) enum Operation {
    /// A frame length of zero means a single block.
    Encrypt {
        request: EncryptionRequest,
        frame_length: u32,
    },
    Decrypt {
        options: DecryptOptions,
        requirements: Requirements,
    },
}

/// One message that was written or read.
#[derive(Debug)]
pub(super) struct Done {
    /// The line of metadata.
    pub(super) record: Value,
    /// Bytes of the input.
    pub(super) bytes: u64,
}

/// One message that was not.
#[derive(Debug)]
pub(super) struct Undone {
    pub(super) failure: Box<Failure>,
    /// A line of metadata that says so, if there is one.
    pub(super) record: Option<Value>,
}

impl<F: Into<Failure>> From<F> for Undone {
    fn from(failure: F) -> Self {
        Self { failure: Box::new(failure.into()), record: None }
    }
}

impl Codec {
    /// Writes or reads the message of `job`; `replace` says whether an output file may be there.
    pub(super) fn process(
        &self,
        job: &Job,
        replace: bool,
        control: &Control,
    ) -> Result<Done, Undone> {
        let one = One { codec: self, job, control };
        let (hold_back, encode) = (self.hold_back, self.encode);
        let manner = Manner { replace, hold_back, encode };
        match &self.operation {
            Operation::Encrypt { request, frame_length } => {
                one.encrypt(request, *frame_length, manner)
            }
            Operation::Decrypt { options, requirements } => {
                one.decrypt(options, requirements, manner)
            }
        }
    }
}

/// One message under way.
struct One<'a> {
    codec: &'a Codec,
    job: &'a Job,
    control: &'a Control,
}

impl One<'_> {
    fn encrypt(
        &self,
        request: &EncryptionRequest,
        frame_length: u32,
        manner: Manner,
    ) -> Result<Done, Undone> {
        let (source, pool) = self.source()?;
        let manager = &self.codec.manager;
        let request =
            EncryptionRequest { plaintext_length_max: self.length_max(), ..request.clone() };
        let materials = Handle::current().block_on(manager.encryption_materials(&request));
        let materials = materials.map_err(|error| self.refused(error))?;
        let destination = self.destination(manner)?;
        let mut writer = Sealer::new(destination, materials, frame_length, pool)
            .map_err(|error| self.not_written(error))?;
        let bytes = self.pump(source, &mut writer)?;
        let fields = writer.header_fields().clone();
        let destination = writer.finish().map_err(|error| self.not_written(error))?;
        destination.finish().map_err(|error| self.unwritable(error))?;
        Ok(Done { record: self.record(HeaderOf::Written(&fields), None), bytes })
    }

    fn decrypt(
        &self,
        options: &DecryptOptions,
        requirements: &Requirements,
        manner: Manner,
    ) -> Result<Done, Undone> {
        let (source, pool) = self.source()?;
        let pending =
            PendingReader::read_header(source, options).map_err(|error| self.not_read(error))?;
        if let Some(missing) = requirements.missing_in(pending.request().encryption_context()) {
            let record = Some(self.record(HeaderOf::Read(pending.header()), Some(&missing)));
            let failure = MessageFailure::ContextMissing { input: self.input(), missing };
            return Err(Undone { failure: Box::new(failure.into()), record });
        }
        let record = self.record(HeaderOf::Read(pending.header()), None);
        let manager = &self.codec.manager;
        let materials = manager.decryption_materials(pending.request());
        let materials = Handle::current().block_on(materials);
        let reader = materials.and_then(|materials| open(pending, materials, pool));
        let reader = reader.map_err(|error| self.refused(error))?;
        let mut destination = self.destination(manner)?;
        let bytes = self.pump(reader, &mut destination)?;
        destination.finish().map_err(|error| self.unwritable(error))?;
        Ok(Done { record, bytes })
    }

    fn record(&self, header: HeaderOf<'_>, missing: Option<&Missing>) -> Value {
        let Job { input, output } = self.job;
        Record { mode: self.codec.mode, input, output, header, missing }.to_json()
    }

    /// The bytes of the input, and the threads that they are worth.
    fn source(&self) -> Result<(Box<dyn Read + Send>, Pool), Failure> {
        let path = &self.job.input;
        let file = open_input(path)
            .map_err(|source| MessageFailure::Open { path: path.clone(), source })?;
        let pool = worth_it(&self.codec.pool, &file);
        let reader = BufReader::with_capacity(READ_BYTES, file);
        Ok(match self.codec.decode {
            false => (Box::new(reader), pool),
            true => {
                let decoder = DecoderReader::new(WithoutSpace(reader), &BASE64_STANDARD);
                (Box::new(decoder), pool)
            }
        })
    }

    /// How long the plaintext may get, where somebody needs to know and a file tells.
    fn length_max(&self) -> Option<u64> {
        let stat = std::fs::metadata(&self.job.input).ok().filter(std::fs::Metadata::is_file);
        let told = self.codec.caches && !same_as_standard(&self.job.input);
        stat.filter(|_| told).map(|stat| stat.len())
    }

    fn destination(&self, manner: Manner) -> Result<Destination, Failure> {
        let path = &self.job.output;
        Destination::open(path, manner)
            .map_err(|source| MessageFailure::Open { path: path.clone(), source }.into())
    }

    /// Copies everything, and answers how many bytes that were.
    fn pump(&self, mut from: impl Read, to: &mut impl Write) -> Result<u64, Failure> {
        let mut buffer = Zeroizing::new(vec![0; READ_BYTES]);
        let mut total = 0;
        loop {
            let count = match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(|error| self.unreadable(error))?,
            };
            // After the read, which may have waited for long, and also at the end of the input.
            if self.control.is_stopped() {
                return Err(strongroom::Error::Stopped.into());
            }
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
                return Ok(total);
            };
            to.write_all(read).map_err(|error| self.unwritable(error))?;
            total += count as u64;
            self.control.progress.bytes.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    fn input(&self) -> String {
        match same_as_standard(&self.job.input) {
            true => "standard input".to_owned(),
            false => self.job.input.display().to_string(),
        }
    }

    fn refused(&self, error: Error) -> Failure {
        let (mode, input) = (self.codec.mode, self.input());
        MessageFailure::Message { mode, input, source: Box::new(error) }.into()
    }

    fn not_read(&self, error: Error) -> Failure {
        match error {
            Error::Io { source, .. } => self.unreadable(source),
            other => self.refused(other),
        }
    }

    fn not_written(&self, error: Error) -> Failure {
        match error {
            Error::Io { source, .. } => self.unwritable(source),
            other => self.refused(other),
        }
    }

    /// What a reader of input or plaintext returned: it may carry what is wrong with the message.
    fn unreadable(&self, error: io::Error) -> Failure {
        match error.downcast::<Error>() {
            Ok(error) => self.refused(error),
            Err(source) => MessageFailure::Read { input: self.input(), source }.into(),
        }
    }

    /// What a writer of a message or of the output returned.
    fn unwritable(&self, error: io::Error) -> Failure {
        let path = self.job.output.clone();
        let source = match error.downcast::<Error>() {
            Ok(error) => return self.refused(error),
            Err(source) => source,
        };
        match source.kind() {
            io::ErrorKind::AlreadyExists => MessageFailure::Exists { path }.into(),
            // Our own limit: what the system says has a number.
            io::ErrorKind::QuotaExceeded if source.raw_os_error().is_none() => {
                MessageFailure::HeldBack { input: self.input(), max: HELD_BYTES_MAX }.into()
            }
            _ if same_as_standard(&path) => Failure::Output(source),
            _ => MessageFailure::Write { path, source }.into(),
        }
    }
}

/// The file at `path`, or standard input.
fn open_input(path: &Path) -> io::Result<File> {
    match same_as_standard(path) {
        true => Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?)),
        false => File::open(path),
    }
}

/// Leaves out the white space that Base64 is broken into lines with.
struct WithoutSpace<R>(R);

impl<R: Read> Read for WithoutSpace<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.0.read(out)?;
            let mut kept = 0;
            for at in 0..count {
                if let Some(byte) = out.get(at).copied().filter(|byte| !byte.is_ascii_whitespace())
                    && let Some(place) = out.get_mut(kept)
                {
                    *place = byte;
                    kept += 1;
                }
            }
            if kept > 0 || count == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_may_be_broken_into_lines() {
        let text = b"aGVs\r\nbG8g\n \n\td29y\nbGQ=\n";
        let mut plain = String::new();
        let source = WithoutSpace(&text[..]);
        DecoderReader::new(source, &BASE64_STANDARD).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, "hello world");
    }
}
