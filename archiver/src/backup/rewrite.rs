//! Writes the tree of a snapshot whose content is stored already.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::blocks::MetaBlocks;
use super::engine::Engine;
use super::publish::publish;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::index::Catalog;
use crate::location::Location;
use crate::pack::{PackWriter, WriterOptions};
use crate::session::SessionState;
use crate::snapshot::{Node, TreeRoot, TreeWriter};
use crate::store::Kind;

/// Stores the blocks of a tree of these entries, which arrive in ascending order, and the index of what is new.
///
/// # Errors
/// Whatever keeps a block from being stored; [`Error::Fenced`].
pub(crate) async fn rewrite(
    location: &Arc<Location>,
    catalog: Arc<Catalog>,
    session: SessionState,
    options: WriterOptions,
    control: &Control,
    mut entries: mpsc::Receiver<Vec<Node>>,
) -> Result<Option<TreeRoot>> {
    let packs = |kind| {
        let (store, envelope) = (location.store().clone(), location.envelope().clone());
        let runtime = tokio::runtime::Handle::current();
        PackWriter::new(kind, session.id(), store, envelope, options, runtime)
    };
    let (data, meta) = (packs(Kind::Data), packs(Kind::Meta));
    let (at, known, control) = (location.clone(), catalog.clone(), control.clone());
    let engine = Arc::new(Engine::new(at, known, data, true, control, session, 1));
    let written = tokio::task::spawn_blocking(move || {
        let mut tree = TreeWriter::new(MetaBlocks::new(engine.clone(), &meta));
        let write = || {
            while let Some(nodes) = entries.blocking_recv() {
                engine.check()?;
                nodes.iter().try_for_each(|node| tree.push(node))?;
            }
            let (root, _) = tree.finish()?;
            Ok((root, meta.finish()?))
        };
        let written = write();
        if written.is_err() {
            meta.abandon();
        }
        written
    });
    let (root, packs) = written.await.map_err(|_| Error::StageLost { stage: "metadata" })??;
    publish(location, &catalog, packs).await?;
    Ok(root.as_ref().map(TreeRoot::new))
}
