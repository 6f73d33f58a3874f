//! `strongroom quickstart`: the whole job on embedded defaults, saying what it does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use clap::Args;
use serde_json::{Value, json};
use strongroom::backup::{BackupOptions, backup};
use strongroom::check::{CheckOptions, check};
use strongroom::clock::SystemClock;
use strongroom::fs::compare::{Compared, compare};
use strongroom::fs::exclude::Patterns;
use strongroom::fs::restore::{LocalTarget, RestoreOptions as TargetOptions};
use strongroom::fs::walk::{LocalTree, WalkOptions};
use strongroom::location::{CreateOptions, Location};
use strongroom::quickstart::embedded_kms::{ALIAS, EmbeddedKms};
use strongroom::restore::{RestoreOptions, Restored, restore};
use strongroom::snapshot::Snapshot;
use strongroom::store::connect::{StoreOptions, connect};

use super::connect::describe_key;
use super::exit::Failure;
use super::output::{Output, bytes_text, count_text, printable};
use super::recipients::materials_of_one;
use super::report::{Report, seconds, speed};

/// Most differences that are named; all are counted.
const DIFFERENCES_NAMED_MAX: u64 = 20;

/// What to try it on.
#[derive(Args)]
#[command(after_help = "\
Starts a KMS with two simulated HSMs in this process, makes a key in them, makes an archival
location in a temporary folder, archives DIR, archives it again, checks the location, restores the
snapshot beside it, and compares every byte and attribute. Everything that it makes is removed at
the end; nothing leaves this machine.

Example:
  strongroom quickstart /usr/share/doc")]
pub(super) struct Arguments {
    /// The directory to archive [default: the project's own folder under cargo, without what is
    /// built in it; the current folder otherwise].
    dir: Option<PathBuf>,
    /// Where the temporary folder is made; it needs room for the restored tree and the archive.
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
}

/// One quickstart under way.
struct Quickstart<'a> {
    output: &'a Output,
    report: Report,
    source: PathBuf,
    exclude: Option<Patterns>,
    folder: &'a Path,
    step: u32,
}

pub(super) async fn run(arguments: Arguments, output: &Output) -> Result<(), Failure> {
    let work = arguments.work.unwrap_or_else(std::env::temp_dir);
    let unusable = |source| Failure::Target { path: work.clone(), source };
    let folder = tempfile::Builder::new()
        .prefix("strongroom-quickstart-")
        .tempdir_in(&work)
        .map_err(unusable)?;
    let (source, exclude) = match arguments.dir {
        Some(dir) => (dir, None),
        None => own_folder()?,
    };
    let report = Report::start(output, "quickstart");
    let quickstart = Quickstart { output, report, source, exclude, folder: folder.path(), step: 0 };
    let result = quickstart.play().await;
    // Said here and not left to a destructor, which could not say that it failed.
    folder.close().map_err(unusable)?;
    result
}

/// The project's own folder where cargo runs the program, and what is built there.
fn own_folder() -> Result<(PathBuf, Option<Patterns>), Failure> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let project = manifest.as_deref().and_then(Path::parent).map(Path::to_owned);
    let folder = project.unwrap_or_else(|| PathBuf::from("."));
    Ok((folder, Some(Patterns::new(&["/target/"])?)))
}

