//! The one user whom every server that is started here knows.
//!
//! A client takes one pair of credentials from its environment, for the store and for the KMS alike.
//! They guard nothing but a test's own data.

/// The access key id, of the length that all servers accept.
pub const ACCESS_KEY: &str = "AKIASTRONGROOMTEST00";
/// The secret that belongs to [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "strongroom/guards/nothing/but/tests+0000";
/// The Region that requests are signed for.
pub const REGION: &str = "us-east-1";
