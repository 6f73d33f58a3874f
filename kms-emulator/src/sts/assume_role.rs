//! AssumeRole.
//!
//! The role's trust policy is decided like a key policy: who is named in it may, within the account; whose
//! account alone is named, or who is of another, needs an identity policy that allows it as well.

use serde_json::json;

use super::{Call, Outcome, escape};
use crate::auth::{SESSION_SECONDS, SESSION_SECONDS_DEFAULT};
use crate::ids::AccountId;
use crate::policy::{self, Environment, Identity, KeyPolicy, Query, RequestFacts};
use crate::protocol::{Fault, FaultCode};

/// Lengths of a session's name, in characters (STS API: `roleSessionNameType`).
const SESSION_NAME_CHARACTERS: std::ops::RangeInclusive<usize> = 2..=64;
/// Members that would narrow what the session may do, or say more of it: they are refused, not ignored.
const UNSUPPORTED: &[&str] = &[
    "Policy",
    "PolicyArns",
    "ProvidedContexts",
    "SerialNumber",
    "SourceIdentity",
    "Tags",
    "TokenCode",
    "TransitiveTagKeys",
];

pub(super) fn run(call: &Call<'_>) -> Result<Outcome, Fault> {
    let input = Input::read(call)?;
    let credentials = call.dispatcher.credentials();
    let role = credentials.role(&input.role_arn);
    authorize(call, &input, role.map(|role| (role.trust.as_resource_policy(), role.account)))?;
    let Some(role) = role else { return Err(denied(call, &input)) };
    check_duration(call, input.seconds, role.max_session_seconds)?;
    let now = call.dispatcher.signing_time();
    let seconds = input.seconds.unwrap_or(SESSION_SECONDS_DEFAULT.min(role.max_session_seconds));
    let session = credentials
        .begin_session(&role.arn, &input.session_name, now, seconds)
        .map_err(|_| Fault::internal("a session cannot be sealed"))?;
    let expires = session.expires.to_iso8601();
    let user_arn =
        format!("arn:aws:sts::{}:assumed-role/{}/{}", role.account, role.name, input.session_name);
    let user_id = format!("{}:{}", role.unique_id, input.session_name);
    let xml = format!(
        "<Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{expires}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>{}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>",
        session.access_key_id,
        escape(session.secret.expose()),
        session.token,
        escape(&user_id),
        escape(&user_arn),
    );
    Ok(Outcome { xml, shown: json!({}) })
}

struct Input {
    role_arn: String,
    session_name: String,
    seconds: Option<u32>,
    external_id: Option<String>,
}

impl Input {
    fn read(call: &Call<'_>) -> Result<Self, Fault> {
        if let Some(name) = call.form.any_of(UNSUPPORTED) {
            return Err(Fault::validation(format!("The parameter {name} is not supported here.")));
        }
        let required = |name: &str, shown: &str| {
            call.form.get(name).ok_or_else(|| {
                Fault::validation(format!(
                    "1 validation error detected: Value null at '{shown}' failed to satisfy constraint: \
                     Member must not be null"
                ))
            })
        };
        let role_arn = required("RoleArn", "roleArn")?;
        let session_name = required("RoleSessionName", "roleSessionName")?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !SESSION_NAME_CHARACTERS.contains(&session_name.chars().count())
            || !session_name.chars().all(allowed)
        {
            return Err(Fault::validation(format!(
                "1 validation error detected: Value '{session_name}' at 'roleSessionName' failed to \
                 satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]{{2,64}}"
            )));
        }
        let seconds = call.form.get("DurationSeconds").map(|text| {
            text.parse().ok().filter(|seconds| SESSION_SECONDS.contains(seconds)).ok_or_else(|| {
                Fault::validation(format!(
                    "1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy \
                     constraint: Member must have value between {} and {}",
                    SESSION_SECONDS.start(),
                    SESSION_SECONDS.end()
                ))
            })
        });
        let external_id = call.form.get("ExternalId");
        Ok(Self { role_arn, session_name, seconds: seconds.transpose()?, external_id })
    }
}

/// Decides whether the caller may take the role on. Of a role that does not exist nothing else is told.
fn authorize(
    call: &Call<'_>,
    input: &Input,
    trust: Option<(&KeyPolicy, AccountId)>,
) -> Result<(), Fault> {
    let Some(trust) = trust else { return Err(denied(call, input)) };
    let peer = &call.origin.peer;
    let more: Vec<(&str, &str)> =
        input.external_id.iter().map(|id| ("sts:externalid", id.as_str())).collect();
    let decision = policy::decide(&Query {
        principal: call.caller.identity.principal(),
        action: "sts:AssumeRole",
        resource: &input.role_arn,
        key_policy: Some(trust),
        key: None,
        environment: &Environment {
            now: call.dispatcher.clock().now(),
            source_ip: peer.address,
            is_secure: peer.tls.is_some(),
            user_agent: peer.user_agent.as_deref(),
            region: &call.caller.region,
        },
        facts: &RequestFacts { more: &more, ..RequestFacts::default() },
        is_granted: None,
    });
    decision.map(drop).map_err(|_| denied(call, input))
}

/// AWS does not say why.
fn denied(call: &Call<'_>, input: &Input) -> Fault {
    let caller = &call.caller.identity.principal().arn;
    let role = &input.role_arn;
    Fault::new(
        FaultCode::AccessDeniedException,
        format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role}"),
    )
}

/// A session lasts as long as its role allows; one that begins in another, an hour.
fn check_duration(call: &Call<'_>, asked: Option<u32>, allowed: u32) -> Result<(), Fault> {
    let is_chained = matches!(call.caller.identity.principal().identity, Identity::Role { .. });
    let Some(seconds) = asked else { return Ok(()) };
    if is_chained && seconds > SESSION_SECONDS_DEFAULT {
        return Err(Fault::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role \
             chaining",
        ));
    }
    if seconds > allowed {
        return Err(Fault::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(())
}
