//! A store in which something else happens just before one object is created: the worst moment, made to order.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

type Happening = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Passes every operation to another store.
struct Meanwhile {
    inner: Arc<dyn ObjectStore>,
    prefix: &'static str,
    /// Creations that come before it.
    pass: AtomicU32,
    happening: Mutex<Option<Happening>>,
}

/// `inner`, where `happening` comes about once: before the creation of an object whose key begins with `prefix`, after
/// `pass` others like it.
pub(crate) fn meanwhile(
    inner: &Arc<dyn ObjectStore>,
    prefix: &'static str,
    pass: u32,
    happening: impl Future<Output = ()> + Send + 'static,
) -> Arc<dyn ObjectStore> {
    let happening = Mutex::new(Some(Box::pin(happening) as Happening));
    Arc::new(Meanwhile { inner: inner.clone(), prefix, pass: AtomicU32::new(pass), happening })
}

#[async_trait]
impl ObjectStore for Meanwhile {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if location.as_ref().starts_with(self.prefix)
            && self.pass.fetch_sub(1, Ordering::Relaxed) == 0
        {
            let happening = self.happening.lock().unwrap().take();
            if let Some(happening) = happening {
                happening.await;
            }
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meanwhile").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl fmt::Display for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in which something happens", self.inner)
    }
}
