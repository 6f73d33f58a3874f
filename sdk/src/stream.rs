//! Messages as `std::io` streams.
//!
//! Materials are got ahead of the stream, by an async call to a
//! [`MaterialsManager`](crate::cmm::MaterialsManager); what happens here is work of the CPU and the I/O of
//! the wrapped reader or writer, on any thread. One frame is held in memory.

use std::io::{self, BufRead, Read, Write};

use zeroize::Zeroize;

use crate::engine::Encryptor;
use crate::engine::pull::{Pull, Step};
use crate::error::{Error, Result};
use crate::materials::{DecryptionMaterials, DecryptionRequest, EncryptionMaterials};
use crate::message::header::{Header, HeaderFields, Parsed, Unverified, Verified};
use crate::message::limits::Limits;
use crate::options::{DecryptOptions, EncryptOptions};

mod buffered;
mod frame_buffer;

pub use buffered::BufferedDecryptReader;
pub(crate) use frame_buffer::FrameBuffer;

/// Bytes read at first to find the header; headers are a few hundred.
pub(crate) const HEADER_GUESS_BYTES: usize = 4096;

/// Bytes of plaintext that are sealed and written at once, when frames are shorter.
pub(crate) const BATCH_BYTES: usize = 64 * 1024;

/// The whole frames at the start of `bytes` that are not the last of it, so that none of them is the final
/// one: as many as have `most_bytes`, at least one; `None` when there is none.
pub(crate) fn frames_before_more(
    bytes: &[u8],
    frame_length: usize,
    most_bytes: usize,
) -> Option<&[u8]> {
    let frames = bytes.len().saturating_sub(1) / frame_length;
    let frames = frames.min((most_bytes / frame_length).max(1));
    bytes.get(..frames * frame_length).filter(|content| !content.is_empty())
}

//= client-apis/streaming.md#inputs
//# In order to support streaming, the operation MUST accept some input within a streaming
//# framework.
//= client-apis/streaming.md#overview
//# The AWS Encryption SDK MAY provide APIs that enable streamed encryption and decryption.
//= client-apis/encrypt.md#plaintext
//# This input MAY be streamed to this operation.
//= client-apis/encrypt.md#encrypted-message
//# This operation MAY stream the encrypted message.
/// Encrypts what is written to it into a message on `W`.
///
/// Only [`finish`](Self::finish) completes the message. Dropping the writer before leaves a truncated one,
/// which every reader refuses.
pub struct EncryptWriter<W: Write> {
    inner: W,
    encryptor: Encryptor,
    /// Plaintext that is not a frame yet.
    //= client-apis/streaming.md#overview
    //# APIs that support streaming of the encrypt or decrypt operation SHOULD allow customers to be
    //# able to process arbitrarily large inputs with a finite amount of working memory.
    //= client-apis/encrypt.md#plaintext
    //# If an implementation requires holding the input entire plaintext in memory in order to
    //# perform this operation, that implementation SHOULD NOT provide an API that allows this input
    //# to be streamed.
    //= client-apis/encrypt.md#encrypted-message
    //# If an implementation requires holding the entire input plaintext in memory in order to
    //# perform this operation, that implementation SHOULD NOT provide an API that allows this
    //# output to be streamed.
    //= client-apis/streaming.md#overview
    //# If an implementation requires holding the entire input in memory in order to perform the
    //# operation, that implementation SHOULD NOT provide an API that allows the caller to stream
    //# the operation.
    frame: FrameBuffer,
    /// Sealed frames on their way to `inner`.
    batch: Vec<u8>,
    failed: bool,
}

impl<W: Write> EncryptWriter<W> {
    /// Begins a message on `inner`, and writes its header.
    ///
    /// # Errors
    /// As [`Encryptor::new`]; [`Error::Io`].
    pub fn new(
        mut inner: W,
        materials: EncryptionMaterials,
        options: &EncryptOptions,
    ) -> Result<Self> {
        let encryptor = Encryptor::new(materials, options)?;
        //= client-apis/encrypt.md#construct-the-header
        //# The serialized bytes MUST NOT be released until the entire message header has been
        //# serialized If this operation is streaming the encrypted message and the entire message
        //# header has been serialized, the serialized message header SHOULD be released.
        inner.write_all(encryptor.header()).map_err(Error::io("writing the header"))?;
        let frame = FrameBuffer::new(encryptor.frame_length());
        Ok(Self { inner, encryptor, frame, batch: Vec::new(), failed: false })
    }

