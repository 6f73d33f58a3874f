//! Fills packs: segments from any number of threads in, one encrypted upload at a time out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use strongroom_sdk::engine::Encryptor;
use strongroom_sdk::materials::EncryptionMaterials;
use strongroom_sdk::message::frame::{FINAL_OVERHEAD_BYTES, REGULAR_OVERHEAD_BYTES};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::{Encoded, SegmentAt, pack_name};
use crate::buffers::{Buffer, Buffers};
use crate::envelope::{Envelope, FRAME_BYTES, encrypt_options};
use crate::error::{Error, Result};
use crate::id::{ChunkId, ObjectId};
use crate::index::{IndexEntry, PackRecord, SegmentRecord};
use crate::store::{Kind, ObjectName, Store, Upload, UploadPart};

/// Parts that wait for the upload beside those that are on their way.
const PARTS_QUEUED_MAX: usize = 1;

/// Parts of all packs that are being filled or on their way: with their length they bound the memory that a
/// writer holds, however slow the store is.
const PARTS_MAX: usize = 10;

/// Full packs whose upload is still ending while the next one is filled.
const PACKS_CLOSING_MAX: usize = 2;

/// How packs are made.
#[derive(Clone, Copy, Debug)]
pub struct WriterOptions {
    /// Plaintext bytes from which on a pack takes no further segment.
    pub pack_bytes: u64,
    /// Bytes of a part of the upload, at least 5 MiB for S3.
    pub part_bytes: usize,
}

/// Packs whose upload is complete, with the chunks in them: what an index run is made of.
pub type Ledger = Vec<(PackRecord, Vec<IndexEntry>)>;

/// Writes segments into packs of one kind.
///
/// All methods wait, and so belong on threads that may: never on one that drives the runtime.
pub struct PackWriter {
    kind: Kind,
    owner: ObjectId,
    store: Arc<Store>,
    envelope: Arc<Envelope>,
    options: WriterOptions,
    runtime: Handle,
    parts: PartBuffers,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<OpenPack>,
    /// The key of the next pack, asked for when the current one was begun.
    next: Option<JoinHandle<Result<Ticket>>>,
    closing: VecDeque<(JoinHandle<Result<()>>, PackRecord, Vec<IndexEntry>)>,
    done: Ledger,
    abandoned: bool,
}

/// A name and the materials that are bound to it.
struct Ticket {
    id: ObjectId,
    materials: EncryptionMaterials,
}

struct OpenPack {
    record: PackRecord,
    chunks: Vec<IndexEntry>,
    encryptor: Encryptor,
    /// Plaintext of the frame that is being filled.
    frame: Vec<u8>,
    /// Ciphertext of the part that is being filled.
    part: PartBuffer,
    parts: mpsc::Sender<Part>,
    upload: JoinHandle<Result<()>>,
}

enum Part {
    More(UploadPart),
    /// Without this, a sender that goes away leaves no object.
    Last(UploadPart),
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { pack_bytes: 64 << 20, part_bytes: 6 << 20 }
    }
}

impl PackWriter {
    /// A writer of packs of `kind`, which is data or metadata, for session `owner`.
    #[must_use]
    pub fn new(
        kind: Kind,
        owner: ObjectId,
        store: Arc<Store>,
        envelope: Arc<Envelope>,
        options: WriterOptions,
        runtime: Handle,
    ) -> Self {
        let parts = PartBuffers::new(options.part_bytes);
        Self { kind, owner, store, envelope, options, runtime, parts, state: Mutex::default() }
    }

    /// Appends a segment with the given chunks (id, offset in the plain segment, length) and says
    /// where it went; waits while the store is slower than the caller.
    ///
    /// # Errors
    /// [`Error::Encrypt`] without a key, [`Error::Store`] when the upload failed.
    pub fn append(
        &self,
        segment: &Encoded<'_>,
        chunks: impl IntoIterator<Item = (ChunkId, u32, u32)>,
    ) -> Result<SegmentAt> {
        let mut state = self.lock();
        if state.abandoned {
            return Err(Error::StageLost { stage: "pack" });
        }
        if state.open.is_none() {
            state.open = Some(self.begin(&mut state)?);
        }
        let Some(pack) = state.open.as_mut() else {
            return Err(Error::StageLost { stage: "pack" });
        };
        let at = pack.record_segment(segment, chunks);
        let name = self.name(pack.record.id);
        for piece in segment.pieces() {
            if let Err(error) = pack.write(piece, self, name) {
                return Err(self.why(&mut state, error));
            }
        }
        if pack.record.plain_len >= self.options.pack_bytes {
            self.close(&mut state)?;
        }
        Ok(at)
    }

    /// Takes the packs whose upload has completed since the last call.
    ///
    /// # Errors
    /// [`Error::Store`] of an upload that failed.
    pub fn completed(&self) -> Result<Ledger> {
        let mut state = self.lock();
        while state.closing.front().is_some_and(|(upload, ..)| upload.is_finished()) {
            self.settle_first(&mut state)?;
        }
        Ok(std::mem::take(&mut state.done))
    }

