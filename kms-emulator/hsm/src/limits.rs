//! Every quantity that comes from outside has its bound here, with the unit last.

/// Longest frame of the client and management protocol, header excluded, in bytes.
///
/// Room for the largest command: 64 KiB of authenticated data, a plaintext, and the fixed fields.
pub const FRAME_BYTES_MAX: usize = AAD_BYTES_MAX + MESSAGE_BYTES_MAX + 2_048;

/// Longest frame of the provider's control channel, in bytes: a full backup and its header.
pub const CONTROL_FRAME_BYTES_MAX: usize = BACKUP_BYTES_MAX + 4_096;

/// Longest authenticated (not encrypted) data of one cryptographic command, in bytes.
pub const AAD_BYTES_MAX: usize = 65_536;

/// Longest plaintext of one cryptographic command, in bytes: 4,096 of a KMS caller and a margin
/// for what a key store adds.
pub const PLAINTEXT_BYTES_MAX: usize = 4_096 + 256;

/// Longest sealed message, in bytes: the longest plaintext with nonce, IV and tag.
pub const MESSAGE_BYTES_MAX: usize = PLAINTEXT_BYTES_MAX + 64;

/// Most random bytes that one command returns.
pub const RANDOM_BYTES_MAX: usize = 4_096;

/// Longest user name, in bytes (CloudHSM user guide, *createUser*).
pub const USER_NAME_BYTES_MAX: usize = 31;

/// Shortest password that a user may be given, in bytes.
pub const PASSWORD_BYTES_MIN: usize = 7;

/// Longest password that a user may be given, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 32;

/// Longest key label, in bytes.
pub const LABEL_BYTES_MAX: usize = 127;

/// Most users on one HSM (CloudHSM quota).
pub const USERS_MAX: usize = 1_024;

/// Most keys on one HSM (CloudHSM quota).
pub const KEYS_MAX: usize = 3_300;

/// Most users with whom one key is shared.
pub const KEY_SHARES_MAX: usize = USERS_MAX;

/// Most sessions open on one HSM (CloudHSM quota: PKCS#11 sessions).
pub const SESSIONS_MAX: usize = 1_024;

/// Most network connections that the server of one HSM holds (CloudHSM quota: client connections).
pub const CONNECTIONS_MAX: usize = 900;

/// Failed logins after which a user is locked out on this HSM.
pub const LOGIN_FAILURES_MAX: u32 = 5;

/// Fewest PBKDF2 iterations that a device accepts in its configuration (SP 800-132, 5.2).
pub const PBKDF2_ITERATIONS_MIN: u32 = 1_000;

/// Most officers that an operation can need (CloudHSM user guide, *quorum authentication*).
pub const QUORUM_VALUE_MAX: u8 = 8;

/// Most approvals of one quorum token.
pub const QUORUM_APPROVALS_MAX: usize = 20;

/// Most quorum tokens that one HSM keeps (CloudHSM user guide, *quorum authentication*).
pub const QUORUM_TOKENS_MAX: usize = 1_024;

/// Most quorum tokens that one answer lists, the newest: those fit into a frame.
pub const QUORUM_TOKENS_LISTED_MAX: usize = 80;

/// Time for which a quorum token is good, in seconds, where an officer has set no other: to be approved, and once it is
/// to be used.
pub const QUORUM_TOKEN_SECONDS: u32 = 600;

/// Longest such time that an officer can set, in seconds: a day.
pub const QUORUM_TOKEN_SECONDS_MAX: u32 = 86_400;

/// Longest quorum token, in bytes.
pub const QUORUM_TOKEN_BYTES_MAX: usize = 512;

/// Longest file of quorum tokens, in bytes: one of each HSM of a cluster.
pub const QUORUM_FILE_BYTES_MAX: usize = CLUSTER_MEMBERS_MAX * (QUORUM_TOKEN_BYTES_MAX + 4) + 4;

/// Longest registration token, in bytes (CloudHSM user guide, *registerQuorumPubKey*).
pub const REGISTRATION_TOKEN_BYTES_MAX: usize = 245;

/// Longest masked object, in bytes.
pub const MASKED_BYTES_MAX: usize = 8_192;

/// Longest backup, in bytes: a full device (users, keys, shares) stays well below.
pub const BACKUP_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Longest PEM document (certificate, CSR), in bytes.
pub const PEM_BYTES_MAX: usize = 16_384;

/// Longest DER subject public key of a second factor, in bytes.
pub const PUBLIC_KEY_BYTES_MAX: usize = 1_024;

/// Longest signature over a second-factor challenge, in bytes.
pub const SIGNATURE_BYTES_MAX: usize = 1_024;

/// Longest short text field (identifier, address, detail), in bytes.
pub const TEXT_BYTES_MAX: usize = 256;

/// Most members of a cluster (CloudHSM quota: 28 HSMs).
pub const CLUSTER_MEMBERS_MAX: usize = 28;

/// Longest token of a fleet key, in bytes: an RSA-4096 pair in PKCS #8 takes 2.4 KB.
pub const TOKEN_BYTES_MAX: usize = 4_096;

/// Longest wrapped key material of an import, in bytes: an RSA-4096 pair in PKCS #8 takes 3 KB.
pub const IMPORT_BYTES_MAX: usize = 6_144;

/// Most unwrapped working keys that a fleet device keeps; beyond, the older half is zeroised.
pub const WORKING_KEYS_MAX: usize = 8_192;

/// Longest piece of audit log that one control call returns, in bytes.
pub const AUDIT_BYTES_MAX: usize = 1_024 * 1_024;

/// Size at which the audit log of a device starts a new file, in bytes; one old file is kept.
pub const AUDIT_FILE_BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// Time for a TLS handshake, in seconds.
pub const HANDSHAKE_SECONDS_MAX: u64 = 10;

/// Time that a client waits for one answer, in seconds (password derivation is the slowest).
pub const ANSWER_SECONDS_MAX: u64 = 30;

/// Time that a provider waits for an answer that takes no work, in seconds: beyond, the device hangs.
pub const STATUS_SECONDS_MAX: u64 = 3;

/// Longest that an operator may delay each answer of a device, in milliseconds.
pub const DELAY_MILLIS_MAX: u32 = 60_000;

/// Commands that one client connection may have under way.
pub const COMMANDS_IN_FLIGHT_MAX: usize = 256;