    /// The header that has been written.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.encryptor.header()
    }

    /// What the header says: the suite, the encryption context and all else that the materials brought.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        self.encryptor.header_fields()
    }

    //= client-apis/streaming.md#inputs
    //# There MUST be a mechanism to indicate that there are no more input bytes.
    /// Writes the final frame and the footer, flushes, and gives back the writer below.
    ///
    /// # Errors
    /// As [`Encryptor::seal_final_frame`]; [`Error::Io`].
    pub fn finish(mut self) -> Result<W> {
        self.require_whole()?;
        //= client-apis/encrypt.md#construct-the-body
        //# When the end of the input is indicated, this operation MUST perform the following until
        //# all consumable plaintext bytes are processed:
        //= client-apis/encrypt.md#construct-the-body
        //# If there are not enough input consumable plaintext bytes to create a new regular frame,
        //# then this operation MUST construct a final frame
        //= client-apis/encrypt.md#construct-the-body
        //# If an end to the input has been indicated, there are no more consumable plaintext bytes
        //# to process, and a final frame has not yet been constructed, this operation MUST
        //# construct an empty final frame.
        let sealed = self.frame.seal_final(&mut self.encryptor)?;
        self.inner.write_all(sealed).map_err(Error::io("writing the final frame"))?;
        //= client-apis/encrypt.md#construct-the-signature
        //# The encrypted message output by this operation MUST have a message footer equal to the
        //# message footer calculated in this step.
        let footer = self.encryptor.finish()?;
        //= client-apis/encrypt.md#construct-the-signature
        //# Once the entire message footer has been serialized, this operation MUST release any
        //# previously unreleased serialized bytes from previous steps and MUST release the message
        //# footer.
        //= client-apis/encrypt.md#construct-the-signature
        //# The above serialized bytes MUST NOT be released until the entire message footer has been
        //# serialized.
        self.inner.write_all(&footer).map_err(Error::io("writing the footer"))?;
        self.inner.flush().map_err(Error::io("flushing the message"))?;
        Ok(self.inner)
    }

    /// As [`finish`](Self::finish), but a plaintext of whole frames ends with an empty final frame instead
    /// of a full one, for readers that refuse the latter.
    ///
    /// The message gets longer by one frame without content. Versions of the Python SDK are such readers.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_with_short_frame(mut self) -> Result<W> {
        //= data-format/message-body.md#final-frame
        //# When the length of the Plaintext is an exact multiple of the Frame Length (including if
        //# it is equal to the frame length), the Final Frame encrypted content length SHOULD be
        //# equal to the frame length but MAY be 0.
        if self.frame.is_full() {
            self.write_frame()?;
        }
        self.finish()
    }

    /// Refuses to go on after a failed write: part of a frame may be lost.
    fn require_whole(&self) -> Result<()> {
        if self.failed {
            //= client-apis/encrypt.md#behavior
            //# If any of these steps fails, this operation MUST halt and indicate a failure to the
            //# caller.
            return Err(Error::OutOfOrder("writing the message has failed already"));
        }
        Ok(())
    }

    /// Seals the plaintext that has been collected, and writes the frame.
    fn write_frame(&mut self) -> Result<()> {
        self.require_whole()?;
        self.failed = true;
        //= client-apis/encrypt.md#construct-a-frame
        //# The above serialized bytes MUST NOT be released until the entire frame has been
        //# serialized.
        //= client-apis/encrypt.md#construct-the-body
        //# The encrypted message output by this operation MUST have a message body equal to the
        //# message body calculated in this step.
        let sealed = self.frame.seal_regular(&mut self.encryptor)?;
        self.inner.write_all(sealed).map_err(Error::io("writing a frame"))?;
        //= client-apis/encrypt.md#construct-a-frame
        //# If this operation is streaming the encrypted message and the entire frame has been
        //# serialized, the serialized frame SHOULD be released.
        self.frame.clear();
        self.failed = false;
        Ok(())
    }

    /// Seals `content`, whole frames, and writes them at once.
    fn write_frames_of(&mut self, content: &[u8]) -> Result<()> {
        self.require_whole()?;
        self.failed = true;
        self.encryptor.seal_frames_over(content, &mut self.batch)?;
        self.inner.write_all(&self.batch).map_err(Error::io("writing frames"))?;
        self.failed = false;
        Ok(())
    }
}

impl<W: Write> Write for EncryptWriter<W> {
    //= client-apis/streaming.md#inputs
    //# There MUST be a mechanism for input bytes to become consumable.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full frame waits until more comes: it could be the final one.
        //= client-apis/encrypt.md#construct-the-body
        //# If there are exactly enough consumable plaintext bytes to create one regular frame, such
        //# that creating a regular frame processes all consumable bytes, then this operation MUST
        //# construct either a final frame or regular frame with the remaining plaintext.
        if self.frame.is_full() && !bytes.is_empty() {
            self.write_frame()?;
        }
        // More than a frame at once: the first of it is not the final frame, and needs no copy.
        let content = frames_before_more(bytes, self.encryptor.frame_length(), BATCH_BYTES);
        match content {
            Some(content) if self.frame.is_empty() => {
                //= client-apis/encrypt.md#construct-the-body
                //# Before the end of the input is indicated, this operation MUST process as much of
                //# the consumable bytes as possible by constructing regular frames.
                //= client-apis/encrypt.md#construct-the-body
                //# If there are enough input plaintext bytes consumable to create a new regular
                //# frame, such that creating a regular frame does not processes all consumable
                //# bytes, then this operation MUST construct a regular frame using the consumable
                //# plaintext bytes.
                self.write_frames_of(content)?;
                Ok(content.len())
            }
            _ => Ok(self.frame.fill(bytes)),
        }
    }

    /// Flushes the writer below; a frame that is not full stays here.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A message whose header has been read, waiting for its materials.
