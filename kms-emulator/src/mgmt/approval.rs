//! The token approval file: which file of tokens was signed, by whom, and where the signatures are.
//!
//! Lines of `Name = value;`; what follows `#` is a comment. The form is that of the user guide.

use strongroom_hsm::limits::QUORUM_APPROVALS_MAX;

/// What an approval file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Approval {
    /// The file of tokens.
    pub(super) tokens: String,
    /// The name of each approver, and the file of its signature.
    pub(super) approvers: Vec<(String, String)>,
}

/// What is wrong with an approval file; the text is for its author.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the line '{0}' is not of the form 'Name = value;'")]
    Line(String),
    #[error("there is no such entry as '{0}'")]
    Unknown(String),
    #[error("'{0}' is missing")]
    Missing(&'static str),
    #[error("the type of approver {0} is not 2, which is a crypto officer")]
    Approver(String),
    #[error("it says {said} approvals and has {has}")]
    Count {
        /// By its own words.
        said: String,
        /// By count.
        has: usize,
    },
}

impl Approval {
    /// Reads an approval file.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let (mut tokens, mut count) = (None, None);
        let (mut kind, mut name, mut approvers) = (None, None, Vec::new());
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (entry, value) = entry(line).ok_or_else(|| Malformed::Line(line.to_owned()))?;
            match entry {
                "Multi Token File Path" => tokens = Some(value.to_owned()),
                "Token File Path" => {
                    tokens = tokens.or_else(|| (!value.is_empty()).then(|| value.to_owned()));
                }
                "Number of Approvals" => count = Some(value.to_owned()),
                "Approver Type" => kind = Some(value.to_owned()),
                "Approver Name" => name = Some(value.to_owned()),
                "Approval File" => {
                    let approver = name.take().ok_or(Malformed::Missing("Approver Name"))?;
                    if kind.take().as_deref() != Some("2") {
                        return Err(Malformed::Approver(approver));
                    }
                    approvers.push((approver, value.to_owned()));
                }
                other => return Err(Malformed::Unknown(other.to_owned())),
            }
        }
        let said = count.ok_or(Malformed::Missing("Number of Approvals"))?;
        let has = approvers.len();
        if said != has.to_string() || has > QUORUM_APPROVALS_MAX {
            return Err(Malformed::Count { said, has });
        }
        let tokens = tokens.ok_or(Malformed::Missing("Multi Token File Path"))?;
        Ok(Self { tokens, approvers })
    }
}

/// The two sides of a line, without the semicolon.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_suffix(';')?.split_once('=')?;
    Some((name.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# a comment
Multi Token File Path = officer1.token;
Token File Path = ;
Number of Approvals = 2;
Approver Type = 2; # 2 for CO, 1 for CU
Approver Name = officer1;
Approval File = officer1.token.sig1;
Approver Type = 2;
Approver Name = officer2;
Approval File = officer1.token.sig2;
";

    #[test]
    fn the_guides_form_is_read() {
        let approval = Approval::parse(FILE).unwrap();
        assert_eq!(approval.tokens, "officer1.token");
        let second = ("officer2".to_owned(), "officer1.token.sig2".to_owned());
        assert_eq!(approval.approvers[1], second);
    }

    #[test]
    fn what_is_not_in_form_is_named() {
        let with = |from: &str, to: &str| Approval::parse(&FILE.replace(from, to)).unwrap_err();
        assert!(matches!(with("Approvals = 2", "Approvals = 3"), Malformed::Count { has: 2, .. }));
        assert!(matches!(with("Type = 2;\n", "Type = 1;\n"), Malformed::Approver(_)));
        assert!(matches!(with("officer1.token;", "officer1.token"), Malformed::Line(_)));
        assert!(matches!(with("Token File Path = ;", "Colour = red;"), Malformed::Unknown(_)));
        let missing = with("Approver Name = officer2;\n", "");
        assert_eq!(missing, Malformed::Missing("Approver Name"));
    }
}
