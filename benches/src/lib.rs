//! Measures Strongroom beside its peers, and shows what it promises on real input.
//!
//! Everything runs as its users would run it: the released programs as child processes, real S3
//! servers on loopback, the KMS as a server of its own. Nothing here is linked to the archiver.
//!
//! | program | what it does |
//! |---|---|
//! | `compare` | archives and restores one tree with Strongroom and with its peers, in one run, and prints a table |
//! | `sdk_speed` | measures the SDK on one core and on several beside the raw cipher that it uses |
//! | `kms_load` | drives the KMS beside other emulators and a bare HTTP server; with `--keys`, its start and memory with many keys |
//! | `acceptance` | runs the list of what must be shown on one tree, and prints one line per item |
//!
//! | module | subject |
//! |---|---|
//! | [`acceptance`] | what must be shown, each item a function that returns its figure |
//! | [`sdk_speed`] | the surfaces of the SDK, the raw cipher and hash, and the table of both |
//! | [`kms_load`] | the KMS under load, and who stands beside it |
//! | [`measure`] | what one command took: time, processor time, memory |
//! | [`tool`] | the archivers that are measured, behind one trait |
//! | [`store`] | where they archive to |
//! | [`subject`] | what is archived: a tree that is there, or one that is made and changed |
//! | [`tree`] | trees: their size, and whether two are equal |
//! | [`table`] | the results as Markdown |

pub mod acceptance;
pub mod kms_load;
pub mod measure;
pub mod sdk_speed;
pub mod store;
pub mod subject;
pub mod table;
pub mod tool;
pub mod tree;

mod error;

pub use crate::error::BenchError;

/// The error and its causes, on one line.
#[must_use]
pub fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
