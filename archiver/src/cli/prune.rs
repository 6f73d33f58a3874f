//! `strongroom prune`: removes what no snapshot needs any more.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use strongroom::location::Location;
use strongroom::prune::{PruneOptions, Pruned, prune};

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, bytes_text, counted};
use super::quantity;
use super::report::{Report, seconds};

/// How to collect.
#[derive(Args)]
#[command(after_help = "\
Archives may run meanwhile, on any number of hosts: packs are condemned first, archives that had
begun before are waited for, and only then is anything removed. An archive that gives no sign of
life for --dead-after is fenced: it cannot commit any more. Interrupted at whatever moment, the
location stays whole, and the next prune goes on from there.

Examples:
  strongroom prune --dry-run
  strongroom prune --max-unused 10% --max-repack 20GiB
  strongroom prune --max-wait 1h --json")]
pub(super) struct Arguments {
    #[command(flatten)]
    location: LocationArguments,
    /// Say what would be removed, and remove nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// How much of the packs may be unneeded before some are repacked.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = permille)]
    max_unused: u32,
    /// Repack no more than so many bytes of packs; what is left is for the next prune.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_repack: Option<u64>,
    #[command(flatten)]
    others: OthersArguments,
}

/// What to do about archives that are under way.
#[derive(Args)]
pub(super) struct OthersArguments {
    /// Take an archive for dead that has given no sign of life for so long, by the store's clock.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    dead_after: Duration,
    /// Wait no longer than this for archives under way; run the same again to go on.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_wait: Option<Duration>,
    /// Promise that nobody else uses the location now: for stores that ignore create-if-absent.
    #[arg(long)]
    exclusive: bool,
}

impl OthersArguments {
    /// How to collect, as far as this says it.
    pub(super) fn options(&self, location: &Location, output: &Output) -> PruneOptions {
        if !location.format().capabilities.create_if_absent && self.exclusive {
            output.note(
                "strongroom: warning: this store ignores create-if-absent: an archive that runs now, or \
                 wakes up later, can be left without its data",
            );
        }
        PruneOptions {
            dead_after: self.dead_after,
            wait_max: self.max_wait,
            exclusive: self.exclusive,
            ..PruneOptions::default()
        }
    }
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let location = arguments.location.open(global).await?;
    let report = Report::start(output, "collecting");
    let options = PruneOptions {
        dry_run: arguments.dry_run,
        unused_max_permille: arguments.max_unused,
        repack_bytes_max: arguments.max_repack,
        ..arguments.others.options(&location, output)
    };
    let pruned = prune(&location, &options, &report.control).await?;
    tell(&pruned, arguments.dry_run, &report, output)
}

fn tell(pruned: &Pruned, dry_run: bool, report: &Report, output: &Output) -> Result<(), Failure> {
    let elapsed = report.finish();
    let would = if dry_run { "would have " } else { "" };
    let human = format!(
        "{would}removed {}, {}: {} of them repacked, {} copied\n  {} stay for {}: {}, of which about {} unneeded\n  {} spared, {} removed, {} awaited, {} fenced: {:.1} s",
        counted(pruned.packs_removed, "pack"),
        bytes_text(pruned.bytes_removed),
        pruned.packs_repacked,
        bytes_text(pruned.bytes_copied),
        counted(pruned.packs_kept, "pack"),
        counted(pruned.snapshots, "snapshot"),
        bytes_text(pruned.bytes_kept),
        bytes_text(pruned.bytes_unused),
        counted(pruned.packs_spared, "pack"),
        counted(pruned.runs_removed, "index run"),
        counted(pruned.writers_awaited, "archive"),
        counted(pruned.writers_fenced, "archive"),
        elapsed.as_secs_f64(),
    );
    output.summary(
        &human,
        || json!({ "dry_run": dry_run, "seconds": seconds(elapsed), "pruned": pruned }),
    )
}

/// A share such as `5%` or `0.5%`, in thousandths.
fn permille(text: &str) -> Result<u32, String> {
    let malformed = || "it is no share such as 5% or 0.5%".to_owned();
    let (whole, tenth) = {
        let number = text.strip_suffix('%').ok_or_else(malformed)?;
        number.split_once('.').unwrap_or((number, "0"))
    };
    let digits = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<u32>().ok()).flatten().ok_or_else(malformed)
    };
    let tenths = if tenth.len() == 1 { digits(tenth)? } else { return Err(malformed()) };
    let permille = digits(whole)?.checked_mul(10).map(|whole| whole + tenths);
    permille.filter(|permille| *permille <= 1000).ok_or_else(|| "it is more than all".to_owned())
}

/// A time such as `90s`, `15m`, `2h` or `1d`.
fn duration(text: &str) -> Result<Duration, String> {
    let malformed = || "it is no time such as 90s, 15m, 2h or 1d".to_owned();
    let unit = text.chars().last().ok_or_else(malformed)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(malformed()),
    };
    let digits = text.strip_suffix(unit).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    let number: u64 = digits.parse().map_err(|_| "it is too long".to_owned())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "it is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_per_cent_with_at_most_one_decimal() {
        for (text, share) in [("0%", 0), ("5%", 50), ("0.5%", 5), ("12.3%", 123), ("100%", 1000)] {
            assert_eq!(permille(text), Ok(share), "{text}");
        }
        for bad in ["", "5", "%", ".5%", "5.%", "0.05%", "-1%", "100.1%", "99999999999%", "5 %"] {
            assert!(permille(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_have_one_unit() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "15", "1h30m", "-1s", "1.5h", "1w", "15µ", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert!(duration(&format!("{}d", u64::MAX)).is_err());
    }
}
