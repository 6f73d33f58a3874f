//! The table of exit codes.

/// Everything was done.
pub(super) const SUCCESS: u8 = 0;
/// The options make no sense.
pub(super) const USAGE: u8 = 2;

/// One line of the table of exit codes.
pub(super) struct Code {
    pub(super) code: u8,
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    /// What to do about it, unless the failure itself knows better.
    pub(super) next: &'static str,
}

const fn code(code: u8, name: &'static str, meaning: &'static str, next: &'static str) -> Code {
    Code { code, name, meaning, next }
}

pub(super) const LOCAL: Code = code(
    1,
    "local",
    "this machine failed: memory, disk, cache",
    "see whether the disk is full; the cache may be deleted at any time",
);
pub(super) const BAD_USE: Code = code(
    USAGE,
    "usage",
    "wrong options or arguments",
    "`strongroom help` and `strongroom COMMAND --help` show what is possible",
);
pub(super) const PARTIAL: Code = code(
    3,
    "partial",
    "finished, but some entries could not be read or restored in full",
    "see the entries named above; everything else is done",
);
pub(super) const LOCATION: Code = code(
    10,
    "location",
    "no such location, or it is not an archival location",
    "`strongroom location list` shows the locations that are known here",
);
pub(super) const STORE_UNREACHABLE: Code = code(
    11,
    "store-unreachable",
    "the store is out of reach or failing",
    "see whether the endpoint is right and the server runs; then run the command again",
);
pub(super) const KEY_DENIED: Code = code(
    12,
    "key-denied",
    "the KMS denies the key to these credentials",
    "allow kms:DescribeKey, kms:GenerateDataKey and kms:Decrypt in the key's policy, or use other credentials",
);
pub(super) const INTEGRITY: Code = code(
    13,
    "integrity",
    "stored data is damaged or missing",
    "`strongroom check --read-data` names every damaged object; other snapshots and files are not affected",
);
pub(super) const STORE_DENIED: Code = code(
    14,
    "store-denied",
    "the store denies access to these credentials",
    "see whether AWS_ACCESS_KEY_ID or the profile belongs to this store and may get, put, list and delete",
);
pub(super) const STORE_MISSING: Code = code(
    15,
    "store-missing",
    "the bucket or folder does not exist",
    "create the bucket, or correct the URL",
);
pub(super) const KMS_UNREACHABLE: Code = code(
    16,
    "kms-unreachable",
    "the KMS is out of reach, or no credentials for it were found",
    "see whether --kms-endpoint is right and the KMS runs, and whether AWS credentials are set",
);
pub(super) const KEY_UNKNOWN: Code = code(
    17,
    "key-unknown",
    "the KMS knows no such key or alias",
    "see whether the key's name, its Region and its account are right",
);
pub(super) const KEY_UNUSABLE: Code = code(
    18,
    "key-unusable",
    "the key exists and cannot be used now: disabled, to be deleted, its key store not connected",
    "enable the key, cancel its deletion, or connect its custom key store; then run the command again",
);
pub(super) const KEY_WRONG: Code = code(
    19,
    "key-wrong",
    "the location or the message was made with another key",
    "name the key that it was made with; `strongroom decrypt --metadata-output` shows a message's keys",
);
pub(super) const SNAPSHOT: Code = code(
    20,
    "snapshot",
    "no such snapshot, or no such path in it",
    "`strongroom snapshots` and `strongroom ls` show what is there",
);
pub(super) const FILES: Code = code(
    21,
    "files",
    "a path to archive or to restore into cannot be opened",
    "see whether the path is right and may be accessed",
);
pub(super) const REFUSED: Code = code(
    22,
    "refused",
    "a message is not one that the options accept: suite, signature, encryption context, limits",
    "see the options by which the message was refused; nothing of it was released",
);
pub(super) const EXISTS: Code = code(
    23,
    "exists",
    "an output file exists already",
    "add --overwrite to replace it, --interactive to be asked, or --no-overwrite to leave it alone",
);
pub(super) const SOURCE: Code = code(
    24,
    "source",
    "the program or the pipe whose bytes were archived failed; nothing was committed",
    "see what the program said, and archive again when it succeeds",
);
pub(super) const CONCURRENCY: Code = code(
    25,
    "concurrency",
    "archives and collections got in each other's way; nothing is lost",
    "run the command again",
);
pub(super) const STOPPED: Code = code(
    130,
    "stopped",
    "interrupted; nothing was committed, nothing is lost",
    "run the command again: what was stored already is found and not sent again",
);

const CODES: [&Code; 20] = [
    &LOCAL,
    &BAD_USE,
    &PARTIAL,
    &LOCATION,
    &STORE_UNREACHABLE,
    &KEY_DENIED,
    &INTEGRITY,
    &STORE_DENIED,
    &STORE_MISSING,
    &KMS_UNREACHABLE,
    &KEY_UNKNOWN,
    &KEY_UNUSABLE,
    &KEY_WRONG,
    &SNAPSHOT,
    &FILES,
    &REFUSED,
    &EXISTS,
    &SOURCE,
    &CONCURRENCY,
    &STOPPED,
];

/// The table of exit codes for `--help`.
pub(super) fn table() -> String {
    let mut text = "Exit codes:\n    0  everything was done\n".to_owned();
    for code in CODES {
        text.push_str(&format!("  {:>3}  {}\n", code.code, code.meaning));
    }
    text.push_str("  141  the reader of standard output went away\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_all_in_the_help() {
        let table = table();
        for (number, code) in CODES.iter().enumerate() {
            assert!(table.contains(code.meaning));
            assert!(CODES.iter().skip(number + 1).all(|other| other.code != code.code));
            assert!(!code.next.is_empty() && !code.name.is_empty());
        }
    }
}
