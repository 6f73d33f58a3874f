//! The pattern language of policies: `*` is any text, `?` any one character.

/// Whether all of `text` matches `pattern`. Time at most the product of their lengths, no recursion.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut text_rest = text.chars();
    let mut pattern_rest = pattern.chars();
    // Where to go on if the text after the last `*` does not match: the pattern behind that `*`, and
    // the text from which the `*` swallows one more character.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let before = text_rest.clone();
        match (pattern_rest.next(), text_rest.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                text_rest = before;
                retry = Some((pattern_rest.clone(), text_rest.clone()));
                continue;
            }
            (Some('?'), Some(_)) => continue,
            (Some(wanted), Some(found)) if wanted == found => continue,
            _ => {}
        }
        let Some((after_star, swallowed)) = retry.as_mut() else { return false };
        if swallowed.next().is_none() {
            return false;
        }
        pattern_rest = after_star.clone();
        text_rest = swallowed.clone();
    }
}

/// The same without regard to the case of ASCII letters, as action names are compared.
pub(super) fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    pattern.eq_ignore_ascii_case(text)
        || (pattern.contains(['*', '?'])
            && matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, exponential and obvious.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            (['?', rest @ ..], [_, tail @ ..]) => naive(rest, tail),
            ([wanted, rest @ ..], [found, tail @ ..]) => wanted == found && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab?*]{0,8}", text in "[ab]{0,8}") {
            let characters: Vec<char> = pattern.chars().collect();
            let wanted = naive(&characters, &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(matches(&pattern, &text), wanted);
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
    }

    #[test]
    fn actions_ignore_case() {
        assert!(matches_ignoring_case(
            "KMS:generatedatakey*",
            "kms:GenerateDataKeyWithoutPlaintext"
        ));
        assert!(!matches_ignoring_case("kms:Encrypt", "kms:Decrypt"));
    }
}
