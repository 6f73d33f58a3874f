//! `NAME=VALUE`, the form in which options take several named values.

/// An argument that is not `NAME=VALUE` with both there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not of the form NAME=VALUE")]
pub(crate) struct NotAPair(pub(crate) String);

/// Splits at the first `=`; neither side may be empty.
pub(super) fn parse(argument: &str) -> Result<(&str, &str), NotAPair> {
    match argument.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name, value)),
        _ => Err(NotAPair(argument.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_two_sides_and_its_value_may_have_more_signs() {
        assert_eq!(parse("key=a=b"), Ok(("key", "a=b")));
        for bad in ["", "=", "key", "key=", "=value"] {
            assert_eq!(parse(bad), Err(NotAPair(bad.to_owned())));
        }
    }
}
