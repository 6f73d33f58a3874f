//! Whole messages as byte slices, on several cores: the twins of [`crate::oneshot`].

use rayon::ThreadPool;
use zeroize::Zeroizing;

use super::run_frames;
use super::tasks::{Failure, spawn_opening, spawn_sealing};
use crate::cmm::MaterialsManager;
use crate::engine::{Decryptor, Encryptor};
use crate::error::Result;
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use crate::memory::resize_for_overwrite;
use crate::message::frame::REGULAR_OVERHEAD_BYTES;
use crate::message::header::{Header, HeaderFields, Parsed};
use crate::oneshot::{Layout, Opened, check_end, of_known_length, open_frames};
use crate::options::{DecryptOptions, EncryptOptions};

/// Encrypts `plaintext` into one message on the threads of `pool`.
///
/// # Errors
/// As [`oneshot::encrypt`](crate::oneshot::encrypt).
pub async fn encrypt(
    plaintext: &[u8],
    manager: &dyn MaterialsManager,
    request: &EncryptionRequest,
    options: &EncryptOptions,
    pool: &ThreadPool,
) -> Result<Vec<u8>> {
    let request = of_known_length(request, plaintext);
    seal(plaintext, manager.encryption_materials(&request).await?, options, pool)
}

/// Encrypts `plaintext` into one message with materials that are at hand, on the threads of `pool`.
///
/// # Errors
/// As [`oneshot::seal`](crate::oneshot::seal).
pub fn seal(
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
    pool: &ThreadPool,
) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    seal_into(plaintext, materials, options, pool, &mut message)?;
    Ok(message)
}

/// As [`seal`], over what `message` held before, which is empty after an error; returns what the header
/// says.
///
/// # Errors
/// As [`oneshot::seal_into`](crate::oneshot::seal_into).
pub fn seal_into(
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
    pool: &ThreadPool,
    message: &mut Vec<u8>,
) -> Result<HeaderFields> {
    let mut encryptor = Encryptor::new(materials, options).inspect_err(|_| message.clear())?;
    let sealed = seal_frames(plaintext, &mut encryptor, pool, message);
    let finished = sealed.and_then(|()| encryptor.finish_with_fields());
    let (footer, fields) = finished.inspect_err(|_| message.clear())?;
    message.extend_from_slice(&footer);
    Ok(fields)
}

fn seal_frames(
    plaintext: &[u8],
    encryptor: &mut Encryptor,
    pool: &ThreadPool,
    message: &mut Vec<u8>,
) -> Result<()> {
    let layout = Layout::new(encryptor, plaintext.len());
    let mut rest = layout.begin(encryptor, message);
    let (regular, last) =
        plaintext.split_at_checked(layout.regular_bytes).unwrap_or((plaintext, &[]));
    let frame_length = encryptor.frame_length();
    let run_bytes = run_frames(pool.current_num_threads(), frame_length) * frame_length;
    let mut previous: &[u8] = &[];
    for content in regular.chunks(run_bytes) {
        let frames = content.len() / frame_length;
        let (room, more) = rest.split_at_mut(frames * (frame_length + REGULAR_OVERHEAD_BYTES));
        let run = encryptor.take_run(frames)?;
        let (sealing, mut signing) = encryptor.lanes();
        let failure = Failure::default();
        pool.in_place_scope(|scope| {
            if signing.is_due() {
                scope.spawn(|_| signing.update(previous));
            }
            spawn_sealing(scope, sealing, run, content, room, &failure);
        });
        failure.into_result().map_err(|(_, error)| error)?;
        (previous, rest) = (room, more);
    }
    encryptor.lanes().1.update(previous);
    encryptor.seal_final_frame_into(last, rest)
}

/// Decrypts one whole message on the threads of `pool`.
///
/// # Errors
/// As [`oneshot::decrypt`](crate::oneshot::decrypt).
pub async fn decrypt(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
    pool: &ThreadPool,
) -> Result<Opened> {
    let parsed = Header::parse(message, &options.limits)?;
    let request = DecryptionRequest::new(&parsed.header, options)?;
    open(message, parsed, manager.decryption_materials(&request).await?, pool)
}

/// Decrypts the whole `message` that begins with the header `parsed`, with materials that are at hand, on
/// the threads of `pool`.
///
/// # Errors
/// As [`oneshot::open`](crate::oneshot::open).
pub fn open(
    message: &[u8],
    parsed: Parsed,
    materials: DecryptionMaterials,
    pool: &ThreadPool,
) -> Result<Opened> {
    let mut plaintext = Vec::new();
    let header = open_into(message, parsed, materials, pool, &mut plaintext)?;
    Ok(Opened { plaintext, header })
}

/// As [`open`], over what `plaintext` held before; returns what the header says. After an error
/// `plaintext` is empty, and what was in it wiped.
///
/// # Errors
/// As [`oneshot::open_into`](crate::oneshot::open_into).
pub fn open_into(
    message: &[u8],
    parsed: Parsed,
    materials: DecryptionMaterials,
    pool: &ThreadPool,
    plaintext: &mut Vec<u8>,
) -> Result<HeaderFields> {
    // Wiped when it is dropped, which is when anything turns out to be wrong.
    let mut guarded = Zeroizing::new(std::mem::take(plaintext));
    let mut decryptor = Decryptor::new(parsed.header.verify(materials)?);
    let body = message.split_at_checked(parsed.length).map_or(&[][..], |(_, body)| body);
    open_body(&mut decryptor, body, pool, &mut guarded)?;
    *plaintext = std::mem::take(&mut guarded);
    Ok(decryptor.into_header_fields())
}

/// Opens the regular frames on the pool, and what follows them here.
fn open_body(
    decryptor: &mut Decryptor,
    body: &[u8],
    pool: &ThreadPool,
    plaintext: &mut Vec<u8>,
) -> Result<()> {
    // Plaintext is shorter than its frames.
    resize_for_overwrite(plaintext, body.len());
    let run = decryptor.take_run(body, usize::MAX);
    let (opening, mut checking) = decryptor.lanes();
    let content_bytes = run.frames() * opening.frame_length();
    let sealed_bytes = content_bytes + run.frames() * REGULAR_OVERHEAD_BYTES;
    let (frames, rest) = body.split_at(sealed_bytes);
    let (contents, room) = plaintext.split_at_mut(content_bytes);
    let failure = Failure::default();
    pool.in_place_scope(|scope| {
        if checking.is_due() {
            scope.spawn(|_| checking.update(frames));
        }
        spawn_opening(scope, opening, run, frames, contents, &failure);
    });
    failure.into_result().map_err(|(_, error)| error)?;
    let (rest, last_bytes) = open_frames(decryptor, rest, room)?;
    plaintext.truncate(content_bytes + last_bytes);
    check_end(decryptor, rest)
}
