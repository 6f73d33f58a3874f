//! A restore that ends early, by request or by failure, has stopped writing when it says so.

use std::fs;
use std::io;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use strongroom::Error;
use strongroom::control::Control;
use strongroom::entry::{Entry, EntryPath};
use strongroom::fs::restore::LocalTarget;
use strongroom::restore::{RestoreOptions, restore};
use strongroom::snapshot::load_all;
use strongroom::source::{Source, SourceFile, Trouble};
use strongroom::target::{Created, CreatedFile, Target, TargetFile};

use crate::location::{archive, create, memory};
use crate::support::{pattern, temporary};

/// A folder on a slow disk; whoever first writes to it has the restore stopped.
struct Slow {
    folder: LocalTarget,
    control: Control,
}

struct SlowFile {
    file: Box<dyn TargetFile>,
    control: Control,
}

impl Target for Slow {
    fn create_file(&self, entry: &Entry) -> io::Result<CreatedFile> {
        Ok(match self.folder.create_file(entry)? {
            CreatedFile::Write(file) => {
                CreatedFile::Write(Box::new(SlowFile { file, control: self.control.clone() }))
            }
            CreatedFile::Kept => CreatedFile::Kept,
        })
    }

    fn create_directory(&self, entry: &Entry) -> io::Result<Created> {
        self.folder.create_directory(entry)
    }

    fn create_special(&self, entry: &Entry) -> io::Result<Created> {
        self.folder.create_special(entry)
    }

    fn create_link(&self, entry: &Entry, original: &EntryPath) -> io::Result<Created> {
        self.folder.create_link(entry, original)
    }

    fn finish_directory(&self, entry: &Entry) -> io::Result<()> {
        self.folder.finish_directory(entry)
    }

    fn seal(&self) -> Vec<Trouble> {
        self.folder.seal()
    }

    fn standing(&self) -> io::Result<Box<dyn Source>> {
        self.folder.standing()
    }

    fn remove(&self, entry: &Entry) -> io::Result<()> {
        self.folder.remove(entry)
    }

    fn read_back(&self, entry: &Entry) -> io::Result<Box<dyn SourceFile>> {
        self.folder.read_back(entry)
    }
}

impl TargetFile for SlowFile {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.control.stop();
        let half = data.len() / 2;
        self.file.write_at(offset, &data[..half])?;
        sleep(Duration::from_millis(200));
        self.file.write_at(offset + half as u64, &data[half..])
    }

    fn finish(self: Box<Self>, entry: &Entry) -> io::Result<()> {
        self.file.finish(entry)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_restore_leaves_no_file_half_written() {
    let (_folder, root) = temporary();
    for number in 0..6_u8 {
        let noise: Vec<u8> = pattern(9 << 20).iter().map(|byte| byte ^ number).collect();
        fs::write(root.join(format!("file-{number}")), noise).unwrap();
    }
    let store = memory();
    let location = create(&store).await;
    archive(&location, &root).await.unwrap();
    let snapshot = load_all(&location).await.unwrap().pop().unwrap();

    let (_restored, to) = temporary();
    let control = Control::default();
    let folder = LocalTarget::open(&to, Default::default()).unwrap();
    let target = Arc::new(Slow { folder, control: control.clone() });
    let options = RestoreOptions { threads: Some(4), ..RestoreOptions::default() };
    let ended = restore(&location, &snapshot, target, options, &control).await;
    assert!(matches!(ended, Err(Error::Stopped)), "{ended:?}");
    for entry in fs::read_dir(&to).unwrap() {
        let name = entry.unwrap().file_name();
        let (made, original) = (fs::read(to.join(&name)), fs::read(root.join(&name)));
        assert!(made.unwrap() == original.unwrap(), "{name:?} is not what was archived");
    }
}
