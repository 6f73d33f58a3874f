//! What a running process has taken so far, by proc(5).

use std::path::PathBuf;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;

use crate::BenchError;

/// The name, which may have spaces, stands in parentheses before the fields that are counted here.
const USER_TICKS_FIELD: usize = 11;

/// Processor time of all threads, in user and kernel mode.
///
/// # Errors
/// [`BenchError::File`] if there is no such process.
pub(super) fn processor_time(id: u32) -> Result<Duration, BenchError> {
    let text = read(id, "stat")?;
    let fields: Vec<&str> =
        text.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<u32>().ok());
    let user = ticks(USER_TICKS_FIELD).unwrap_or_default();
    let kernel = ticks(USER_TICKS_FIELD + 1).unwrap_or_default();
    let seconds = f64::from(user) + f64::from(kernel);
    #[expect(clippy::cast_precision_loss, reason = "a hundred or a thousand")]
    let per_second = clock_ticks_per_second() as f64;
    Ok(Duration::from_secs_f64(seconds / per_second))
}

/// Resident memory, now and at its most, in bytes.
///
/// # Errors
/// [`BenchError::File`] if there is no such process.
pub(super) fn resident_bytes(id: u32) -> Result<(u64, u64), BenchError> {
    let text = read(id, "status")?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (now, most) = (of("VmRSS:").unwrap_or_default(), of("VmHWM:").unwrap_or_default());
    Ok((now * 1024, most * 1024))
}

fn read(id: u32, name: &str) -> Result<String, BenchError> {
    let path = PathBuf::from(format!("/proc/{id}/{name}"));
    std::fs::read_to_string(&path).map_err(BenchError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_those_of_the_process() {
        let id = std::process::id();
        let (before, _) = resident_bytes(id).unwrap();
        let memory = vec![1_u8; 64 << 20];
        let (after, most) = resident_bytes(id).unwrap();
        assert!(after >= before + (60 << 20) && most >= after, "{before} {after} {most}");
        let started = processor_time(id).unwrap();
        while processor_time(id).unwrap() < started + Duration::from_millis(50) {
            std::hint::black_box(memory.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
    }
}
