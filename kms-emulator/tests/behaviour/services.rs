//! STS and health.

use crate::harness::Server;
use crate::signer::RawRequest;

fn identity_request(server: &Server, body: &str) -> RawRequest {
    let mut plain = RawRequest::json(&server.host(), "", body);
    plain.headers.retain(|(name, _)| name != "x-amz-target");
    plain.set("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    plain
}

#[tokio::test]
async fn sts_tells_who_calls() {
    let server = Server::start().await;
    let plain = identity_request(&server, "Action=GetCallerIdentity&Version=2011-06-15");
    let reply = server.send(&server.signer("sts").sign(&plain)).await;
    let xml = String::from_utf8(reply.body).unwrap();
    assert_eq!(reply.status, 200, "{xml}");
    assert!(xml.contains("<Arn>arn:aws:iam::000000000000:root</Arn>"), "{xml}");
    assert!(xml.contains("<Account>000000000000</Account>"), "{xml}");
}

#[tokio::test]
async fn sts_refuses_in_its_own_protocol() {
    let server = Server::start().await;
    let plain = identity_request(&server, "Action=GetCallerIdentity&Version=2011-06-15");
    let mut wrong = server.signer("sts");
    wrong.secret.push('x');
    for (request, status, code) in [
        (plain.clone(), 403, "MissingAuthenticationToken"),
        (wrong.sign(&plain), 403, "SignatureDoesNotMatch"),
        (server.signer("kms").sign(&plain), 403, "SignatureDoesNotMatch"),
        (
            server
                .signer("sts")
                .sign(&identity_request(&server, "Action=AssumeRoleWithSAML&Version=2011-06-15")),
            400,
            "InvalidAction",
        ),
    ] {
        let reply = server.send(&request).await;
        let xml = String::from_utf8(reply.body).unwrap();
        assert_eq!(reply.status, status, "{xml}");
        assert!(xml.contains(&format!("<Code>{code}</Code>")), "{xml}");
    }
}

#[tokio::test]
async fn health_needs_no_signature() {
    let server = Server::start().await;
    let reply = server
        .send_bytes(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec())
        .await;
    assert_eq!((reply.status, reply.json()["status"].as_str()), (200, Some("ok")));
}
