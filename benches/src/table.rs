//! The results as Markdown.

use crate::measure::Usage;

/// What one tool took for the whole job.
#[derive(Debug)]
pub struct Row {
    /// The tool and its version.
    pub tool: String,
    /// The first archive.
    pub first: Usage,
    /// The second archive, of the same tree.
    pub second: Usage,
    /// The bytes stored after the first archive.
    pub stored_bytes: u64,
    /// The bytes that the second archive added.
    pub added_bytes: u64,
    /// The archive of the changed tree and the bytes that it added, if anything was changed.
    pub changed: Option<(Usage, u64)>,
    /// The restore of the whole tree; `None` when what was restored is not equal.
    pub restore: Option<Usage>,
}

/// Writes the rows as a Markdown table, and below it how many times faster the first row's tool is than
/// each other's.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let has_changed = rows.iter().any(|row| row.changed.is_some());
    let mut heads = vec!["", "first archive s (CPU s, peak MB)", "second"];
    heads.extend(has_changed.then_some("changed"));
    heads.extend(["restore", "stored MB", "second adds MB"]);
    heads.extend(has_changed.then_some("changed adds MB"));
    let mut text = line(&heads) + &"|---".repeat(heads.len()) + "|\n";
    for row in rows {
        let mut cells = vec![row.tool.clone(), cell(&row.first), cell(&row.second)];
        let changed = row.changed.as_ref();
        cells.extend(has_changed.then(|| changed.map_or(NONE.into(), |(usage, _)| cell(usage))));
        cells.push(row.restore.as_ref().map_or(UNEQUAL.into(), cell));
        cells.push(format!("{:.1}", megabytes(row.stored_bytes)));
        cells.push(format!("{:.3}", megabytes(row.added_bytes)));
        let added = changed.map(|(_, bytes)| format!("{:.3}", megabytes(*bytes)));
        cells.extend(has_changed.then(|| added.unwrap_or_else(|| NONE.into())));
        text += &line(&cells);
    }
    let Some((ours, others)) = rows.split_first() else { return text };
    for other in others {
        text += &factors(ours, other);
    }
    text
}

/// What was not measured.
const NONE: &str = "–";
const UNEQUAL: &str = "not equal";

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// What one step took, if it was done.
type Step = fn(&Row) -> Option<&Usage>;

fn factors(ours: &Row, other: &Row) -> String {
    let steps: [(&str, Step); 4] = [
        ("first archive", |row| Some(&row.first)),
        ("second", |row| Some(&row.second)),
        ("changed", |row| row.changed.as_ref().map(|(usage, _)| usage)),
        ("restore", |row| row.restore.as_ref()),
    ];
    let factor = |(name, of): &(&str, Step)| {
        let (theirs, our) = (of(other)?.wall.as_secs_f64(), of(ours)?.wall.as_secs_f64());
        Some(format!("{name} {:.2}", theirs / our))
    };
    let factors: Vec<String> = steps.iter().filter_map(factor).collect();
    format!(
        "\n{} is faster than {} by these factors: {}\n",
        ours.tool,
        other.tool,
        factors.join(", ")
    )
}

fn cell(usage: &Usage) -> String {
    let (wall, cpu) = (usage.wall.as_secs_f64(), usage.cpu.as_secs_f64());
    format!("{wall:.2} ({cpu:.2}, {:.0})", megabytes(usage.peak_memory_bytes))
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn row(tool: &str, seconds: u64) -> Row {
        let wall = Duration::from_secs(seconds);
        let usage = Usage { wall, cpu: wall * 2, peak_memory_bytes: 126_000_000 };
        let tool = tool.to_owned();
        let stored_bytes = 264_000_000;
        let (changed, restore) = (Some((usage, 7_000)), Some(usage));
        Row {
            tool,
            first: usage,
            second: usage,
            changed,
            restore,
            stored_bytes,
            added_bytes: 5_000,
        }
    }

    #[test]
    fn the_first_row_is_compared_with_the_others() {
        let text = markdown(&[row("strongroom", 10), row("restic", 25)]);
        assert!(text.contains("| restic | 25.00 (50.00, 126) |"), "{text}");
        assert!(text.contains("| 264.0 | 0.005 | 0.007 |"), "{text}");
        let factors = "faster than restic by these factors: first archive 2.50, second 2.50, changed 2.50, restore 2.50";
        assert!(text.contains(factors), "{text}");
    }

    #[test]
    fn what_was_not_measured_has_no_column_and_no_factor() {
        let mut rows = [row("strongroom", 10), row("restic", 25)];
        rows.iter_mut().for_each(|row| row.changed = None);
        rows[1].restore = None;
        let text = markdown(&rows);
        assert!(!text.contains("changed"), "{text}");
        assert!(text.contains("| not equal | 264.0 | 0.005 |\n"), "{text}");
        assert!(text.ends_with("factors: first archive 2.50, second 2.50\n"), "{text}");
    }
}
