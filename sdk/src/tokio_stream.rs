//! Messages as `tokio` streams: the twins of [`crate::stream`].
//!
//! Sealing or opening one frame happens on the task that polls. At ten gigabytes a second a frame of
//! 64 KiB takes less than ten microseconds, less than handing it to another thread would.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::cmm::MaterialsManager;
use crate::engine::Encryptor;
use crate::engine::pull::{Pull, Step};
use crate::error::{Error, Result};
use crate::materials::{DecryptionRequest, EncryptionMaterials};
use crate::message::header::HeaderFields;
use crate::options::{DecryptOptions, EncryptOptions};
use crate::stream::{BATCH_BYTES, FrameBuffer, HeaderSearch, frames_before_more};

/// Encrypts what is written to it into a message on `W`.
///
/// Only [`finish`](Self::finish), or `shutdown`, completes the message. Dropping the writer before leaves
/// a truncated one, which every reader refuses.
pub struct AsyncEncryptWriter<W> {
    inner: W,
    /// `None` when the message is complete.
    encryptor: Option<Encryptor>,
    frame: FrameBuffer,
    header: Vec<u8>,
    header_fields: HeaderFields,
    /// Bytes of the message on their way to `inner`.
    sealed: Vec<u8>,
    written: usize,
}

impl<W: AsyncWrite + Unpin> AsyncEncryptWriter<W> {
    /// Begins a message on `inner`; its header is written with the first frame.
    ///
    /// # Errors
    /// As [`Encryptor::new`].
    pub fn new(inner: W, materials: EncryptionMaterials, options: &EncryptOptions) -> Result<Self> {
        let encryptor = Encryptor::new(materials, options)?;
        let frame = FrameBuffer::new(encryptor.frame_length());
        let header = encryptor.header().to_vec();
        let header_fields = encryptor.header_fields().clone();
        let sealed = header.clone();
        let encryptor = Some(encryptor);
        Ok(Self { inner, encryptor, frame, header, header_fields, sealed, written: 0 })
    }

    /// The header of the message.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// What the header says: the suite, the encryption context and all else that the materials brought.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        &self.header_fields
    }

    /// Writes the final frame and the footer, flushes, and gives back the writer below, which is not
    /// shut down.
    ///
    /// # Errors
    /// As [`Encryptor::seal_final_frame`]; [`Error::Io`].
    pub async fn finish(mut self) -> Result<W> {
        self.seal_end()?;
        let written = std::future::poll_fn(|context| self.poll_sealed(context)).await;
        written.map_err(Error::io("writing the end of the message"))?;
        self.inner.flush().await.map_err(Error::io("flushing the message"))?;
        Ok(self.inner)
    }

    /// As [`finish`](Self::finish), but a plaintext of whole frames ends with an empty final frame, as
    /// [`EncryptWriter::finish_with_short_frame`] writes it.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    ///
    /// [`EncryptWriter::finish_with_short_frame`]: crate::stream::EncryptWriter::finish_with_short_frame
    pub async fn finish_with_short_frame(mut self) -> Result<W> {
        if self.frame.is_full() {
            self.seal_frame()?;
        }
        self.finish().await
    }

    /// Writes out what has been sealed.
    fn poll_sealed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.sealed.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.sealed.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Seals the plaintext that has been collected.
    fn seal_frame(&mut self) -> Result<()> {
        let encryptor = self.encryptor.as_mut().ok_or_else(complete)?;
        self.sealed.extend_from_slice(self.frame.seal_regular(encryptor)?);
        self.frame.clear();
        Ok(())
    }

    /// Seals the final frame and the footer, once.
    fn seal_end(&mut self) -> Result<()> {
        if let Some(mut encryptor) = self.encryptor.take() {
            self.sealed.extend_from_slice(self.frame.seal_final(&mut encryptor)?);
            self.frame.clear();
            self.sealed.extend_from_slice(&encryptor.finish()?);
        }
        Ok(())
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for AsyncEncryptWriter<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let frame_length = this.encryptor.as_ref().ok_or_else(complete)?.frame_length();
        // A full frame waits until more comes: it could be the final one.
        if this.frame.is_full() && !bytes.is_empty() {
            ready!(this.poll_sealed(context))?;
            this.seal_frame()?;
        }
        // More than a frame at once: the first of it is not the final frame, and needs no copy.
        match frames_before_more(bytes, frame_length, BATCH_BYTES) {
            Some(content) if this.frame.is_empty() => {
                ready!(this.poll_sealed(context))?;
                let encryptor = this.encryptor.as_mut().ok_or_else(complete)?;
                if let Err(error) = encryptor.seal_frames_over(content, &mut this.sealed) {
                    // What was not sealed must not be written.
                    this.sealed.clear();
                    this.encryptor = None;
                    return Poll::Ready(Err(error.into()));
                }
                Poll::Ready(Ok(content.len()))
            }
            _ => Poll::Ready(Ok(this.frame.fill(bytes))),
        }
    }

    /// Flushes what has been sealed; a frame that is not full stays here.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_sealed(context))?;
        Pin::new(&mut this.inner).poll_flush(context)
    }

    /// Completes the message and shuts down the writer below.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.seal_end()?;
        ready!(this.poll_sealed(context))?;
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}

fn complete() -> Error {
    Error::OutOfOrder("the message is complete")
}

/// Decrypts the message that it reads from `R`; see [`DecryptReader`](crate::stream::DecryptReader) for
/// what comes out when.
pub struct AsyncDecryptReader<R> {
    inner: R,
    pull: Pull,
}

impl<R: AsyncRead + Unpin> AsyncDecryptReader<R> {
    /// Reads and verifies the header of the message in `inner`.
    ///
    /// # Errors
    /// As [`Header::parse`](crate::message::header::Header::parse), [`DecryptionRequest::new`], `manager`
    /// and [`Header::verify`](crate::message::header::Header::verify); [`Error::Io`].
    pub async fn open(
        mut inner: R,
        manager: &dyn MaterialsManager,
        options: &DecryptOptions,
    ) -> Result<Self> {
        let mut search = HeaderSearch::default();
        let parsed = loop {
            let count = inner.read(search.room(&options.limits)).await;
            let count = count.map_err(Error::io("reading the header"))?;
            if let Some(parsed) = search.filled(count, &options.limits)? {
                break parsed;
            }
        };
        let request = DecryptionRequest::new(&parsed.header, options)?;
        let header = parsed.header.verify(manager.decryption_materials(&request).await?)?;
        let mut read = search.into_bytes();
        let body = read.split_off(parsed.length.min(read.len()));
        Ok(Self { inner, pull: Pull::new(header, body, &options.limits) })
    }
}

impl<R> AsyncDecryptReader<R> {
    /// What the header says, authenticated: the encryption context, the suite, and all else.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        self.pull.header_fields()
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for AsyncDecryptReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let plaintext = ready!(self.as_mut().poll_fill_buf(context))?;
        let count = plaintext.len().min(out.remaining());
        out.put_slice(plaintext.get(..count).unwrap_or_default());
        self.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead + Unpin> AsyncBufRead for AsyncDecryptReader<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Self { inner, pull, .. } = self.get_mut();
        while pull.step()? == Step::More {
            let mut room = ReadBuf::new(pull.room());
            ready!(Pin::new(&mut *inner).poll_read(context, &mut room))?;
            let count = room.filled().len();
            pull.filled(count);
        }
        Poll::Ready(Ok(pull.plaintext()))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.pull.consume(count);
    }
}
