//! The KMS under load, beside others, in one run.
//!
//! Every server is a process of its own on loopback. Requests are signed, as an AWS SDK signs them, before
//! the clock starts, and go over connections that stay open; the client does no more than send them and
//! read the replies, since it shares the processor with the server.
//!
//! | module | subject |
//! |---|---|
//! | `operation` | what is asked |
//! | `subject` | who is asked: the servers, their keys, and the requests signed for each |
//! | `bare` | a server that does nothing but HTTP, with the replies of ours |
//! | `drive` | as fast as replies come, and at a given rate |
//! | `wire`, `signer` | one connection; one signed request |
//! | `process` | processor time and memory of a server |
//! | `many_keys` | start and memory with many keys |
//! | `report` | the tables |

mod bare;
mod drive;
mod many_keys;
mod operation;
mod process;
mod report;
mod signer;
mod subject;
mod wire;

use std::time::Duration;

pub use bare::serve as serve_bare;
pub use many_keys::measure as measure_many_keys;
pub use operation::Operation;
pub use report::Tables;

use crate::BenchError;
use drive::Load;
use report::{HalfLoad, Row};
use subject::Subject;

/// Connections at half load.
const HALF_LOAD_CONNECTIONS: usize = 16;

/// How long, how wide and with whom is measured.
#[derive(Debug)]
pub struct Extent {
    /// Time of each figure; a fifth of it more goes before, to warm up.
    pub span: Duration,
    /// Numbers of connections.
    pub connections: Vec<usize>,
    /// What is asked.
    pub operations: Vec<Operation>,
    /// Whether other emulators are measured beside ours.
    pub with_peers: bool,
}

/// Measures every operation at every number of connections, and at half of what ours can do.
///
/// A peer that is not installed is left out and named.
///
/// # Errors
/// What keeps a server from starting; any reply that is not a success.
pub fn measure(extent: &Extent) -> Result<Tables, BenchError> {
    let ours = Subject::strongroom(extent.operations.contains(&Operation::GenerateDataKeyInHsm))?;
    let (peers, absent) = if extent.with_peers { subject::peers()? } else { Default::default() };
    let mut tables = Tables { absent, ..Tables::default() };
    for &operation in &extent.operations {
        measure_operation(extent, operation, &ours, &peers, &mut tables)?;
    }
    Ok(tables)
}

fn measure_operation(
    extent: &Extent,
    operation: Operation,
    ours: &Subject,
    peers: &[Subject],
    tables: &mut Tables,
) -> Result<(), BenchError> {
    let bare = ours.bare(operation)?;
    let subjects: Vec<&Subject> = [&bare, ours].into_iter().chain(peers).collect();
    for &connections in &extent.connections {
        let mut row = Row { operation, connections, cells: Vec::new() };
        for subject in &subjects {
            if !subject.has(operation) {
                row.cells.push((subject.name.clone(), None));
                continue;
            }
            let load = Load { requests: subject.requests(operation)?, connections };
            let measured = drive::closed(subject, &load, extent.span)?;
            row.cells.push((subject.name.clone(), Some(measured)));
        }
        tables.rows.push(row);
    }
    let connections = HALF_LOAD_CONNECTIONS;
    let requests = ours.requests(operation)?;
    let load = Load { requests, connections };
    let full = drive::closed(ours, &load, extent.span)?;
    let half = drive::paced(ours, &load, full.per_second / 2.0, extent.span)?;
    tables.half_load.push(HalfLoad { operation, connections, measured: half });
    Ok(())
}