impl Quickstart<'_> {
    async fn play(mut self) -> Result<(), Failure> {
        let kms = self.start_kms().await?;
        let location = self.create_location(&kms).await?;
        let (first, first_took) = self.archive(&location).await?;
        let (second, second_took) = self.archive_again(&location).await?;
        self.check(&location).await?;
        let (restored, restore_took) = self.restore(&location, &first).await?;
        let compared = self.compare()?;
        self.say_how_to_go_on()?;
        let (key_arn, custom_key_store) =
            (kms.key_arn().to_owned(), kms.custom_key_store_id().to_owned());
        kms.shutdown().await;
        self.report.finish();
        if self.output.is_json() {
            self.output.json_line(&self.output.document(json!({
                "key": key_arn,
                "custom_key_store": custom_key_store,
                "source": self.source.to_string_lossy(),
                "archive": figures(&first, first_took),
                "archive_again": figures(&second, second_took),
                "restore": { "seconds": seconds(restore_took), "restored": restored },
                "compared": { "entries": compared.entries, "bytes": compared.bytes, "differences": compared.differences },
                "troubles": self.report.troubles(),
            })))?;
        }
        judge(&first, restored, compared)
    }

    async fn start_kms(&mut self) -> Result<EmbeddedKms, Failure> {
        self.begin("Start a KMS, and make a key in two simulated HSMs")?;
        let mut lines = Vec::new();
        let mut narrate = |line: &str| lines.push(line.to_owned());
        let kms = EmbeddedKms::start(&self.folder.join("kms"), &mut narrate).await?;
        lines.iter().try_for_each(|line| self.say(line))?;
        Ok(kms)
    }

    async fn create_location(&mut self, kms: &EmbeddedKms) -> Result<Arc<Location>, Failure> {
        self.begin("Make an archival location under that key")?;
        let url = format!("file://{}", self.folder.join("location").display());
        let options = StoreOptions { create_folder: true, ..StoreOptions::default() };
        let store = connect(&url, &options)?;
        let client = client(kms);
        let materials = materials_of_one(&client, kms.key_arn())?;
        let location = Location::create(store, materials, &CreateOptions::default()).await?;
        self.say(&format!("{url}, id {}", location.id()))?;
        let key = describe_key(&client, kms.key_arn()).await?;
        self.say(&format!(
            "data keys come from {}, origin {} in {}",
            key.arn,
            key.origin.unwrap_or_default(),
            kms.custom_key_store_id(),
        ))?;
        Ok(Arc::new(location))
    }

    async fn archive(&mut self, location: &Arc<Location>) -> Result<(Snapshot, Duration), Failure> {
        self.begin(&format!("Archive {}", self.source.display()))?;
        let (made, took) = self.snapshot(location).await?;
        let statistics = &made.commit.statistics;
        self.say(&format!(
            "snapshot {}: {} files, {} in {:.1} s, {}",
            made.id,
            count_text(statistics.files),
            bytes_text(statistics.bytes),
            took.as_secs_f64(),
            speed(statistics.bytes, took),
        ))?;
        let (stored, files) = (statistics.bytes_stored, statistics.bytes);
        self.say(&format!(
            "stored {}, {} of 100 bytes, every object an AWS Encryption SDK message of its own",
            bytes_text(stored),
            stored.saturating_mul(100).checked_div(files).unwrap_or(0),
        ))?;
        Ok((made, took))
    }

    async fn archive_again(
        &mut self,
        location: &Arc<Location>,
    ) -> Result<(Snapshot, Duration), Failure> {
        self.begin("Archive it again, unchanged")?;
        let (made, took) = self.snapshot(location).await?;
        let statistics = &made.commit.statistics;
        self.say(&format!(
            "{} of {} files taken over without reading them, {} stored, {:.1} s",
            count_text(statistics.files_unchanged),
            count_text(statistics.files),
            bytes_text(statistics.bytes_stored),
            took.as_secs_f64(),
        ))?;
        Ok((made, took))
    }

    async fn snapshot(&self, location: &Arc<Location>) -> Result<(Snapshot, Duration), Failure> {
        let options = WalkOptions { exclude: self.exclude.clone(), ..WalkOptions::default() };
        let tree = LocalTree::open(std::slice::from_ref(&self.source), options)?;
        let options = BackupOptions {
            host: "quickstart".to_owned(),
            paths: vec![self.source.to_string_lossy().into_owned()],
            ..BackupOptions::default()
        };
        let started = Instant::now();
        let control = &self.report.control;
        let made = backup(location, Arc::new(tree), options, &SystemClock, control).await?;
        Ok((made, started.elapsed()))
    }

    async fn check(&mut self, location: &Arc<Location>) -> Result<(), Failure> {
        self.begin("Check the location: read, decrypt and verify every object")?;
        let started = Instant::now();
        let options = CheckOptions { read_data: true };
        let checked = check(location, options, &self.report.control).await?;
        let took = started.elapsed().as_secs_f64();
        let problems = checked.problems.len() as u64;
        self.say(&format!("{} objects, {problems} damaged, {took:.1} s", checked.objects))?;
        match problems {
            0 => Ok(()),
            count => Err(Failure::Damaged { count, what: "objects are" }),
        }
    }

    async fn restore(
        &mut self,
        location: &Arc<Location>,
        snapshot: &Snapshot,
    ) -> Result<(Restored, Duration), Failure> {
        let path = self.restored();
        self.begin(&format!("Restore it to {}", path.display()))?;
        let unusable = |source| Failure::Target { path: path.clone(), source };
        let target = LocalTarget::open(&path, TargetOptions::default()).map_err(unusable)?;
        let (options, started) = (RestoreOptions::default(), Instant::now());
        let control = &self.report.control;
        let restored = restore(location, snapshot, Arc::new(target), options, control).await?;
        let took = started.elapsed();
        self.say(&format!(
            "{} files, {} in {:.1} s, {}",
            count_text(restored.files),
            bytes_text(restored.bytes),
            took.as_secs_f64(),
            speed(restored.bytes, took),
        ))?;
        Ok((restored, took))
    }

    fn compare(&mut self) -> Result<Compared, Failure> {
        self.begin("Compare both trees in every byte and attribute")?;
        let mut named = Vec::new();
        let restored = self.restored();
        let started = Instant::now();
        let compared = compare(&self.source, &restored, self.exclude.as_ref(), |difference| {
            if (named.len() as u64) < DIFFERENCES_NAMED_MAX {
                named.push(printable(&difference.to_string()));
            }
        })?;
        named.iter().try_for_each(|difference| self.say(difference))?;
        self.say(&format!(
            "{} entries, {}, {} differences, {:.1} s",
            count_text(compared.entries),
            bytes_text(compared.bytes),
            compared.differences,
            started.elapsed().as_secs_f64(),
        ))?;
        Ok(compared)
    }

    fn restored(&self) -> PathBuf {
        self.folder.join("restored")
    }

    fn say_how_to_go_on(&mut self) -> Result<(), Failure> {
        self.begin("Go on with a bucket, and a KMS that stays")?;
        self.say(
            "strongroom-kms serve --listen 127.0.0.1:4599 --data-dir ~/kms   # or AWS KMS itself",
        )?;
        self.say(&format!("strongroom location create offsite s3://BUCKET/PREFIX --key {ALIAS}"))?;
        self.say("    with --endpoint http://HOST:9000 for MinIO and others, --kms-endpoint for a KMS of your own")?;
        self.say(
            "strongroom archive ~ && strongroom snapshots && strongroom restore latest /tmp/back",
        )
    }

    fn begin(&mut self, title: &str) -> Result<(), Failure> {
        self.step += 1;
        if self.output.is_json() {
            return Ok(());
        }
        self.output.line(&format!("{}. {}", self.step, printable(title)))
    }

    fn say(&self, line: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(());
        }
        self.output.line(&format!("   {}", printable(line)))
    }
}

/// A client of the embedded KMS, with its root's credentials.
fn client(kms: &EmbeddedKms) -> aws_sdk_kms::Client {
    let (id, secret) = kms.access_key();
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(kms.region()))
        .endpoint_url(kms.endpoint())
        .credentials_provider(Credentials::new(id, secret, None, None, "quickstart"))
        .build();
    aws_sdk_kms::Client::from_conf(config)
}

fn figures(made: &Snapshot, took: Duration) -> Value {
    json!({
        "snapshot": made.id.to_string(),
        "seconds": seconds(took),
        "statistics": made.commit.statistics,
    })
}

fn judge(first: &Snapshot, restored: Restored, compared: Compared) -> Result<(), Failure> {
    let (unreadable, failures) = (first.commit.statistics.unreadable, restored.failures);
    if unreadable > 0 {
        return Err(Failure::Partial { count: unreadable, what: "entries", done: "read" });
    }
    if failures > 0 {
        return Err(Failure::Partial { count: failures, what: "entries", done: "restored" });
    }
    if compared.differences > 0 {
        return Err(Failure::Different { count: compared.differences });
    }
    Ok(())
}
