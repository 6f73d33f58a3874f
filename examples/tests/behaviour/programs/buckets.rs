//! `encrypt_stream`, `encrypt_to_bucket` and `serve_range`, which read what the others write.

use super::tool::{plaintext, run, written};

const ENCRYPT_STREAM: &str = env!("CARGO_BIN_EXE_encrypt_stream");
const ENCRYPT_TO_BUCKET: &str = env!("CARGO_BIN_EXE_encrypt_to_bucket");
const SERVE_RANGE: &str = env!("CARGO_BIN_EXE_serve_range");

#[test]
fn a_stream_goes_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), [1; 32]).unwrap();
    let plain = plaintext(300_000);
    let sealed = written(ENCRYPT_STREAM, folder.path(), &[], &["key"], &plain);
    let opened = written(ENCRYPT_STREAM, folder.path(), &[], &["--decrypt", "key"], &sealed);
    assert_eq!(opened, plain);
    let cut = &sealed[..sealed.len() - 1];
    let refused = run(ENCRYPT_STREAM, folder.path(), &[], &["--decrypt", "key"], cut);
    assert!(!refused.status.success());
}

#[test]
fn an_object_is_uploaded_in_parts_and_served_by_range() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), [1; 32]).unwrap();
    // More than one part of an upload.
    let plain = plaintext(25_000_000);
    let url = format!("file://{}/store/film", folder.path().display());
    std::fs::create_dir(folder.path().join("store")).unwrap();
    written(ENCRYPT_TO_BUCKET, folder.path(), &[], &["key", &url], &plain);
    for range in [0..10, 12_345_678..12_545_678, 24_999_999..25_000_000] {
        let (start, length) = (range.start.to_string(), range.len().to_string());
        let arguments = ["key", "store", "film", &start, &length];
        assert_eq!(written(SERVE_RANGE, folder.path(), &[], &arguments, b""), plain[range]);
    }
}