    /// Ends the open pack, waits for every upload, and takes what has completed.
    ///
    /// # Errors
    /// [`Error::Store`] of an upload that failed.
    pub fn finish(&self) -> Result<Ledger> {
        let mut state = self.lock();
        if state.open.is_some() {
            self.close(&mut state)?;
        }
        while !state.closing.is_empty() {
            self.settle_first(&mut state)?;
        }
        if let Some(next) = state.next.take() {
            next.abort();
        }
        Ok(std::mem::take(&mut state.done))
    }

    /// Gives up what is not complete, and waits until nothing of it is on its way any more: a writer
    /// that says that it has ended must not store anything afterwards.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        // An upload whose parts end without the last one removes what it has sent.
        let open = state.open.take().map(|pack| pack.upload);
        let closing = std::mem::take(&mut state.closing).into_iter().map(|(upload, ..)| upload);
        for upload in open.into_iter().chain(closing) {
            let _ = self.runtime.block_on(upload);
        }
        if let Some(next) = state.next.take() {
            next.abort();
        }
    }

    fn begin(&self, state: &mut State) -> Result<OpenPack> {
        let ticket = match state.next.take() {
            Some(next) => self.runtime.block_on(next).unwrap_or_else(lost)?,
            None => self.runtime.block_on(self.ticket())?,
        };
        state.next = Some(self.runtime.spawn(self.ticket()));
        let name = self.name(ticket.id);
        let encryptor = Encryptor::new(ticket.materials, &encrypt_options())
            .map_err(|source| Error::Encrypt { object: name, source: Box::new(source) })?;
        let header = Bytes::copy_from_slice(encryptor.header());
        let (parts, queue) = mpsc::channel(PARTS_QUEUED_MAX);
        let upload = self.runtime.spawn(upload(self.store.upload(name), queue));
        let mut part = self.parts.take(&self.runtime);
        part.bytes.extend_from_slice(&header);
        let record =
            PackRecord { kind: self.kind, id: ticket.id, plain_len: 0, header, segments: vec![] };
        let frame = Vec::with_capacity(FRAME_BYTES as usize);
        Ok(OpenPack { record, chunks: vec![], encryptor, frame, part, parts, upload })
    }

    fn close(&self, state: &mut State) -> Result<()> {
        let Some(pack) = state.open.take() else { return Ok(()) };
        let name = self.name(pack.record.id);
        let (upload, record, chunks) = pack.end(name)?;
        state.closing.push_back((upload, record, chunks));
        while state.closing.len() > PACKS_CLOSING_MAX {
            self.settle_first(state)?;
        }
        Ok(())
    }

    fn settle_first(&self, state: &mut State) -> Result<()> {
        if let Some((upload, record, chunks)) = state.closing.pop_front() {
            self.runtime.block_on(upload).unwrap_or_else(lost)?;
            state.done.push((record, chunks));
        }
        Ok(())
    }

    /// A part that nobody takes any more means that the upload failed: its own error says more.
    fn why(&self, state: &mut State, error: Error) -> Error {
        let Error::StageLost { .. } = error else { return error };
        let Some(pack) = state.open.take() else { return error };
        match self.runtime.block_on(pack.upload) {
            Ok(Err(cause)) => cause,
            _ => error,
        }
    }

    /// A name and the key for it, got while other things go on.
    fn ticket(&self) -> impl Future<Output = Result<Ticket>> + use<> {
        let (envelope, kind, id) =
            (self.envelope.clone(), self.kind, ObjectId::random_of(&self.owner));
        async move {
            let materials = envelope.encryption_materials(pack_name(kind, id)).await?;
            Ok(Ticket { id, materials })
        }
    }

    fn name(&self, id: ObjectId) -> ObjectName {
        pack_name(self.kind, id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenPack {
    fn record_segment(
        &mut self,
        segment: &Encoded<'_>,
        chunks: impl IntoIterator<Item = (ChunkId, u32, u32)>,
    ) -> SegmentAt {
        let stored_len = u32::try_from(segment.stored_len()).unwrap_or(u32::MAX);
        let number = u32::try_from(self.record.segments.len()).unwrap_or(u32::MAX);
        let record = SegmentRecord {
            offset: self.record.plain_len,
            stored_len,
            plain_len: segment.plain_len(),
        };
        self.record.segments.push(record);
        self.record.plain_len += u64::from(stored_len);
        self.chunks.extend(chunks.into_iter().map(|(id, offset, len)| IndexEntry {
            id,
            segment: number,
            offset,
            len,
        }));
        SegmentAt {
            pack: self.record.id,
            offset: record.offset,
            stored_len,
            plain_len: segment.plain_len(),
        }
    }

    fn write(&mut self, mut bytes: &[u8], writer: &PackWriter, name: ObjectName) -> Result<()> {
        let fail = |source| Error::Encrypt { object: name, source: Box::new(source) };
        let frame_bytes = FRAME_BYTES as usize;
        while !bytes.is_empty() {
            // A full frame waits for what follows it: the last one must become the final frame.
            if self.frame.len() == frame_bytes {
                seal_frame(&mut self.encryptor, &self.frame, &mut self.part.bytes).map_err(fail)?;
                self.frame.clear();
            }
            let room = frame_bytes.saturating_sub(self.frame.len());
            let (head, rest) = bytes.split_at(room.min(bytes.len()));
            if head.len() == frame_bytes && !rest.is_empty() {
                // Straight from the segment into the part.
                seal_frame(&mut self.encryptor, head, &mut self.part.bytes).map_err(fail)?;
            } else {
                self.frame.extend_from_slice(head);
            }
            bytes = rest;
            while self.part.bytes.len() >= writer.options.part_bytes {
                self.send_part(writer)?;
            }
        }
        Ok(())
    }

    fn end(
        mut self,
        name: ObjectName,
    ) -> Result<(JoinHandle<Result<()>>, PackRecord, Vec<IndexEntry>)> {
        let fail = |source| Error::Encrypt { object: name, source: Box::new(source) };
        let part = &mut self.part.bytes;
        let start = part.len();
        part.resize(start + self.frame.len() + FINAL_OVERHEAD_BYTES, 0);
        let (_, room) = part.split_at_mut(start);
        self.encryptor.seal_final_frame_into(&self.frame, room).map_err(fail)?;
        let footer = self.encryptor.finish().map_err(fail)?;
        part.extend_from_slice(&footer);
        let last = Part::Last(self.part.freeze());
        // When nobody takes it, the upload has failed, and says so when it is waited for.
        let _ = self.parts.blocking_send(last);
        Ok((self.upload, self.record, self.chunks))
    }

    /// Sends the full part; what is beyond its length begins the next one.
    fn send_part(&mut self, writer: &PackWriter) -> Result<()> {
        let part_bytes = writer.options.part_bytes;
        let mut next = writer.parts.take(&writer.runtime);
        next.bytes.extend_from_slice(self.part.bytes.get(part_bytes..).unwrap_or_default());
        self.part.bytes.truncate(part_bytes);
        let full = std::mem::replace(&mut self.part, next).freeze();
        let sent = self.parts.blocking_send(Part::More(full));
        sent.map_err(|_| Error::StageLost { stage: "upload" })
    }
}

/// The memory for the parts of one writer.
struct PartBuffers {
    buffers: Arc<Buffers>,
    part_bytes: usize,
    room: Arc<Semaphore>,
}

/// A part that is being filled.
struct PartBuffer {
    bytes: Buffer,
    room: Option<OwnedSemaphorePermit>,
}

impl PartBuffers {
    fn new(part_bytes: usize) -> Self {
        // A part is noticed to be full when the frame that fills it is there.
        let buffers = Buffers::new(PARTS_MAX, part_bytes + FRAME_BYTES as usize * 2);
        Self { buffers, part_bytes, room: Arc::new(Semaphore::new(PARTS_MAX)) }
    }

    /// An empty part; waits until there is room for one.
    fn take(&self, runtime: &Handle) -> PartBuffer {
        // Nobody closes the semaphore.
        let room = runtime.block_on(self.room.clone().acquire_owned()).ok();
        let mut bytes = self.buffers.take();
        bytes.reserve_exact(self.part_bytes + FRAME_BYTES as usize + REGULAR_OVERHEAD_BYTES);
        PartBuffer { bytes, room }
    }
}

impl PartBuffer {
    fn freeze(self) -> UploadPart {
        UploadPart { bytes: Bytes::from_owner(self.bytes), room: self.room }
    }
}

fn seal_frame(
    encryptor: &mut Encryptor,
    plain: &[u8],
    part: &mut Vec<u8>,
) -> strongroom_sdk::Result<()> {
    let start = part.len();
    part.resize(start + plain.len() + REGULAR_OVERHEAD_BYTES, 0);
    let (_, room) = part.split_at_mut(start);
    encryptor.seal_frame_into(plain, room)
}

async fn upload(mut upload: Upload, mut parts: mpsc::Receiver<Part>) -> Result<()> {
    while let Some(part) = parts.recv().await {
        let (part, last) = match part {
            Part::More(part) => (part, false),
            Part::Last(part) => (part, true),
        };
        if let Err(error) = upload.part(part).await {
            upload.abort().await;
            return Err(error);
        }
        if last {
            return upload.finish().await;
        }
    }
    upload.abort().await;
    Err(Error::StageLost { stage: "pack" })
}

fn lost<T>(_: tokio::task::JoinError) -> Result<T> {
    Err(Error::StageLost { stage: "upload" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn room_is_for_so_many_parts_and_given_back_when_the_store_has_one() {
        let runtime = Handle::current();
        let taken = tokio::task::spawn_blocking(move || {
            let parts = PartBuffers::new(1_000);
            let mut taken: Vec<_> = (0..PARTS_MAX).map(|_| parts.take(&runtime).freeze()).collect();
            let before = parts.room.available_permits();
            // The store has it and keeps its bytes.
            taken[0].room = None;
            drop(parts.take(&runtime));
            (before, parts.room.available_permits(), taken.len())
        });
        assert_eq!(taken.await.unwrap(), (0, 1, PARTS_MAX));
    }
}
