//! The form that a request of the query protocol is.

use serde_json::{Map, Value};

/// Members that the audit trail shows.
const SHOWN: &[&str] = &["RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"];

/// The members of a request, by name.
pub(super) struct Form<'a>(&'a [u8]);

impl<'a> Form<'a> {
    /// The form in a body.
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    /// A member; of one given twice the first.
    pub(super) fn get(&self, wanted: &str) -> Option<String> {
        let mut members = form_urlencoded::parse(self.0);
        members.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    }

    /// The first member whose name is one of `names`, or begins so and goes on with a point.
    pub(super) fn any_of(&self, names: &[&str]) -> Option<String> {
        let is_one = |name: &str| {
            names.iter().any(|wanted| {
                name.strip_prefix(wanted)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        let mut members = form_urlencoded::parse(self.0);
        members.find(|(name, _)| is_one(name)).map(|(name, _)| name.into_owned())
    }

    /// What the audit trail shows, as a JSON object.
    pub(super) fn shown(&self) -> Value {
        let member = |name: &&str| Some(((*name).to_owned(), Value::from(self.get(name)?)));
        SHOWN.iter().filter_map(member).collect::<Map<_, _>>().into()
    }
}
