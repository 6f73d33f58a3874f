//! K7: what a hostile client can make the server take is bounded.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::Server;
use crate::signer::RawRequest;

/// The limit of every operation that names things.
const BODY_BYTES_MAX: usize = 128 * 1024;
/// The limit of those that may carry an attestation document.
const ATTESTED_BYTES_MAX: usize = 512 * 1024;

#[tokio::test]
async fn bodies_at_the_limit_and_beyond() {
    let server = Server::start().await;
    for (operation, input, bytes_max) in [
        ("ListKeys", "{}", BODY_BYTES_MAX),
        ("GenerateRandom", r#"{"NumberOfBytes":1}"#, ATTESTED_BYTES_MAX),
    ] {
        for (bytes, status) in [(bytes_max, 200), (bytes_max + 1, 413)] {
            let body = format!("{input}{}", " ".repeat(bytes - input.len()));
            assert_eq!(server.kms(operation, &body).await.status, status, "{operation} {bytes}");
        }
    }
}

#[tokio::test]
async fn an_announced_length_is_refused_before_it_is_sent() {
    let server = Server::start().await;
    let mut request =
        RawRequest::json(&server.host(), "TrentService.GenerateRandom", "").to_bytes();
    let text = String::from_utf8(request).unwrap();
    request = text.replace("content-length: 0", "content-length: 99999999999").into_bytes();
    let started = Instant::now();
    assert_eq!(server.send_bytes(request).await.status, 413);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = Server::start().await;
    let long = format!("POST / HTTP/1.1\r\nhost: x\r\nx-pad: {}\r\n\r\n", "a".repeat(80 * 1024));
    let status = server.send_bytes(long.into_bytes()).await.status;
    // The reply may be lost when the connection is closed over what the server will not read.
    assert!(matches!(status, 0 | 431), "{status}");
    let many: String = (0..200).map(|n| format!("x-h{n}: a\r\n")).collect();
    let many = format!("POST / HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    let status = server.send_bytes(many.into_bytes()).await.status;
    assert!(matches!(status, 0 | 431), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_do_not_hold_up_others() {
    let server = Server::start().await;
    let host = server.host();
    let slow: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut stream = TcpStream::connect(&host).unwrap();
            // Half of them stop within the head, half within the body.
            let text: &[u8] = if number % 2 == 0 {
                b"POST / HTTP/1.1\r\nhost: x\r\nx-"
            } else {
                b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: TrentService.Encrypt\r\n\
                  content-length: 1000\r\n\r\n{"
            };
            stream.write_all(text).unwrap();
            stream
        })
        .collect();
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(server.kms("GenerateRandom", r#"{"NumberOfBytes":16}"#).await.status, 200);
    }
    let each = started.elapsed() / 20;
    assert!(each < Duration::from_secs(1), "{each:?}");
    println!("K7: {} slow connections, honest request {each:?}", slow.len());
}
