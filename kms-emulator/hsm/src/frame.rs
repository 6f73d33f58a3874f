//! Frames on a byte stream: 32-bit length, 32-bit request number, body.

use std::io::{Error, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::secret::SecretBuffer;

/// One frame.
pub(crate) struct Frame {
    pub(crate) request: u32,
    pub(crate) body: SecretBuffer,
}

/// Reads one frame of at most `max` body bytes, or `None` at the end of the stream.
pub(crate) async fn read<R: AsyncRead + Unpin>(
    stream: &mut R,
    max: usize,
) -> std::io::Result<Option<Frame>> {
    let length = match stream.read_u32().await {
        Ok(length) => usize::try_from(length).unwrap_or(usize::MAX),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > max {
        return Err(Error::new(ErrorKind::InvalidData, "frame is longer than its limit"));
    }
    let request = stream.read_u32().await?;
    let mut body = SecretBuffer::new(vec![0; length]);
    stream.read_exact(&mut body).await?;
    Ok(Some(Frame { request, body }))
}

/// Writes one frame; the caller flushes.
pub(crate) async fn write<W: AsyncWrite + Unpin>(
    stream: &mut W,
    frame: &Frame,
) -> std::io::Result<()> {
    let length = u32::try_from(frame.body.len())
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "frame is longer than its limit"))?;
    stream.write_u32(length).await?;
    stream.write_u32(frame.request).await?;
    stream.write_all(&frame.body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_bounded() {
        let mut bytes = Vec::new();
        let frame = Frame { request: 7, body: SecretBuffer::new(vec![1; 10]) };
        write(&mut bytes, &frame).await.unwrap();
        assert_eq!(read(&mut &bytes[..], 10).await.unwrap().unwrap().request, 7);
        assert!(read(&mut &bytes[..], 9).await.is_err());
        assert!(read(&mut &bytes[..5], 10).await.is_err());
        assert!(read(&mut &bytes[..0], 10).await.unwrap().is_none());
    }
}
