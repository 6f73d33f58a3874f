//! Encrypts standard input into an object, in parts that are uploaded while the rest is still being read.
//!
//! ```sh
//! head -c 32 /dev/urandom > key
//! tar c /srv | encrypt_to_bucket key s3://backups/srv.tar.esdk
//! tar c /srv | encrypt_to_bucket key file:///mnt/backups/srv.tar.esdk
//! ```
//! Credentials and endpoint of a bucket come from the usual AWS variables. Memory holds one frame and the
//! parts that are under way. The object appears when it is complete, or not at all.

use std::error::Error;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::tokio_stream::AsyncEncryptWriter;
use strongroom_sdk::{AlgorithmSuite, EncryptionContext, SecretBytes};
use tokio::io::AsyncWriteExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key_file, url] = &arguments[..] else {
        return Err("usage: encrypt_to_bucket KEY-FILE URL < INPUT".into());
    };
    let key = SecretBytes::take(&mut std::fs::read(key_file)?);
    let manager =
        DefaultCmm::new(Arc::new(RawAesKeyring::new("strongroom-examples", "stream", key)?));
    let variables = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let (store, path) = object_store::parse_url_opts(&url.parse()?, variables)?;
    upload(Arc::from(store), path, &manager).await
}

async fn upload(
    store: Arc<dyn ObjectStore>,
    path: Path,
    manager: &dyn MaterialsManager,
) -> Result<(), Box<dyn Error>> {
    let request = EncryptionRequest {
        // A reader that demands this context notices objects that have changed places.
        encryption_context: EncryptionContext::from_pairs([("object", path.as_ref())])?,
        // Not signed, so that `serve_range` can read parts of it.
        suite: Some(AlgorithmSuite::Aes256GcmHkdfSha512CommitKey),
        ..EncryptionRequest::default()
    };
    let materials = manager.encryption_materials(&request).await?;
    let options = EncryptOptions { frame_length: 64 * 1024 };
    let object = BufWriter::new(store, path);
    let mut writer = AsyncEncryptWriter::new(object, materials, &options)?;
    match tokio::io::copy(&mut tokio::io::stdin(), &mut writer).await {
        // The message is complete, then the upload: before this there is no object.
        Ok(_) => Ok(writer.finish().await?.shutdown().await?),
        // Dropped without `shutdown`, the writer leaves no object; a bucket's own rule for incomplete
        // uploads removes the parts.
        Err(error) => Err(error.into()),
    }
}
