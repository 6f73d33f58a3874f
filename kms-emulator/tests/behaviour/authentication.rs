//! K4: altered and unauthenticated requests are refused.

use proptest::prelude::*;

use crate::harness::Server;
use crate::signer::RawRequest;

const BODY: &str = r#"{"NumberOfBytes":16}"#;

fn request(server: &Server) -> RawRequest {
    RawRequest::json(&server.host(), "TrentService.GenerateRandom", BODY)
}

#[tokio::test]
async fn a_signed_request_is_answered() {
    let server = Server::start().await;
    let signed = server.signer("kms").sign(&request(&server));
    let reply = server.send(&signed).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let head = reply.head.to_ascii_lowercase();
    for header in ["x-amzn-requestid: ", "content-type: application/x-amz-json-1.1", "date: "] {
        assert!(head.contains(header), "{head}");
    }
}

#[tokio::test]
async fn each_refusal_has_the_code_of_aws() {
    let server = Server::start().await;
    let (signer, plain) = (server.signer("kms"), request(&server));

    let reply = server.send(&plain).await;
    assert_eq!(reply.code(), "MissingAuthenticationTokenException");

    let mut unknown = signer.clone();
    unknown.access_key_id = "AKIAUNKNOWN000000000".into();
    let reply = server.send(&unknown.sign(&plain)).await;
    assert_eq!(reply.code(), "UnrecognizedClientException");
    assert_eq!(reply.message(), "The security token included in the request is invalid.");

    let mut wrong = signer.clone();
    wrong.secret.push('x');
    let reply = server.send(&wrong.sign(&plain)).await;
    assert_eq!(reply.code(), "InvalidSignatureException");
    assert!(reply.message().starts_with("The request signature we calculated does not match"));

    let mut malformed = signer.sign(&plain);
    malformed.set("authorization", "AWS4-HMAC-SHA256 Credential=x");
    assert_eq!(server.send(&malformed).await.code(), "IncompleteSignatureException");

    let mut elsewhere = signer.clone();
    elsewhere.service = "s3".into();
    let reply = server.send(&elsewhere.sign(&plain)).await;
    assert_eq!(reply.code(), "InvalidSignatureException");
    assert_eq!(reply.message(), "Credential should be scoped to correct service: 'kms'.");

    let mut old = plain.clone();
    old.set("x-amz-date", "20200101T000000Z");
    let reply = server.send(&signer.sign(&old)).await;
    assert_eq!(reply.code(), "InvalidSignatureException");
    assert!(reply.message().starts_with("Signature expired: 20200101T000000Z is now earlier"));

    let mut token = plain.clone();
    token.set("x-amz-security-token", "x");
    assert_eq!(server.send(&signer.sign(&token)).await.code(), "UnrecognizedClientException");
}

#[tokio::test]
async fn the_clock_may_differ_by_five_minutes() {
    for (seconds, accepted) in [(-310, false), (-290, true), (290, true), (310, false)] {
        let (server, clock) = Server::with_clock().await;
        clock.advance_seconds(seconds);
        let signed = server.signer("kms").sign(&request(&server));
        assert_eq!(server.send(&signed).await.status == 200, accepted, "{seconds} s");
    }
}

#[tokio::test]
async fn payload_modes_without_a_hash_are_refused() {
    let server = Server::start().await;
    for mode in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0000"] {
        let mut plain = request(&server);
        plain.set("x-amz-content-sha256", mode);
        let reply = server.send(&server.signer("kms").sign(&plain)).await;
        assert_eq!(reply.code(), "InvalidSignatureException", "{mode}");
    }
    let mut presigned = request(&server);
    presigned.target = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00".into();
    assert_eq!(server.send(&presigned).await.code(), "IncompleteSignatureException");
}

#[tokio::test]
async fn what_decides_must_be_signed() {
    let server = Server::start().await;
    let signer = server.signer("kms");
    let plain = request(&server);
    for names in [
        vec!["content-type", "host", "x-amz-date"],
        vec!["host", "x-amz-target"],
        vec!["content-type", "x-amz-date", "x-amz-target"],
    ] {
        let reply = server.send(&signer.sign_only(&plain, &names)).await;
        assert_eq!(reply.code(), "InvalidSignatureException", "{names:?}");
    }
    let least = signer.sign_only(&plain, &["host", "x-amz-date", "x-amz-target"]);
    assert_eq!(server.send(&least).await.status, 200);
}

