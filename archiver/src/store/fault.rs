//! A store that fails on purpose, for tests: at a chosen operation it stops, loses its reply, or
//! tears what it writes.
//!
//! A wrapper over `object_store`'s trait like any other; nothing but tests constructs it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// What happens at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and nothing after it either: the writer, or its network, is gone.
    StopBefore,
    /// It is done, its reply is lost, and nothing after it is done.
    StopAfter,
    /// It is not done; everything after it is.
    FailOnce,
    /// It is done and its reply is lost; everything after it is done.
    LoseReply,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] = [Self::StopBefore, Self::StopAfter, Self::FailOnce, Self::LoseReply];

    fn is_done(self) -> bool {
        matches!(self, Self::StopAfter | Self::LoseReply)
    }

    fn stops(self) -> bool {
        matches!(self, Self::StopBefore | Self::StopAfter)
    }
}

/// Passes every operation to another store, and spoils one that writes.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct Plan {
    fault: Fault,
    /// Which of the operations, counted from 0.
    at: u64,
    done: AtomicU64,
    stopped: AtomicBool,
}

/// What to do with one operation.
enum Verdict {
    Pass,
    Refuse,
    DoAndRefuse,
}

impl FaultyStore {
    /// Spoils operation number `at` of `inner`, counted from 0 over all operations but reads.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, fault: Fault, at: u64) -> Self {
        let (done, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { inner, plan: Arc::new(Plan { fault, at, done, stopped }) }
    }

    /// How many operations have been asked for.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.plan.done.load(Ordering::SeqCst)
    }
}

impl Plan {
    fn next(&self) -> Verdict {
        if self.stopped.load(Ordering::SeqCst) {
            return Verdict::Refuse;
        }
        if self.done.fetch_add(1, Ordering::SeqCst) != self.at {
            return Verdict::Pass;
        }
        self.stopped.store(self.fault.stops(), Ordering::SeqCst);
        if self.fault.is_done() { Verdict::DoAndRefuse } else { Verdict::Refuse }
    }

    async fn apply<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next() {
            Verdict::Pass => operation.await,
            Verdict::Refuse => Err(injected()),
            Verdict::DoAndRefuse => {
                operation.await?;
                Err(injected())
            }
        }
    }

    fn read(&self) -> Result<()> {
        if self.stopped.load(Ordering::SeqCst) { Err(injected()) } else { Ok(()) }
    }
}

fn injected() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "injected fault".into() }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.plan.apply(self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.plan.apply(self.inner.put_multipart_opts(location, options)).await?;
        Ok(Box::new(FaultyUpload { inner, plan: self.plan.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.plan.read()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.plan.read()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (plan, inner) = (self.plan.clone(), self.inner.clone());
        let delete = move |location: Result<Path>| {
            let (plan, inner) = (plan.clone(), inner.clone());
            async move {
                let location = location?;
                plan.apply(inner.delete(&location)).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.plan.read() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.plan.read()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.plan.apply(self.inner.copy_opts(from, to, options)).await
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} that fails on purpose", self.inner)
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    plan: Arc<Plan>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (plan, part) = (self.plan.clone(), self.inner.put_part(data));
        Box::pin(async move { plan.apply(part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.plan.apply(self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.plan.apply(self.inner.abort()).await
    }
}
