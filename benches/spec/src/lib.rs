//! Which clauses of the specification the SDK cites: where it implements them, and where it tests them.
//!
//! A clause is a sentence with a key word of RFC 2119. The checkout holds no sentence of the specification but those
//! that are quoted where they are implemented: a table has the place, the level and a hash of each. A
//! citation is two lines or more above the code that it is about:
//!
//! ```text
//! //= data-format/message-header.md#frame-length
//! //= type=test                                     only where it is tested, not implemented
//! //# When the content type is non-framed, the value of this field MUST be 0.
//! ```
//! It counts when its hash is in the table under its place, so that a misquote cannot pass.
//!
//! | module | subject |
//! |---|---|
//! | [`markdown`] | the sentences of a chapter, each under the anchor of its heading |
//! | [`clause`] | which of them are clauses, and the table of those |
//! | [`citation`] | the citations in source code |
//! | [`coverage`] | the two together, and the exceptions; what is counted |

pub mod citation;
pub mod clause;
pub mod coverage;
pub mod markdown;

mod error;

pub use error::SpecError;
