//! Encrypting a stream of bytes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;

use super::stream_failed;
use crate::engine::Encryptor;
use crate::error::{Error, Result};
use crate::materials::EncryptionMaterials;
use crate::message::header::HeaderFields;
use crate::options::EncryptOptions;
use crate::stream::{FrameBuffer, frames_before_more};

/// Bytes of plaintext that are sealed into one item at most, when frames are not longer.
const ITEM_BYTES: usize = 256 * 1024;

/// Encrypts the plaintext that a stream gives, into the items of a message.
///
/// The first item is the header; others are whole frames, several when frames are short; the last one
/// ends the message. A stream that ends with an error, or is dropped before its end, leaves a truncated
/// message, which every reader refuses.
///
/// ```
/// # async fn example(materials: strongroom_sdk::materials::EncryptionMaterials) -> strongroom_sdk::Result<()> {
/// use bytes::Bytes;
/// use futures::TryStreamExt;
/// use strongroom_sdk::{futures_stream::EncryptStream, options::EncryptOptions};
///
/// let plaintext = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from("text"))]);
/// let message = EncryptStream::new(plaintext, materials, &EncryptOptions::default())?;
/// let items: Vec<Bytes> = message.try_collect().await?;
/// # Ok(()) }
/// ```
pub struct EncryptStream<S> {
    inner: S,
    /// `None` when the message is complete, or cannot be.
    encryptor: Option<Encryptor>,
    header: Option<Bytes>,
    header_fields: HeaderFields,
    /// Plaintext that is not a frame yet.
    frame: FrameBuffer,
    /// Plaintext that is not in a frame yet, as it came.
    chunk: Bytes,
}

impl<S> EncryptStream<S> {
    /// Encrypts what `inner` gives.
    ///
    /// # Errors
    /// As [`Encryptor::new`].
    pub fn new(inner: S, materials: EncryptionMaterials, options: &EncryptOptions) -> Result<Self> {
        let encryptor = Encryptor::new(materials, options)?;
        Ok(Self {
            inner,
            header: Some(Bytes::copy_from_slice(encryptor.header())),
            header_fields: encryptor.header_fields().clone(),
            frame: FrameBuffer::new(encryptor.frame_length()),
            encryptor: Some(encryptor),
            chunk: Bytes::new(),
        })
    }

    /// What the header says: the suite, the encryption context and all else that the materials brought.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        &self.header_fields
    }

    /// Seals the frames that are whole and not the last: more has come after them.
    fn seal_whole(&mut self) -> Result<Option<Bytes>> {
        let Some(encryptor) = &mut self.encryptor else { return Ok(None) };
        let frame_length = encryptor.frame_length();
        if !self.frame.is_empty() {
            let taken = self.frame.fill(&self.chunk);
            self.chunk.advance(taken);
            if !self.frame.is_full() || self.chunk.is_empty() {
                return Ok(None);
            }
            let sealed = Bytes::copy_from_slice(self.frame.seal_regular(encryptor)?);
            self.frame.clear();
            return Ok(Some(sealed));
        }
        let Some(content) = frames_before_more(&self.chunk, frame_length, ITEM_BYTES) else {
            let taken = self.frame.fill(&self.chunk);
            self.chunk.advance(taken);
            return Ok(None);
        };
        let mut sealed = Vec::new();
        encryptor.seal_frames_over(content, &mut sealed)?;
        let taken = content.len();
        self.chunk.advance(taken);
        Ok(Some(sealed.into()))
    }

    /// The final frame and the footer.
    fn seal_end(&mut self) -> Result<Bytes> {
        let complete = Error::OutOfOrder("the message is complete");
        let mut encryptor = self.encryptor.take().ok_or(complete)?;
        let mut end = BytesMut::from(self.frame.seal_final(&mut encryptor)?);
        self.frame.clear();
        end.extend_from_slice(&encryptor.finish()?);
        Ok(end.freeze())
    }

    /// Nothing comes after an error: what has come out is a truncated message.
    fn fail(&mut self, error: Error) -> Poll<Option<Result<Bytes>>> {
        self.encryptor = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl<S, E> Stream for EncryptStream<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(header) = this.header.take() {
            return Poll::Ready(Some(Ok(header)));
        }
        loop {
            if this.encryptor.is_none() {
                return Poll::Ready(None);
            }
            while !this.chunk.is_empty() {
                match this.seal_whole() {
                    Ok(None) => {}
                    Ok(Some(sealed)) => return Poll::Ready(Some(Ok(sealed))),
                    Err(error) => return this.fail(error),
                }
            }
            match ready!(Pin::new(&mut this.inner).poll_next(context)) {
                Some(Ok(chunk)) => this.chunk = chunk,
                Some(Err(error)) => return this.fail(stream_failed(error)),
                None => return Poll::Ready(Some(this.seal_end())),
            }
        }
    }
}
