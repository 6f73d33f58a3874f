//! What a long command says while it runs: a progress bar, and entries that went wrong.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use strongroom::control::{Control, Observer, Progress};
use strongroom::entry::EntryPath;
use strongroom::id::ObjectId;
use strongroom::repair::Loss;
use strongroom::source::Trouble;

use super::output::{Output, complain, path_members, path_text, printable};

/// Most entries that are listed in a JSON document; all are counted, and named on standard error.
pub(super) const TROUBLES_LISTED_MAX: usize = 1000;

/// How often the progress bar is drawn anew.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// One command under way: its control, its bar, its complaints.
pub(super) struct Report {
    /// What the library is handed.
    pub(super) control: Control,
    reporter: Arc<Reporter>,
    started: Instant,
    /// Ends the tasks that draw and listen for signals.
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct Reporter {
    bar: ProgressBar,
    verbose: bool,
    listed: Mutex<Vec<Value>>,
    changed: AtomicU64,
}

impl Report {
    /// Starts to report; an interrupt from the keyboard, or `SIGTERM`, stops the operation cleanly,
    /// a second one ends the process at once.
    pub(super) fn start(output: &Output, verb: &'static str) -> Self {
        let bar = ProgressBar::no_length();
        if !output.shows_progress() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_message(verb);
        let reporter = Arc::new(Reporter {
            bar,
            verbose: output.is_verbose(),
            listed: Mutex::default(),
            changed: AtomicU64::new(0),
        });
        let control = Control::new(reporter.clone());
        let mut tasks = vec![tokio::spawn(stop_on_signal(control.clone()))];
        if output.shows_progress() {
            tasks.push(tokio::spawn(draw(reporter.clone(), control.progress.clone())));
        }
        Self { control, reporter, started: Instant::now(), tasks }
    }

    /// Says something on standard error without disturbing the bar.
    pub(super) fn say(&self, text: &str) {
        self.reporter.say(text);
    }

    /// Ends the bar and answers how long the operation took.
    pub(super) fn finish(&self) -> Duration {
        self.reporter.bar.finish_and_clear();
        self.started.elapsed()
    }

    /// The entries that went wrong, as far as they are listed.
    pub(super) fn troubles(&self) -> Value {
        Value::Array(self.reporter.listed.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.reporter.bar.finish_and_clear();
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Reporter {
    fn say(&self, text: &str) {
        self.bar.suspend(|| complain(text));
    }

    fn list(&self, kind: &str, path: &[u8], reason: String) {
        let mut members = path_members(path);
        if let Value::Object(members) = &mut members {
            members.insert("kind".to_owned(), kind.into());
            members.insert("reason".to_owned(), reason.into());
        }
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.len() < TROUBLES_LISTED_MAX {
            listed.push(members);
        }
    }
}

impl Observer for Reporter {
    fn trouble(&self, trouble: &Trouble) {
        self.say(&format!("strongroom: {}", printable(&trouble.to_string())));
        self.list("failed", &trouble.path, format!("cannot {}: {}", trouble.action, trouble.error));
    }

    fn skipped(&self, trouble: &Trouble) {
        if self.verbose {
            let (path, reason) = (path_text(&trouble.path), &trouble.error);
            self.say(&format!("strongroom: left out {path}: {reason}"));
        }
    }

    fn changed(&self, path: &EntryPath) {
        self.changed.fetch_add(1, Ordering::Relaxed);
        let path = path.as_bytes();
        self.say(&format!("strongroom: {} changed while it was read", path_text(path)));
        self.list("changed", path, "it changed while it was read".to_owned());
    }

    fn awaiting(&self, session: ObjectId, host: Option<&str>) {
        let host = host.map(|host| format!(" on {}", printable(host))).unwrap_or_default();
        self.say(&format!("strongroom: waiting for the archive {session}{host} to end"));
    }

    fn lost(&self, snapshot: ObjectId, loss: &Loss) {
        match loss {
            Loss::File(path) => {
                let text = path_text(path.as_bytes());
                self.say(&format!("strongroom: {snapshot} lacks content of {text}"));
                self.list("lost", path.as_bytes(), format!("{snapshot} lacks content of it"));
            }
            Loss::Entries { count, last, error } => {
                let before = last.as_ref().map(|last| path_text(last.as_bytes()));
                let end = before.map(|path| format!(" up to {path}")).unwrap_or_default();
                let told = format!("{snapshot} lacks {count} entries{end}: {error}");
                self.say(&format!("strongroom: {}", printable(&told)));
                let path = last.as_ref().map_or(&b""[..], EntryPath::as_bytes);
                self.list("lost", path, told);
            }
            _ => {}
        }
    }

    fn parent_unreadable(&self, error: &strongroom::Error) {
        self.say(&format!("strongroom: every file is read again, because {error}"));
    }
}

async fn draw(reporter: Arc<Reporter>, progress: Arc<Progress>) {
    let known = "{msg} {bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {prefix} {eta}";
    let unknown = "{msg} {spinner} {decimal_bytes} {decimal_bytes_per_sec} {prefix} {elapsed}";
    let style =
        |text| ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_bar());
    let (known, unknown) = (style(known), style(unknown));
    loop {
        let total = progress.bytes_total.load(Ordering::Relaxed);
        if total > 0 {
            reporter.bar.set_length(total);
            reporter.bar.set_style(known.clone());
        } else {
            reporter.bar.set_style(unknown.clone());
        }
        let entries = progress.entries.load(Ordering::Relaxed);
        reporter.bar.set_prefix(format!("{} entries", indicatif::HumanCount(entries)));
        reporter.bar.set_position(progress.bytes.load(Ordering::Relaxed));
        tokio::time::sleep(REDRAW_EVERY).await;
    }
}

async fn stop_on_signal(control: Control) {
    let Ok(()) = signalled().await else { return };
    control.stop();
    complain("strongroom: stopping; once more to stop at once");
    if signalled().await.is_ok() {
        // Whatever state the store is in is harmless; see the order of its operations.
        std::process::exit(130);
    }
}

async fn signalled() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// A duration and what was done in it, for people and for programs.
pub(super) fn seconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Bytes for each second, for people.
pub(super) fn speed(bytes: u64, elapsed: Duration) -> String {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a figure to look at"
    )]
    let rate = (bytes as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    format!("{}/s", indicatif::DecimalBytes(rate))
}
