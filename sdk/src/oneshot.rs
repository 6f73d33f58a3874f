//! Whole messages as byte slices.
//!
//! Nothing is released before everything has been verified.

use zeroize::Zeroizing;

use crate::cmm::MaterialsManager;
use crate::engine::{Decryptor, Encryptor};
use crate::error::{Error, Result};
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use crate::message::encryption_context::EncryptionContext;
use crate::message::frame::{FINAL_OVERHEAD_BYTES, Kind, REGULAR_OVERHEAD_BYTES};
use crate::message::header::{Header, Parsed};
use crate::message::suite::AlgorithmSuite;
use crate::options::{DecryptOptions, EncryptOptions};

/// A message that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The plaintext.
    pub plaintext: Vec<u8>,
    /// The authenticated encryption context.
    pub encryption_context: EncryptionContext,
    /// The suite of the message.
    pub suite: AlgorithmSuite,
}

/// Encrypts `plaintext` into one message.
///
/// # Errors
/// What the materials manager returns, and as [`Encryptor`].
pub async fn encrypt(
    plaintext: &[u8],
    manager: &dyn MaterialsManager,
    request: &EncryptionRequest,
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    let request = request.of_length(plaintext.len() as u64);
    seal(plaintext, manager.encryption_materials(&request).await?, options)
}

/// Encrypts `plaintext` into one message with materials that are at hand.
///
/// # Errors
/// As [`Encryptor`].
pub fn seal(
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    let mut encryptor = Encryptor::new(materials, options)?;
    let frame_length = encryptor.frame_length();
    // A plaintext of whole frames ends with a full final frame, as the specification recommends.
    let regular = plaintext.len().saturating_sub(1) / frame_length;
    let (whole, last) =
        plaintext.split_at_checked(regular * frame_length).unwrap_or((plaintext, &[]));

    let header_bytes = encryptor.header().len();
    let overheads = regular * REGULAR_OVERHEAD_BYTES + FINAL_OVERHEAD_BYTES;
    // Zeros at once, which come from the system as they are, are cheaper than zeros frame by frame.
    let mut message = vec![0; header_bytes + plaintext.len() + overheads];
    let (header, mut rest) = message.split_at_mut(header_bytes);
    header.copy_from_slice(encryptor.header());
    for content in whole.chunks_exact(frame_length) {
        let (frame, more) = rest.split_at_mut(frame_length + REGULAR_OVERHEAD_BYTES);
        encryptor.seal_frame_into(content, frame)?;
        rest = more;
    }
    encryptor.seal_final_frame_into(last, rest)?;
    message.extend_from_slice(&encryptor.finish()?);
    Ok(message)
}

/// Decrypts one whole message.
///
/// # Errors
/// Everything that can be wrong with a message; see [`Error::region`].
pub async fn decrypt(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> Result<Opened> {
    let parsed = Header::parse(message, &options.limits)?;
    let request = DecryptionRequest::new(&parsed.header, options)?;
    open(message, parsed, manager.decryption_materials(&request).await?)
}

/// Decrypts the whole `message` that begins with the header `parsed`, with materials that are at hand.
///
/// # Errors
/// As [`decrypt`].
pub fn open(message: &[u8], parsed: Parsed, materials: DecryptionMaterials) -> Result<Opened> {
    let header = parsed.header.verify(materials)?;
    let encryption_context = header.encryption_context().clone();
    let suite = header.suite();
    let mut decryptor = Decryptor::new(header);
    let body = message.split_at_checked(parsed.length).map_or(&[][..], |(_, body)| body);
    // Plaintext is shorter than its frames. It is wiped when the end turns out to be wrong.
    let mut plaintext = Zeroizing::new(vec![0; body.len()]);
    let (footer, length) = open_frames(&mut decryptor, body, &mut plaintext)?;
    plaintext.truncate(length);
    let footer_bytes = decryptor.check_footer(footer)?;
    if footer.len() > footer_bytes {
        return Err(Error::TrailingBytes);
    }
    Ok(Opened { plaintext: std::mem::take(&mut plaintext), encryption_context, suite })
}

/// Opens every frame of `body` into `plaintext`; returns what follows the last frame, and how many bytes
/// of plaintext there are.
fn open_frames<'a>(
    decryptor: &mut Decryptor,
    mut body: &'a [u8],
    plaintext: &mut [u8],
) -> Result<(&'a [u8], usize)> {
    let mut filled = 0;
    loop {
        let prefix = decryptor.peek(body)?;
        let truncated = || Error::Truncated { region: prefix.region() };
        let frame_bytes = usize::try_from(prefix.total_bytes()).map_err(|_| truncated())?;
        let content_bytes = usize::try_from(prefix.content_bytes).map_err(|_| truncated())?;
        let (frame, rest) = body.split_at_checked(frame_bytes).ok_or_else(truncated)?;
        let end = filled + content_bytes;
        let room = plaintext.get_mut(filled..end).ok_or_else(truncated)?;
        decryptor.open_into(frame, room)?;
        (body, filled) = (rest, end);
        if prefix.kind != Kind::Regular {
            return Ok((body, filled));
        }
    }
}