///
/// ```no_run
/// # async fn example(manager: &dyn strongroom_sdk::cmm::MaterialsManager) -> strongroom_sdk::Result<()> {
/// use strongroom_sdk::{options::DecryptOptions, stream::PendingReader};
/// let file = std::fs::File::open("backup.esdk").map_err(|source| {
///     strongroom_sdk::Error::Io { operation: "opening the message", source }
/// })?;
/// let pending = PendingReader::read_header(file, &DecryptOptions::default())?;
/// let materials = manager.decryption_materials(pending.request()).await?;
/// let plaintext = pending.verify(materials)?; // implements std::io::Read
/// # Ok(()) }
/// ```
pub struct PendingReader<R> {
    inner: R,
    parsed: Parsed,
    /// The header, and bytes of the body that came with it.
    read: Vec<u8>,
    request: DecryptionRequest,
    limits: Limits,
}

impl<R: Read> PendingReader<R> {
    /// Reads the header of the message in `inner`, and possibly a part of the body.
    ///
    /// # Errors
    /// As [`Header::parse`] and [`DecryptionRequest::new`]; [`Error::Io`].
    pub fn read_header(mut inner: R, options: &DecryptOptions) -> Result<Self> {
        let mut search = HeaderSearch::default();
        let parsed = loop {
            let room = search.room(&options.limits);
            let read = loop {
                match inner.read(room) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other.map_err(Error::io("reading the header"))?,
                }
            };
            //= client-apis/decrypt.md#parse-the-header
            //# This operation MUST attempt to deserialize all consumable encrypted message bytes
            //# until it has successfully deserialized a valid message header.
            if let Some(parsed) = search.filled(read, &options.limits)? {
                break parsed;
            }
        };
        let request = DecryptionRequest::new(&parsed.header, options)?;
        let limits = options.limits.clone();
        Ok(Self { inner, parsed, read: search.into_bytes(), request, limits })
    }

    /// The header, which nobody vouches for yet.
    #[must_use]
    pub fn header(&self) -> &Header<Unverified> {
        &self.parsed.header
    }

    /// What to ask the materials manager for.
    #[must_use]
    pub fn request(&self) -> &DecryptionRequest {
        &self.request
    }

    /// The reader of the plaintext.
    ///
    /// # Errors
    /// As [`Header::verify`].
    pub fn verify(self, materials: DecryptionMaterials) -> Result<DecryptReader<R>> {
        let (inner, header, body, limits) = self.into_verified(materials)?;
        //= client-apis/decrypt.md#verify-the-header
        //# This operation SHOULD release the parsed encryption context, algorithm suite ID, and
        //# other header information as soon as tag verification succeeds.
        Ok(DecryptReader { inner, pull: Pull::new(header, body, &limits) })
    }
}

impl<R> PendingReader<R> {
    /// The input, the verified header, the bytes of the body that came with it, and the limits.
    pub(crate) fn into_verified(
        self,
        materials: DecryptionMaterials,
    ) -> Result<(R, Header<Verified>, Vec<u8>, Limits)> {
        let Self { inner, parsed, mut read, limits, .. } = self;
        //= client-apis/decrypt.md#parse-the-header
        //# Until the header is verified, this operation MUST NOT release any parsed information
        //# from the header.
        let header = parsed.header.verify(materials)?;
        let body = read.split_off(parsed.length.min(read.len()));
        Ok((inner, header, body, limits))
    }
}

/// Collects bytes until they hold a header, up to the limit.
///
/// The room doubles, and a try waits for a quarter more bytes than the last one had: a header that comes
/// byte by byte costs no more than a few times its length.
#[derive(Default)]
pub(crate) struct HeaderSearch {
    bytes: Vec<u8>,
    filled: usize,
    next_try: usize,
}

