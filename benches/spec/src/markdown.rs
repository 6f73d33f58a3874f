//! The sentences of a chapter, each under the anchor of its heading.

use std::collections::HashMap;

/// One sentence, in the form in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The anchor of the heading above it, as GitHub makes it.
    pub anchor: String,
    /// Its words, without marks of Markdown.
    pub text: String,
}

/// The sentences of `chapter`, in their order.
///
/// Headings, tables and code are left out. An item of a list ends the sentence before it.
#[must_use]
pub fn sentences(chapter: &str) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut anchors = Anchors::default();
    let mut anchor = String::new();
    let mut block = String::new();
    let mut in_code = false;
    let mut flush = |block: &mut String, anchor: &str| {
        let texts = split(&plain(&std::mem::take(block)));
        found.extend(texts.into_iter().map(|text| Sentence { anchor: anchor.to_owned(), text }));
    };
    for line in chapter.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            in_code = !in_code;
            flush(&mut block, &anchor);
        } else if in_code || trimmed.starts_with('|') || trimmed.starts_with("[//]:") {
            flush(&mut block, &anchor);
        } else if let Some(heading) = heading(trimmed) {
            flush(&mut block, &anchor);
            anchor = anchors.of(heading);
        } else if let Some(item) = list_item(trimmed) {
            flush(&mut block, &anchor);
            block.push_str(item);
        } else if trimmed.is_empty() {
            flush(&mut block, &anchor);
        } else {
            block.push(' ');
            block.push_str(trimmed);
        }
    }
    flush(&mut block, &anchor);
    found
}

/// `text` without links, quotes of code, emphasis and repeated spaces, and with straight apostrophes.
#[must_use]
pub fn plain(text: &str) -> String {
    let unlinked = without_links(text);
    let unmarked: String = unlinked.chars().filter(|c| !matches!(c, '`' | '*')).collect();
    let unmarked = unmarked.replace('\u{2019}', "'");
    unmarked.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    (text.len() < line.len() && text.starts_with(' ')).then(|| text.trim())
}

/// What follows the mark of a list item: `-`, `*`, or a number and a full stop.
fn list_item(line: &str) -> Option<&str> {
    let bullet = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "));
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    bullet.or_else(|| (digits > 0).then(|| line.get(digits..)?.strip_prefix(". ")).flatten())
}

/// Replaces `[text](target)` by `text`.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        let link = after.split_once("](").and_then(|(label, after)| {
            let (_target, after) = after.split_once(')')?;
            (!label.contains('[')).then_some((label, after))
        });
        match link {
            Some((label, after)) => {
                out.push_str(label);
                rest = after;
            }
            None => {
                out.push('[');
                rest = after;
            }
        }
    }
    out + rest
}

/// Splits after a full stop that a new beginning follows.
fn split(block: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut current = String::new();
    for word in block.split(' ').filter(|word| !word.is_empty()) {
        let begins = word.starts_with(|c: char| c.is_uppercase() || c == '(');
        if begins && ends_sentence(&current) {
            sentences.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    if !current.is_empty() {
        sentences.push(current);
    }
    sentences
}

fn ends_sentence(text: &str) -> bool {
    text.ends_with('.') && !["e.g.", "i.e.", "vs."].iter().any(|short| text.ends_with(short))
}

/// Makes the anchors of one chapter's headings, which number those that repeat.
#[derive(Default)]
struct Anchors {
    seen: HashMap<String, usize>,
}

impl Anchors {
    fn of(&mut self, heading: &str) -> String {
        let slug: String = plain(heading)
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let count = self.seen.entry(slug.clone()).or_default();
        *count += 1;
        if *count == 1 { slug } else { format!("{slug}-{}", *count - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_sentences_under_their_anchors() {
        let chapter = "# One\n\nFirst line\nof [it](a.md#b). Second, e.g. This.\n\n- item one\n  goes on\n\
                       - item two\n\n```\nno code\n```\n| no | table |\n## One\nLast.\n## The `Key`, 2\nx";
        let found = sentences(chapter);
        let pairs: Vec<_> = found.iter().map(|s| (s.anchor.as_str(), s.text.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("one", "First line of it."),
                ("one", "Second, e.g. This."),
                ("one", "item one goes on"),
                ("one", "item two"),
                ("one-1", "Last."),
                ("the-key-2", "x"),
            ]
        );
    }

    #[test]
    fn marks_of_markdown_do_not_count() {
        assert_eq!(
            plain(" it\u{2019}s  [`KeyId`](x#y) **MUST**\n[not a link] be "),
            "it's KeyId MUST [not a link] be"
        );
    }
}
