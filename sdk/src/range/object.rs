//! Reading ranges of a message in an object store: one ranged GET for each range.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::reader::tail_offset;
use super::{FrameMap, locate_final_frame, open_span};
use crate::cmm::MaterialsManager;
use crate::engine::FrameOpener;
use crate::error::{Error, Result};
use crate::materials::DecryptionRequest;
use crate::message::header::Header;
use crate::options::DecryptOptions;
use crate::stream::{HEADER_GUESS_BYTES, HeaderSearch};

/// Reads ranges of the plaintext of one message that is an object.
pub struct ObjectRangeReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    opener: Arc<FrameOpener>,
    map: FrameMap,
}

impl ObjectRangeReader {
    /// Opens the unsigned message at `path`: reads its size and its header, gets its data key.
    ///
    /// # Errors
    /// [`Error::Io`] from the store, as [`Header::parse`], what `manager` returns, as [`Header::verify`],
    /// [`Error::SignedSuiteRefused`].
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        path: Path,
        manager: &dyn MaterialsManager,
        options: &DecryptOptions,
    ) -> Result<Self> {
        let size = store.head(&path).await.map_err(store_error("finding the object"))?.size;
        let mut search = HeaderSearch::default();
        let mut offset = 0;
        let parsed = loop {
            let room = search.room(&options.limits);
            let end = (offset + room.len().max(HEADER_GUESS_BYTES) as u64).min(size);
            let bytes = get(&*store, &path, offset..end).await?;
            let count = bytes.len().min(room.len());
            for (to, from) in room.iter_mut().zip(&bytes) {
                *to = *from;
            }
            offset += count as u64;
            if let Some(parsed) = search.filled(count, &options.limits)? {
                break parsed;
            }
        };
        let request = DecryptionRequest::new(&parsed.header, options)?;
        let header: Header<_> =
            parsed.header.verify(manager.decryption_materials(&request).await?)?;
        let opener = Arc::new(FrameOpener::new(header)?);
        Self::with_opener(store, path, opener, size).await
    }

    /// A reader of the message at `path`, `size` bytes long, whose header is known already.
    ///
    /// For a signed message the last bytes are read once, to find the final frame before the footer.
    ///
    /// # Errors
    /// [`Fault::MessageLength`](crate::error::Fault::MessageLength), [`Error::Io`] from the store.
    pub async fn with_opener(
        store: Arc<dyn ObjectStore>,
        path: Path,
        opener: Arc<FrameOpener>,
        size: u64,
    ) -> Result<Self> {
        let (header_length, frame_length) = (opener.header_length() as u64, opener.frame_length());
        let map = if opener.suite().signature().is_none() {
            FrameMap::from_message_length(header_length, frame_length, size)?
        } else {
            let offset = tail_offset(header_length, frame_length, size);
            let tail = get(&*store, &path, offset..size).await?;
            locate_final_frame(header_length, frame_length, size, offset, &tail)?
        };
        Ok(Self { store, path, opener, map })
    }

    /// What opens the frames, for another reader of the same message.
    #[must_use]
    pub fn opener(&self) -> &Arc<FrameOpener> {
        &self.opener
    }

    /// Where the frames lie.
    #[must_use]
    pub fn map(&self) -> &FrameMap {
        &self.map
    }

    /// The plaintext bytes `range`, with one ranged GET.
    ///
    /// # Errors
    /// [`Error::RangeOutside`], [`Error::Io`] from the store, and as [`open_span`].
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let span = self.map.span(range)?;
        let ciphertext = get(&*self.store, &self.path, span.ciphertext()).await?;
        open_span(&self.opener, &span, &ciphertext)
    }
}

async fn get(store: &dyn ObjectStore, path: &Path, range: Range<u64>) -> Result<Bytes> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    store.get_range(path, range).await.map_err(store_error("reading a range of the object"))
}

pub(crate) fn store_error(operation: &'static str) -> impl FnOnce(object_store::Error) -> Error {
    move |error| {
        let kind = match &error {
            object_store::Error::NotFound { .. } => std::io::ErrorKind::NotFound,
            object_store::Error::PermissionDenied { .. } => std::io::ErrorKind::PermissionDenied,
            _ => std::io::ErrorKind::Other,
        };
        Error::Io { operation, source: std::io::Error::new(kind, error) }
    }
}
