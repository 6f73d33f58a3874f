//! Whole messages as byte slices.
//!
//! Nothing is released before everything has been verified.
//!
//! The functions that end in `_into` write over a vector of the caller's. One that served for a message
//! before costs no fresh memory, whose first use takes as long as the cipher does.

use zeroize::Zeroizing;

use crate::cmm::MaterialsManager;
use crate::engine::{Decryptor, Encryptor, SingleBlockEncryptor};
use crate::error::{Error, Result};
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use crate::memory::resize_for_overwrite;
use crate::message::frame::{
    FINAL_OVERHEAD_BYTES, Kind, REGULAR_OVERHEAD_BYTES, SINGLE_BLOCK_OVERHEAD_BYTES,
};
use crate::message::header::{Header, HeaderFields, Parsed};
use crate::message::limits::SIGNATURE_BYTES_MAX;
use crate::options::{DecryptOptions, EncryptOptions};

//= client-apis/decrypt.md#output
//# The client MUST return as output to this operation:
//= client-apis/decrypt.md#output
//# The client SHOULD return as an output:
/// A message that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The plaintext.
    pub plaintext: Vec<u8>,
    /// What the header says, authenticated: the encryption context, the suite, and all else.
    pub header: HeaderFields,
}

//= client-apis/client.md#encrypt
//# The AWS Encryption SDK Client MUST provide an encrypt function that adheres to encrypt.
//= client-apis/encrypt.md#plaintext
//# This MUST be a sequence of bytes.
/// Encrypts `plaintext` into one message.
///
/// Its header says under which suite, context and keys, which the materials manager may have chosen:
/// [`Header::parse`] reads it, and [`seal_into`] returns it.
///
/// # Errors
/// What the materials manager returns, and as [`Encryptor`].
pub async fn encrypt(
    plaintext: &[u8],
    manager: &dyn MaterialsManager,
    request: &EncryptionRequest,
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    let request = of_known_length(request, plaintext);
    //= client-apis/encrypt.md#get-the-encryption-materials
    //# This operation MUST obtain this set of encryption materials by calling Get Encryption
    //# Materials on a CMM.
    //= client-apis/encrypt.md#get-the-encryption-materials
    //# The CMM used MUST be the input CMM, if supplied.
    //= client-apis/encrypt.md#get-the-encryption-materials
    //# The call to Get Encryption Materials on that CMM MUST be constructed as follows:
    seal(plaintext, manager.encryption_materials(&request).await?, options)
}

//= client-apis/encrypt.md#behavior
//# This operation MUST perform all the above steps unless otherwise specified, and it MUST perform
//# them in the above order.
/// Encrypts `plaintext` into one message with materials that are at hand.
///
/// # Errors
/// As [`Encryptor`].
pub fn seal(
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    seal_into(plaintext, materials, options, &mut message)?;
    Ok(message)
}

//= client-apis/encrypt.md#output
//# This behavior MUST output the following if the behavior is successful:
//= client-apis/encrypt.md#output
//# The client SHOULD return as an output:
/// As [`seal`], over what `message` held before, which is empty after an error; returns what the header
/// says.
///
/// # Errors
/// As [`Encryptor`].
pub fn seal_into(
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
    message: &mut Vec<u8>,
) -> Result<HeaderFields> {
    let mut encryptor = Encryptor::new(materials, options).inspect_err(|_| message.clear())?;
    let sealed = seal_frames(plaintext, &mut encryptor, message);
    //= client-apis/encrypt.md#encrypted-message
    //# This MUST be a sequence of bytes and conform to the message format specification.
    //= client-apis/encrypt.md#behavior
    //# Any data that is not specified within the message format MUST NOT be added to the output
    //# message.
    let finished = sealed.and_then(|()| encryptor.finish_with_fields());
    let (footer, fields) = finished.inspect_err(|_| message.clear())?;
    message.extend_from_slice(&footer);
    Ok(fields)
}

