//! GetCallerIdentity: needs no permission, and no policy can deny it.

use serde_json::json;

use super::{Call, Outcome, escape};

pub(super) fn run(call: &Call<'_>) -> Outcome {
    let principal = call.caller.identity.principal();
    let xml = format!(
        "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
        escape(&principal.arn),
        escape(&principal.unique_id),
        principal.account
    );
    Outcome { xml, shown: json!({}) }
}
