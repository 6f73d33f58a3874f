//! The results as Markdown.

use std::fmt;

use super::drive::Measured;
use super::operation::Operation;

/// Every figure of a run.
#[derive(Debug, Default)]
pub struct Tables {
    pub(super) rows: Vec<Row>,
    pub(super) half_load: Vec<HalfLoad>,
    /// Peers that are not installed.
    pub(super) absent: Vec<String>,
}

/// One operation over one number of connections, by server: the bare one first, ours second.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) operation: Operation,
    pub(super) connections: usize,
    pub(super) cells: Vec<(String, Option<Measured>)>,
}

/// Ours at half of what it can do.
#[derive(Debug)]
pub(super) struct HalfLoad {
    pub(super) operation: Operation,
    pub(super) connections: usize,
    pub(super) measured: Measured,
}

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(row) = self.rows.first() {
            head(f, row)?;
        }
        for row in &self.rows {
            row.write(f)?;
        }
        writeln!(
            f,
            "\nEach cell: replies a second (median / 99th percentile in ms; server's processor time in µs)."
        )?;
        writeln!(f, "\n| at half load | connections | replies a second | median ms | p99 ms |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for HalfLoad { operation, connections, measured } in &self.half_load {
            let (title, rate) = (operation.title(), measured.per_second);
            let (median, p99) = (millis(measured.median), millis(measured.p99));
            writeln!(f, "| {title} | {connections} | {rate:.0} | {median} | {p99} |")?;
        }
        for sentence in &self.absent {
            writeln!(f, "\nLeft out: {sentence}")?;
        }
        Ok(())
    }
}

fn head(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    write!(f, "| | connections |")?;
    for (name, _) in &row.cells {
        write!(f, " {name} |")?;
    }
    for (index, (name, _)) in row.cells.iter().enumerate() {
        match index {
            0 => write!(f, " ours / bare |")?,
            1 => {}
            _ => write!(f, " ours / {name} |")?,
        }
    }
    writeln!(f, "\n|---|---|{}", "---|".repeat(row.cells.len() * 2 - 1))
}

impl Row {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} |", self.operation.title(), self.connections)?;
        for (_, measured) in &self.cells {
            match measured {
                None => write!(f, " – |")?,
                Some(measured) => write!(
                    f,
                    " {:.0} ({} / {}; {}) |",
                    measured.per_second,
                    millis(measured.median),
                    millis(measured.p99),
                    measured.processor.as_micros()
                )?,
            }
        }
        let rates: Vec<Option<f64>> = self
            .cells
            .iter()
            .map(|(_, measured)| measured.map(|measured| measured.per_second))
            .collect();
        let ours = rates.get(1).copied().flatten();
        for (index, rate) in rates.iter().enumerate().filter(|(index, _)| *index != 1) {
            match (ours, rate) {
                (Some(ours), Some(rate)) if index == 0 => write!(f, " {:.2} |", ours / rate)?,
                (Some(ours), Some(rate)) => write!(f, " {:.1} |", ours / rate)?,
                _ => write!(f, " – |")?,
            }
        }
        writeln!(f)
    }
}

fn millis(duration: std::time::Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ours_is_set_beside_each_other() {
        let measured = |per_second: f64| Measured {
            per_second,
            median: Duration::from_micros(150),
            p99: Duration::from_millis(2),
            processor: Duration::from_micros(20),
        };
        let cells = vec![
            ("bare hyper".to_owned(), Some(measured(50_000.0))),
            ("strongroom-kms".to_owned(), Some(measured(30_000.0))),
            ("moto".to_owned(), Some(measured(100.0))),
            ("local-kms".to_owned(), None),
        ];
        let row = Row { operation: Operation::Decrypt, connections: 4, cells };
        let tables = Tables { rows: vec![row], ..Tables::default() };
        let text = tables.to_string();
        assert!(text.contains("| 30000 (0.15 / 2.00; 20) |"), "{text}");
        assert!(text.contains("| – | 0.60 | 300.0 | – |\n"), "{text}");
    }
}