/// Encrypts `plaintext` into one message without frames; see [`SingleBlockEncryptor`] for what that is
/// good for.
///
/// # Errors
/// What the materials manager returns, and as [`SingleBlockEncryptor`].
pub async fn encrypt_single_block(
    plaintext: &[u8],
    manager: &dyn MaterialsManager,
    request: &EncryptionRequest,
) -> Result<Vec<u8>> {
    let request = of_known_length(request, plaintext);
    seal_single_block(plaintext, manager.encryption_materials(&request).await?)
}

/// Encrypts `plaintext` into one message without frames, with materials that are at hand.
///
/// # Errors
/// As [`SingleBlockEncryptor`].
pub fn seal_single_block(plaintext: &[u8], materials: EncryptionMaterials) -> Result<Vec<u8>> {
    let encryptor = SingleBlockEncryptor::new(materials)?;
    let header = encryptor.header();
    let header_bytes = header.len();
    let mut message = vec![0; header_bytes + plaintext.len() + SINGLE_BLOCK_OVERHEAD_BYTES];
    let (at_header, block) = message.split_at_mut(header_bytes);
    at_header.copy_from_slice(header);
    let footer = encryptor.seal_into(plaintext, block)?;
    message.extend_from_slice(&footer);
    Ok(message)
}

//= client-apis/client.md#decrypt
//# The AWS Encryption SDK Client MUST provide an decrypt function that adheres to decrypt.
//= client-apis/decrypt.md#input
//# The client MUST require the following as inputs to this operation:
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
    //= client-apis/decrypt.md#get-the-decryption-materials
    //# This operation MUST obtain this set of decryption materials, by calling Decrypt Materials on
    //# a CMM.
    //= client-apis/decrypt.md#get-the-decryption-materials
    //# The CMM used MUST be the input CMM, if supplied.
    open(message, parsed, manager.decryption_materials(&request).await?)
}

//= client-apis/decrypt.md#behavior
//# This operation MUST perform all the above steps unless otherwise specified, and it MUST perform
//# them in the above order.
/// Decrypts the whole `message` that begins with the header `parsed`, with materials that are at hand.
///
/// # Errors
/// As [`decrypt`].
pub fn open(message: &[u8], parsed: Parsed, materials: DecryptionMaterials) -> Result<Opened> {
    let mut plaintext = Vec::new();
    let header = open_into(message, parsed, materials, &mut plaintext)?;
    Ok(Opened { plaintext, header })
}

/// As [`open`], over what `plaintext` held before; returns what the header says. After an error
/// `plaintext` is empty, and what was in it wiped.
///
/// # Errors
/// As [`decrypt`].
pub fn open_into(
    message: &[u8],
    parsed: Parsed,
    materials: DecryptionMaterials,
    plaintext: &mut Vec<u8>,
) -> Result<HeaderFields> {
    // Wiped when it is dropped, which is when anything turns out to be wrong.
    let mut guarded = Zeroizing::new(std::mem::take(plaintext));
    let mut decryptor = Decryptor::new(parsed.header.verify(materials)?);
    let body = message.split_at_checked(parsed.length).map_or(&[][..], |(_, body)| body);
    open_body(&mut decryptor, body, &mut guarded)?;
    //= client-apis/decrypt.md#behavior
    //# If the input encrypted message is not being streamed to this operation, all output MUST NOT
    //# be released until after these steps complete successfully.
    *plaintext = std::mem::take(&mut guarded);
    Ok(decryptor.into_header_fields())
}

/// The request with the bound that a plaintext of known length sets.
pub(crate) fn of_known_length(request: &EncryptionRequest, plaintext: &[u8]) -> EncryptionRequest {
    //= client-apis/encrypt.md#get-the-encryption-materials
    //# Max Plaintext Length: If the [input plaintext](#plaintext) has known length,
    //# this length MUST be used.
    //= client-apis/encrypt.md#get-the-encryption-materials
    //# Max Plaintext Length: If the input plaintext has known length, this length MUST be used.
    //= client-apis/encrypt.md#input
    //# If a caller is able to specify both an input plaintext with known length and a Plaintext
    //# Length Bound, the Plaintext Length Bound MUST NOT be used during the Encrypt operation and
    //# MUST be ignored.
    EncryptionRequest { plaintext_length_max: Some(plaintext.len() as u64), ..request.clone() }
}