#[tokio::test]
async fn no_operation_answers_without_credentials() {
    let server = Server::start().await;
    let mut routes = 0_usize;
    for target in server.emulator.targets() {
        let reply = server.send(&RawRequest::json(&server.host(), &target, "{}")).await;
        assert_eq!(reply.code(), "MissingAuthenticationTokenException", "{target}");
        routes += 1;
    }
    assert!(routes > 60, "{routes} routes");
    println!("K4: {routes} routes without credentials, 0 accepted");
}

/// One alteration of a signed request.
#[derive(Clone, Debug)]
enum Mutation {
    Body(usize, u8),
    AppendBody(u8),
    TruncateBody(usize),
    Header(usize, usize, u8),
    DropHeader(usize),
    Method(&'static str),
    Path(&'static str),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<usize>(), 1_u8..=255).prop_map(|(at, by)| Mutation::Body(at, by)),
        any::<u8>().prop_map(Mutation::AppendBody),
        any::<usize>().prop_map(Mutation::TruncateBody),
        (0_usize..5, any::<usize>(), 1_u8..=127)
            .prop_map(|(header, at, by)| Mutation::Header(header, at, by)),
        (0_usize..5).prop_map(Mutation::DropHeader),
        prop::sample::select(vec!["GET", "PUT", "DELETE"]).prop_map(Mutation::Method),
        prop::sample::select(vec!["//", "/x", "/?", "/?a=b", "/."]).prop_map(Mutation::Path),
    ]
}

/// The altered request, if it is altered at all and can be sent.
fn apply(mutation: &Mutation, signed: &RawRequest) -> Option<RawRequest> {
    let mut altered = signed.clone();
    match mutation {
        Mutation::Body(at, by) => {
            let at = at % altered.body.len();
            altered.body[at] ^= by;
        }
        Mutation::AppendBody(byte) => altered.body.push(*byte),
        Mutation::TruncateBody(to) => altered.body.truncate(to % signed.body.len()),
        Mutation::Header(header, at, by) => {
            let (name, value) = altered.headers.get_mut(*header)?;
            let mut bytes = value.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= by;
            if !(0x21..0x7f).contains(&bytes[at]) {
                return None;
            }
            let changed = String::from_utf8(bytes).ok()?;
            // The case of a hexadecimal digit is the one change that could mean the same; the server
            // takes lower case alone, so it stays in.
            *value = changed;
            // A host that is not one is refused by the HTTP library before we see it.
            if name == "host" && !value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.') {
                return None;
            }
        }
        Mutation::DropHeader(header) => {
            if *header >= altered.headers.len() {
                return None;
            }
            altered.headers.remove(*header);
        }
        Mutation::Method(method) => altered.method = (*method).into(),
        Mutation::Path(path) => altered.target = (*path).into(),
    }
    Some(altered)
}

#[test]
fn every_mutation_of_a_signed_request_is_refused() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let signed = server.signer("kms").sign(&request(&server));
    let mut tried = 0;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(1_500));
    runner
        .run(&mutation(), |mutation| {
            let Some(altered) = apply(&mutation, &signed) else { return Ok(()) };
            let reply = runtime.block_on(server.send(&altered));
            prop_assert!(reply.status != 200, "accepted: {altered:?}");
            Ok(())
        })
        .unwrap();
    tried += 1_500;
    let unaltered = runtime.block_on(server.send(&signed));
    assert_eq!(unaltered.status, 200, "{unaltered:?}");
    println!("K4: {tried} mutations, 0 accepted");
}

#[tokio::test]
async fn unknown_operations() {
    let server = Server::start().await;
    for target in ["TrentService.Frobnicate", "Other.CreateKey"] {
        let plain = RawRequest::json(&server.host(), target, "{}");
        let reply = server.send(&server.signer("kms").sign(&plain)).await;
        assert_eq!(reply.code(), "UnknownOperationException", "{target}");
    }
}
