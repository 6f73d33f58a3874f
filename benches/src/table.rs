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
    /// The restore of the whole tree.
    pub restore: Usage,
    /// The bytes stored after the first archive.
    pub stored_bytes: u64,
    /// The bytes that the second archive added.
    pub added_bytes: u64,
}

/// Writes the rows as a Markdown table, and below it how many times faster the first row's tool is than
/// each other's.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| | first archive s (CPU s, peak MB) | second s (CPU s, peak MB) | restore s (CPU s, peak MB) | stored MB | second adds MB |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        text += &format!(
            "| {} | {} | {} | {} | {:.1} | {:.3} |\n",
            row.tool,
            cell(&row.first),
            cell(&row.second),
            cell(&row.restore),
            megabytes(row.stored_bytes),
            megabytes(row.added_bytes),
        );
    }
    let Some((ours, others)) = rows.split_first() else { return text };
    for other in others {
        let times =
            |of: fn(&Row) -> &Usage| of(other).wall.as_secs_f64() / of(ours).wall.as_secs_f64();
        text += &format!(
            "\n{} is faster than {} by these factors: first archive {:.2}, second {:.2}, restore {:.2}\n",
            ours.tool,
            other.tool,
            times(|row| &row.first),
            times(|row| &row.second),
            times(|row| &row.restore),
        );
    }
    text
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
        Row { tool, first: usage, second: usage, restore: usage, stored_bytes, added_bytes: 5_000 }
    }

    #[test]
    fn the_first_row_is_compared_with_the_others() {
        let text = markdown(&[row("strongroom", 10), row("restic", 25)]);
        assert!(text.contains("| restic | 25.00 (50.00, 126) |"), "{text}");
        assert!(text.contains("| 264.0 | 0.005 |"), "{text}");
        assert!(text.contains("faster than restic by these factors: first archive 2.50"), "{text}");
    }
}