/// Longest footer that is written, in bytes.
const FOOTER_BYTES_MAX: usize = 2 + SIGNATURE_BYTES_MAX;

/// How a plaintext of known length is divided into frames.
pub(crate) struct Layout {
    /// Bytes of plaintext in regular frames: whole frames.
    pub(crate) regular_bytes: usize,
    /// Bytes of the message before the footer.
    pub(crate) message_bytes: usize,
}

impl Layout {
    /// A plaintext of whole frames ends with a full final frame, not with an empty one.
    pub(crate) fn new(encryptor: &Encryptor, plaintext_bytes: usize) -> Self {
        let frame_length = encryptor.frame_length();
        //= data-format/message-body.md#final-frame
        //# When the length of the Plaintext is an exact multiple of the Frame Length (including if
        //# it is equal to the frame length), the Final Frame encrypted content length SHOULD be
        //# equal to the frame length but MAY be 0.
        //= data-format/message-body.md#final-frame
        //# When the length of the Plaintext is less than the Frame Length, the body MUST contain
        //# exactly one frame and that frame MUST be a Final Frame.
        let regular = plaintext_bytes.saturating_sub(1) / frame_length;
        let overheads = regular * REGULAR_OVERHEAD_BYTES + FINAL_OVERHEAD_BYTES;
        Self {
            regular_bytes: regular * frame_length,
            message_bytes: encryptor.header().len() + plaintext_bytes + overheads,
        }
    }

    /// Makes `message` long enough, and returns where the frames go, behind the header.
    pub(crate) fn begin<'a>(
        &self,
        encryptor: &Encryptor,
        message: &'a mut Vec<u8>,
    ) -> &'a mut [u8] {
        // The footer comes later, and shall not move all the rest then.
        resize_for_overwrite(message, self.message_bytes + FOOTER_BYTES_MAX);
        message.truncate(self.message_bytes);
        let (header, frames) = message.split_at_mut(encryptor.header().len());
        header.copy_from_slice(encryptor.header());
        frames
    }
}

fn seal_frames(plaintext: &[u8], encryptor: &mut Encryptor, message: &mut Vec<u8>) -> Result<()> {
    let layout = Layout::new(encryptor, plaintext.len());
    let mut rest = layout.begin(encryptor, message);
    let (regular, last) =
        plaintext.split_at_checked(layout.regular_bytes).unwrap_or((plaintext, &[]));
    for content in regular.chunks_exact(encryptor.frame_length()) {
        let (frame, more) = rest.split_at_mut(content.len() + REGULAR_OVERHEAD_BYTES);
        encryptor.seal_frame_into(content, frame)?;
        rest = more;
    }
    encryptor.seal_final_frame_into(last, rest)
}

/// Opens the whole `body` into `plaintext`, and verifies the end of the message.
fn open_body(decryptor: &mut Decryptor, body: &[u8], plaintext: &mut Vec<u8>) -> Result<()> {
    // Plaintext is shorter than its frames.
    resize_for_overwrite(plaintext, body.len());
    let (rest, filled) = open_frames(decryptor, body, plaintext)?;
    plaintext.truncate(filled);
    check_end(decryptor, rest)
}

/// Verifies what follows the last frame: a footer after a signed message, and nothing else.
pub(crate) fn check_end(decryptor: &mut Decryptor, rest: &[u8]) -> Result<()> {
    let footer_bytes = decryptor.check_footer(rest)?;
    if rest.len() > footer_bytes {
        return Err(Error::TrailingBytes);
    }
    Ok(())
}

/// Opens every frame of `body` into `plaintext`; returns what follows the last frame, and how many bytes
/// of plaintext there are.
pub(crate) fn open_frames<'a>(
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
