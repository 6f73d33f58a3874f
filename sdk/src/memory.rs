//! Memory for outputs, in huge pages when it is much.
//!
//! The system hands out fresh memory page by page, at its first touch, and a page of 4 KiB takes longer
//! to get than to encrypt. Where huge pages are given to those who ask (`madvise` in
//! `/sys/kernel/mm/transparent_hugepage/enabled`, which is the default of most systems), this asks: then
//! one touch gets 2 MiB. Elsewhere nothing changes.
//!
//! `unsafe`, the only in this crate, is the call of madvise(2) itself.

use zeroize::Zeroize;

/// Shortest memory that is worth asking for, in bytes: it has a whole huge page in it, wherever it begins.
const ASKED_BYTES_MIN: usize = 2 * HUGE_PAGE_BYTES;
/// Bytes in a huge page where the others have 4 KiB.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Makes `bytes` that long; what it holds is going to be written over. Only what is new costs zeros, and
/// an empty vector takes them from the system as they are.
pub(crate) fn resize_for_overwrite(bytes: &mut Vec<u8>, length: usize) {
    if bytes.capacity() < length {
        bytes.zeroize();
        *bytes = zeros(length);
    }
    bytes.resize(length, 0);
}

/// `length` zeros, as the system has them.
fn zeros(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    if length >= ASKED_BYTES_MIN {
        ask_for(&mut bytes);
    }
    bytes
}

/// Asks for the huge pages that lie in `bytes` as a whole. A refusal costs speed and nothing else.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "madvise(2) has no safe form")]
fn ask_for(bytes: &mut [u8]) {
    use rustix::mm::{Advice, madvise};
    let skip = bytes.as_ptr().align_offset(HUGE_PAGE_BYTES);
    let whole = bytes.len().saturating_sub(skip) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if let Some(pages) = bytes.get_mut(skip..skip.saturating_add(whole)) {
        // SAFETY: the pages belong to `bytes`, which is borrowed, and the advice changes nothing that is
        // in them: neither content nor protection, only how they come about.
        let _ = unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), Advice::LinuxHugepage) };
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for(_bytes: &mut [u8]) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of the mapping that holds `address`, as the kernel tells them (proc_pid_smaps(5)).
    #[cfg(target_os = "linux")]
    fn flags_at(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bound = |text| usize::from_str_radix(text, 16).ok();
            if let Some((Some(start), Some(end))) = range.map(|(a, b)| (bound(a), bound(b))) {
                inside = (start..end).contains(&address);
            } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
                return format!("{flags} ");
            }
        }
        panic!("no mapping holds {address:x}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn large_memory_is_asked_for_in_huge_pages_and_small_memory_is_not() {
        if std::fs::metadata("/sys/kernel/mm/transparent_hugepage").is_err() {
            return eprintln!("skipped: this kernel has no huge pages");
        }
        for (length, asked) in [(16 * HUGE_PAGE_BYTES, true), (HUGE_PAGE_BYTES, false)] {
            let bytes = zeros(length);
            let middle = bytes.as_ptr() as usize + length / 2;
            assert_eq!(flags_at(middle).contains(" hg "), asked, "{length}");
        }
    }

    #[test]
    fn zeros_are_zeros_of_any_length() {
        for length in [0, 1, ASKED_BYTES_MIN - 1, ASKED_BYTES_MIN, 3 * ASKED_BYTES_MIN + 1] {
            let bytes = zeros(length);
            assert_eq!(bytes.len(), length);
            assert!(bytes.iter().all(|byte| *byte == 0), "{length}");
        }
    }
}