impl HeaderSearch {
    /// Where the next bytes go.
    pub(crate) fn room(&mut self, limits: &Limits) -> &mut [u8] {
        if self.filled == self.bytes.len() {
            // One byte above the limit, so that a header that is too long is told from a short input.
            let most = limits.header_bytes_max.saturating_add(1).max(self.filled + 1);
            let target = (self.filled * 2).max(HEADER_GUESS_BYTES).min(most);
            self.bytes.resize(target, 0);
        }
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    /// Copies as many of `bytes` as there is room for, and returns how many; [`filled`](Self::filled) is
    /// still to be told.
    #[cfg(feature = "futures")]
    pub(crate) fn take(&mut self, bytes: &[u8], limits: &Limits) -> usize {
        let room = self.room(limits);
        let count = bytes.len().min(room.len());
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        count
    }

    /// `count` bytes have come; none means the end of the input.
    pub(crate) fn filled(&mut self, count: usize, limits: &Limits) -> Result<Option<Parsed>> {
        self.filled = self.filled.saturating_add(count).min(self.bytes.len());
        if count > 0 && self.filled < self.next_try {
            return Ok(None);
        }
        self.next_try = self.filled + self.filled / 4;
        let there = self.bytes.get(..self.filled).unwrap_or_default();
        match Header::parse(there, limits) {
            Ok(parsed) => Ok(Some(parsed)),
            //= client-apis/decrypt.md#parse-the-header
            //# This operation MUST wait if it doesn't have enough consumable encrypted message
            //# bytes to deserialize the next field of the message header until enough input bytes
            //# become consumable or the caller indicates an end to the encrypted message.
            Err(Error::Truncated { .. }) if count > 0 => Ok(None),
            //= client-apis/decrypt.md#behavior
            //# If all bytes have been provided and this operation is unable to complete the above
            //# steps with the consumable encrypted message bytes, this operation MUST halt and
            //# indicate a failure to the caller.
            Err(error) => Err(error),
        }
    }

    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.filled);
        self.bytes
    }
}

//= client-apis/streaming.md#outputs
//# In order to support streaming, the operation MUST produce some output within a streaming
//# framework.
//= client-apis/decrypt.md#encrypted-message
//# This input MAY be streamed to this operation.
//= client-apis/decrypt.md#plaintext
//# This operation MAY stream the plaintext as output.
/// Decrypts the message that it reads from `R`.
///
/// A frame's plaintext comes out when its tag has been verified; that of the last frame when the end of
/// the message has: the signature of a signed message, and that nothing follows. So
/// `read` returning 0 means that the message was whole, and every error that it was not.
pub struct DecryptReader<R> {
    inner: R,
    //= client-apis/decrypt.md#encrypted-message
    //# If an implementation requires holding the entire encrypted message in memory in order to
    //# perform this operation, that implementation SHOULD NOT provide an API that allows the caller
    //# to stream the encrypted message.
    //= client-apis/decrypt.md#plaintext
    //# If an implementation requires holding the entire encrypted message in memory in order to
    //# perform this operation, that implementation SHOULD NOT provide an API that allows the caller
    //# to stream the encrypted message.
    pull: Pull,
}

impl<R> DecryptReader<R> {
    /// What the header says, authenticated: the encryption context, the suite, and all else.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        self.pull.header_fields()
    }
}

impl<R: BufRead> DecryptReader<R> {
    /// The same, without copies of what the source holds in its buffer.
    #[must_use]
    pub fn buffered(self) -> BufferedDecryptReader<R> {
        BufferedDecryptReader(self)
    }
}

impl<R: Read> Read for DecryptReader<R> {
    //= client-apis/streaming.md#outputs
    //# There MUST be a mechanism to indicate that the entire output has been released.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            // A frame that fits needs no copy.
            if let Some(count) = self.pull.open_into(out)? {
                return Ok(count);
            }
            match self.pull.step()? {
                Step::More => read_more(&mut self.inner, &mut self.pull)?,
                Step::Plaintext | Step::End => return Ok(self.pull.give(out)),
            }
        }
    }
}

impl<R: Read> BufRead for DecryptReader<R> {
    //= client-apis/streaming.md#outputs
    //# There MUST be a mechanism for output bytes to be released.
    //= client-apis/streaming.md#outputs
    //# Operations MUST NOT indicate completion or success until an end to the output has been
    //# indicated.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        fill_from(&mut self.inner, &mut self.pull)
    }

    fn consume(&mut self, count: usize) {
        self.pull.consume(count);
    }
}

/// Reads from `inner` until `pull` has plaintext, which is empty at the end of the message.
pub(crate) fn fill_from<'a>(inner: &mut impl Read, pull: &'a mut Pull) -> io::Result<&'a [u8]> {
    while pull.step()? == Step::More {
        read_more(inner, pull)?;
    }
    Ok(pull.plaintext())
}

/// Reads once from `inner`.
fn read_more(inner: &mut impl Read, pull: &mut Pull) -> io::Result<()> {
    match inner.read(pull.room()) {
        Ok(count) => pull.filled(count),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// What was written and not yet encrypted must not stay in memory.
impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
    }
}
