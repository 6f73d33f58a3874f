//! Grants: what the owner of a key lets a principal do with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::ids::{AccountId, GrantId, KeyId, RealmId};

/// The encryption contexts for which a grant is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GrantConstraints {
    /// The context is exactly this.
    pub(crate) equals: Option<BTreeMap<String, String>>,
    /// The context has at least these pairs.
    pub(crate) subset: Option<BTreeMap<String, String>>,
}

impl GrantConstraints {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.equals.is_none() && self.subset.is_none()
    }

    /// Whether a request with that context is one of those that the grant is for.
    pub(crate) fn hold(&self, context: &BTreeMap<String, String>) -> bool {
        self.equals.as_ref().is_none_or(|wanted| wanted == context)
            && self.subset.as_ref().is_none_or(|wanted| is_part(wanted, context))
    }

    /// Whether everything that these let through `parent` lets through as well.
    pub(crate) fn are_within(&self, parent: &Self) -> bool {
        let equals =
            parent.equals.as_ref().is_none_or(|wanted| self.equals.as_ref() == Some(wanted));
        let subset = parent.subset.as_ref().is_none_or(|wanted| {
            [&self.equals, &self.subset].into_iter().flatten().any(|own| is_part(wanted, own))
        });
        equals && subset
    }
}

fn is_part(part: &BTreeMap<String, String>, whole: &BTreeMap<String, String>) -> bool {
    part.iter().all(|(name, value)| whole.get(name) == Some(value))
}

/// A grant.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) realm: RealmId,
    pub(crate) key: KeyId,
    pub(crate) id: GrantId,
    pub(crate) created: Timestamp,
    pub(crate) terms: GrantTerms,
}

/// What a grant says; two of the same name and terms are one grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrantTerms {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) issuing_account: AccountId,
    /// The ARN of the principal who may use the key.
    pub(crate) grantee: Arc<str>,
    /// The ARN of the principal who may end the grant.
    pub(crate) retiring: Option<Arc<str>>,
    /// Names of operations, in the order and number in which they were given.
    pub(crate) operations: Vec<String>,
    pub(crate) constraints: GrantConstraints,
}

impl GrantTerms {
    /// Whether the grant is for that operation.
    pub(crate) fn allow(&self, operation: &str) -> bool {
        self.operations.iter().any(|allowed| allowed == operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn constraints_as_the_guide_explains_them() {
        let department = pairs(&[("Department", "Finance"), ("Classification", "Public")]);
        let subset = GrantConstraints { subset: Some(department.clone()), equals: None };
        let equals = GrantConstraints { equals: Some(department.clone()), subset: None };
        let more =
            pairs(&[("Department", "Finance"), ("Classification", "Public"), ("Customer", "1")]);
        assert!(subset.hold(&department) && subset.hold(&more));
        assert!(equals.hold(&department) && !equals.hold(&more));
        for other in [
            pairs(&[("Department", "Finance")]),
            pairs(&[("department", "finance"), ("classification", "public")]),
        ] {
            assert!(!subset.hold(&other) && !equals.hold(&other));
        }
    }

    #[test]
    fn a_child_is_no_wider_than_its_parent() {
        let (a, ab) = (pairs(&[("a", "1")]), pairs(&[("a", "1"), ("b", "2")]));
        let subset =
            |pairs: &BTreeMap<_, _>| GrantConstraints { subset: Some(pairs.clone()), equals: None };
        let equals =
            |pairs: &BTreeMap<_, _>| GrantConstraints { equals: Some(pairs.clone()), subset: None };
        let none = GrantConstraints::default();
        assert!(none.are_within(&none) && subset(&a).are_within(&none));
        assert!(subset(&ab).are_within(&subset(&a)) && !subset(&a).are_within(&subset(&ab)));
        assert!(equals(&ab).are_within(&subset(&a)) && !subset(&ab).are_within(&equals(&ab)));
        assert!(!none.are_within(&subset(&a)) && equals(&a).are_within(&equals(&a)));
    }
}
