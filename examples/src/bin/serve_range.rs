//! Reads a byte range of the plaintext of an encrypted object, with one ranged GET, and writes it to
//! standard output.
//!
//! ```sh
//! encrypt_stream key < film.mp4 > store/film.mp4.esdk
//! serve_range key store film.mp4.esdk 1000000 65536 > part
//! ```
//! The store is a folder here; every `object_store` (S3, GCS, Azure, memory) works the same. What a web
//! server needs for `Range:` requests is [`ObjectRangeReader::read`]: open the object once, keep the
//! reader, and read from as many requests at a time as there are.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use strongroom_sdk::SecretBytes;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::options::DecryptOptions;
use strongroom_sdk::range::object::ObjectRangeReader;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key_file, folder, object, start, length] = &arguments[..] else {
        return Err("usage: serve_range KEY-FILE FOLDER OBJECT START LENGTH > OUTPUT".into());
    };
    let key = SecretBytes::take(&mut std::fs::read(key_file)?);
    let keyring = RawAesKeyring::new("strongroom-examples", "stream", key)?;
    let manager = DefaultCmm::new(Arc::new(keyring));
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder)?);

    let path = Path::from(object.as_str());
    let reader = ObjectRangeReader::open(store, path, &manager, &DecryptOptions::default()).await?;

    let plaintext_length = reader.map().plaintext_length();
    let start: u64 = start.parse()?;
    let end = start.saturating_add(length.parse()?).min(plaintext_length);
    let bytes = reader.read(start..end).await?;
    std::io::stdout().write_all(&bytes)?;
    Ok(())
}
