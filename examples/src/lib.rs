//! Small whole programs to copy from, and the program for test vectors.
//!
//! | program | shows |
//! |---|---|
//! | `encrypt_stream` | encrypting and decrypting a stream of any length with the SDK |
//! | `encrypt_to_bucket` | encrypting a stream into an object while it is uploaded |
//! | `share_between_keys` | a message that either of two KMS keys can read |
//! | `recover_offline` | a second, offline RSA key in every message, and recovering with it |
//! | `serve_range` | reading a byte range of an encrypted object with one ranged GET |
//! | `esdk-vectors` | decrypts and encrypts the messages of [test vectors](vectors) of the AWS Encryption SDK |

pub mod vectors;
