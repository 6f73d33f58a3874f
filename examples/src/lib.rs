//! Small whole programs to copy from.
//!
//! | program | shows |
//! |---|---|
//! | `encrypt_stream` | encrypting and decrypting a stream of any length with the SDK |
//! | `serve_range` | reading a byte range of an encrypted object with one ranged GET |
