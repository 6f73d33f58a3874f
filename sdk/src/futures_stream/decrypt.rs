//! Decrypting a stream of bytes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use zeroize::Zeroize;

use super::stream_failed;
use crate::cmm::MaterialsManager;
use crate::engine::Decryptor;
use crate::error::{Error, Result};
use crate::materials::DecryptionRequest;
use crate::message::frame::Kind;
use crate::message::header::HeaderFields;
use crate::message::limits::within;
use crate::options::DecryptOptions;
use crate::stream::HeaderSearch;

/// Decrypts the message that a stream gives, one item for each frame.
///
/// What comes out, and when, is as of [`DecryptReader`](crate::stream::DecryptReader): the end of this
/// stream means that the message was whole, an error that it was not, and nothing comes after one. A
/// frame that arrives inside one uniquely owned [`Bytes`] is opened there, without a copy.
pub struct DecryptStream<S> {
    inner: S,
    inner_ended: bool,
    decryptor: Decryptor,
    /// Bytes of the message from the next frame on.
    buffer: BytesMut,
    stage: Stage,
    content_bytes_max: u64,
}

enum Stage {
    /// Frames are due.
    Frames,
    /// The last frame is open, the footer is due.
    Footer(Withheld),
    /// Nothing may come after so many bytes.
    EndOfInput(Withheld, usize),
    /// All has come out, or an error.
    Done,
}

/// Plaintext of the last frame, until the end of the message has been proven; wiped if it never is.
struct Withheld(BytesMut);

impl Withheld {
    fn release(mut self) -> Bytes {
        std::mem::take(&mut self.0).freeze()
    }
}

impl Drop for Withheld {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

impl<S, E> DecryptStream<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Reads and verifies the header of the message that `inner` gives.
    ///
    /// # Errors
    /// As [`Header::parse`](crate::message::header::Header::parse), [`DecryptionRequest::new`], `manager`
    /// and [`Header::verify`](crate::message::header::Header::verify); [`Error::Io`] with the failure of
    /// `inner`.
    pub async fn open(
        mut inner: S,
        manager: &dyn MaterialsManager,
        options: &DecryptOptions,
    ) -> Result<Self> {
        let mut search = HeaderSearch::default();
        let mut chunk = Bytes::new();
        let parsed = loop {
            while chunk.is_empty() {
                match poll_fn(|context| Pin::new(&mut inner).poll_next(context)).await {
                    Some(next) => chunk = next.map_err(stream_failed)?,
                    None => break,
                }
            }
            let count = search.take(&chunk, &options.limits);
            chunk.advance(count);
            if let Some(parsed) = search.filled(count, &options.limits)? {
                break parsed;
            }
        };
        let request = DecryptionRequest::new(&parsed.header, options)?;
        let header = parsed.header.verify(manager.decryption_materials(&request).await?)?;
        let read = search.into_bytes();
        let mut buffer = BytesMut::from(read.get(parsed.length..).unwrap_or_default());
        adopt(&mut buffer, chunk);
        Ok(Self {
            inner,
            inner_ended: false,
            buffer,
            stage: Stage::Frames,
            content_bytes_max: u64::from(options.limits.frame_bytes_max),
            decryptor: Decryptor::new(header),
        })
    }
}

impl<S> DecryptStream<S> {
    /// What the header says, authenticated: the encryption context, the suite, and all else.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        self.decryptor.header_fields()
    }

    /// Goes on as far as the bytes that are there allow. Plaintext is never empty.
    fn step(&mut self) -> Result<Step> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Frames => {
                    self.stage = Stage::Frames;
                    match self.open_frame() {
                        Err(error @ Error::Truncated { .. }) => return self.more_or(error),
                        Err(error) => return Err(error),
                        Ok(Some(plaintext)) => return Ok(Step::Plaintext(plaintext)),
                        Ok(None) => {}
                    }
                }
                Stage::Footer(withheld) => match self.decryptor.check_footer(&self.buffer) {
                    Err(error @ Error::Truncated { .. }) => {
                        self.stage = Stage::Footer(withheld);
                        return self.more_or(error);
                    }
                    length => self.stage = Stage::EndOfInput(withheld, length?),
                },
                Stage::EndOfInput(_, end) if self.buffer.len() > end => {
                    return Err(Error::TrailingBytes);
                }
                Stage::EndOfInput(withheld, end) if !self.inner_ended => {
                    self.stage = Stage::EndOfInput(withheld, end);
                    return Ok(Step::More);
                }
                Stage::EndOfInput(withheld, _) => {
                    let plaintext = withheld.release();
                    if !plaintext.is_empty() {
                        return Ok(Step::Plaintext(plaintext));
                    }
                }
                Stage::Done => return Ok(Step::End),
            }
        }
    }

    /// Opens the frame at the start of the buffer; the plaintext of the last one is withheld.
    fn open_frame(&mut self) -> Result<Option<Bytes>> {
        let prefix = self.decryptor.peek(&self.buffer)?;
        // Frames are within it since the header was read; a single block says only now how long it is.
        within("content bytes held in memory", prefix.content_bytes, self.content_bytes_max)?;
        let truncated = || Error::Truncated { region: prefix.region() };
        let frame_bytes = usize::try_from(prefix.total_bytes()).map_err(|_| truncated())?;
        if self.buffer.len() < frame_bytes {
            return Err(truncated());
        }
        let mut frame = self.buffer.split_to(frame_bytes);
        let content_bytes = self.decryptor.open_in_place(&mut frame)?.len();
        frame.advance(prefix.kind.prefix_bytes());
        frame.truncate(content_bytes);
        if prefix.kind == Kind::Regular {
            return Ok(Some(frame.freeze()));
        }
        self.stage = Stage::Footer(Withheld(frame));
        Ok(None)
    }

    /// Asks for more bytes, or, when there are none, returns the `error` that says what is missing.
    fn more_or(&self, error: Error) -> Result<Step> {
        if self.inner_ended { Err(error) } else { Ok(Step::More) }
    }
}

enum Step {
    Plaintext(Bytes),
    More,
    End,
}

impl<S, E> Stream for DecryptStream<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match this.step() {
                Ok(Step::Plaintext(plaintext)) => return Poll::Ready(Some(Ok(plaintext))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::More) => {}
                Err(error) => {
                    this.stage = Stage::Done;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match ready!(Pin::new(&mut this.inner).poll_next(context)) {
                Some(Ok(chunk)) => adopt(&mut this.buffer, chunk),
                Some(Err(error)) => {
                    this.stage = Stage::Done;
                    return Poll::Ready(Some(Err(stream_failed(error))));
                }
                None => this.inner_ended = true,
            }
        }
    }
}

/// Appends `chunk`: without a copy when nothing is there yet and nobody else has it.
fn adopt(buffer: &mut BytesMut, chunk: Bytes) {
    if !buffer.is_empty() {
        buffer.extend_from_slice(&chunk);
        return;
    }
    *buffer = chunk.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
}
