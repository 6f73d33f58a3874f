//! Reading one message.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::engine::{FrameOpener, SignatureStaysUnverified};
use strongroom_sdk::futures_stream::DecryptStream;
use strongroom_sdk::materials::DecryptionRequest;
use strongroom_sdk::message::header::{Content, Header};
use strongroom_sdk::oneshot::{self, Opened};
use strongroom_sdk::options::DecryptOptions;
use strongroom_sdk::parallel::{self, ParallelDecryptor};
use strongroom_sdk::range::RangeReader;
use strongroom_sdk::stream::PendingReader;
use strongroom_sdk::tokio_stream::AsyncDecryptReader;
use strongroom_sdk::{Error, Result};
use tokio::io::AsyncReadExt;

use super::{Outcome, PART_BYTES, pool, unpack};

/// Whether a range of a signed message may be read, whose signature then stays unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vectors) enum RangeOfSigned {
    Allowed,
    Refused,
}

/// What all of these functions are told of one message.
#[derive(Clone, Copy)]
struct Message<'a> {
    bytes: &'a [u8],
    manager: &'a dyn MaterialsManager,
    options: &'a DecryptOptions,
}

/// Reads the whole message as a byte slice.
pub(in crate::vectors) async fn open(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> Result<Opened> {
    oneshot::decrypt(message, manager, options).await
}

/// Reads `message` through every surface but that of [`open`].
pub(in crate::vectors) async fn read(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
    signed: RangeOfSigned,
) -> Vec<Outcome> {
    let message = Message { bytes: message, manager, options };
    let mut outcomes = vec![
        Outcome { surface: "std::io", bytes: std_io(message).await },
        Outcome { surface: "tokio", bytes: tokio(message).await },
        Outcome { surface: "Stream<Bytes>", bytes: stream(message).await },
        Outcome { surface: "parallel", bytes: parallel_bytes(message).await },
        Outcome { surface: "parallel stream", bytes: parallel_stream(message).await },
    ];
    // Random access is for messages with frames.
    let range = range(message, signed).await;
    if !matches!(range, Err(Error::NotFramed)) {
        outcomes.push(Outcome { surface: "range", bytes: range });
    }
    outcomes
}

async fn std_io(message: Message<'_>) -> Result<Vec<u8>> {
    let pending = PendingReader::read_header(message.bytes, message.options)?;
    let materials = message.manager.decryption_materials(pending.request()).await?;
    let mut plaintext = Vec::new();
    pending.verify(materials)?.read_to_end(&mut plaintext).map_err(unpack)?;
    Ok(plaintext)
}

async fn tokio(message: Message<'_>) -> Result<Vec<u8>> {
    let opening = AsyncDecryptReader::open(message.bytes, message.manager, message.options);
    let mut plaintext = Vec::new();
    opening.await?.read_to_end(&mut plaintext).await.map_err(unpack)?;
    Ok(plaintext)
}

async fn stream(message: Message<'_>) -> Result<Vec<u8>> {
    let parts = message.bytes.chunks(PART_BYTES);
    let parts: Vec<std::io::Result<Bytes>> =
        parts.map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    let parts = futures::stream::iter(parts);
    let mut stream = DecryptStream::open(parts, message.manager, message.options).await?;
    let mut plaintext = Vec::new();
    while let Some(part) = stream.try_next().await? {
        plaintext.extend_from_slice(&part);
    }
    Ok(plaintext)
}

async fn parallel_bytes(message: Message<'_>) -> Result<Vec<u8>> {
    let Message { bytes, manager, options } = message;
    Ok(parallel::decrypt(bytes, manager, options, &*pool()?).await?.plaintext)
}

async fn parallel_stream(message: Message<'_>) -> Result<Vec<u8>> {
    let pending = PendingReader::read_header(message.bytes, message.options)?;
    let materials = message.manager.decryption_materials(pending.request()).await?;
    let mut plaintext = Vec::new();
    let mut reader = ParallelDecryptor::new(pending, materials, pool()?)?;
    reader.read_to_end(&mut plaintext).map_err(unpack)?;
    Ok(plaintext)
}

/// Reads three ranges that make up the plaintext, and puts them together.
async fn range(message: Message<'_>, signed: RangeOfSigned) -> Result<Vec<u8>> {
    let parsed = Header::parse(message.bytes, &message.options.limits)?;
    let Content::Framed(_) = parsed.header.content() else { return Err(Error::NotFramed) };
    let request = DecryptionRequest::new(&parsed.header, message.options)?;
    let header = parsed.header.verify(message.manager.decryption_materials(&request).await?)?;
    let opener = match signed {
        RangeOfSigned::Allowed => FrameOpener::of_signed(header, SignatureStaysUnverified)?,
        RangeOfSigned::Refused => FrameOpener::new(header)?,
    };
    let reader = RangeReader::new(message.bytes, Arc::new(opener))?;
    let parts = thirds(reader.map().plaintext_length()).map(|part| reader.read(part));
    let [first, second, third] = parts;
    Ok([first?, second?, third?].concat())
}

fn thirds(length: u64) -> [Range<u64>; 3] {
    let (first, second) = (length / 3, length - length / 3);
    [0..first, first..second, second..length]
}
