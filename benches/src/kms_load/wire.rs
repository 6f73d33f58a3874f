//! One connection that stays open, and does as little as it can.

use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest reply, head included, in bytes.
const REPLY_BYTES_MAX: usize = 64 * 1024;
/// Most headers of a reply.
const HEADERS_MAX: usize = 32;
/// Longest that a reply may take.
const REPLY_SECONDS_MAX: u64 = 60;

/// A connection to one server; opened when it is needed, and again after the server closed it.
pub(super) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// A reply.
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

/// What the head of a reply says.
struct Head {
    status: u16,
    bytes: usize,
    body_bytes: usize,
    closes: bool,
}

impl Connection {
    /// A connection that is not open yet.
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: vec![0; REPLY_BYTES_MAX] }
    }

    /// Sends a request and reads the whole reply.
    ///
    /// # Errors
    /// What the system says; `InvalidData` for a reply that is not HTTP or has no length.
    pub(super) fn exchange(&mut self, request: &[u8]) -> std::io::Result<Reply<'_>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => open(self.address)?,
        };
        stream.write_all(request)?;
        let mut filled = 0;
        let head = loop {
            filled += receive(&mut stream, self.buffer.get_mut(filled..))?;
            if let Some(head) = parse(self.buffer.get(..filled).unwrap_or_default())? {
                break head;
            }
        };
        let end = head.bytes.saturating_add(head.body_bytes);
        while filled < end {
            filled += receive(&mut stream, self.buffer.get_mut(filled..))?;
        }
        if !head.closes {
            self.stream = Some(stream);
        }
        let body = self.buffer.get(head.bytes..end).unwrap_or_default();
        Ok(Reply { status: head.status, body })
    }
}

fn open(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(REPLY_SECONDS_MAX)))?;
    Ok(stream)
}

fn receive(stream: &mut TcpStream, room: Option<&mut [u8]>) -> std::io::Result<usize> {
    let room = room.filter(|room| !room.is_empty());
    let room = room.ok_or_else(|| invalid("a reply is longer than its bound"))?;
    match stream.read(room)? {
        0 => Err(Error::from(ErrorKind::UnexpectedEof)),
        bytes => Ok(bytes),
    }
}

/// Reads the head of a reply, once it is whole.
fn parse(bytes: &[u8]) -> std::io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut reply = httparse::Response::new(&mut headers);
    let parsed = reply.parse(bytes).map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let header = |name: &str| {
        let found = reply.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let body_bytes = header("content-length").and_then(|value| value.parse().ok());
    Ok(Some(Head {
        status: reply.code.unwrap_or_default(),
        bytes: length,
        body_bytes: body_bytes.ok_or_else(|| invalid("a reply has no content-length"))?,
        closes: reply.version == Some(0)
            || header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    }))
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers each connection with the pieces given for it, then closes it.
    fn server(replies: &'static [&'static [&'static str]]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for pieces in replies {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1];
                for piece in *pieces {
                    stream.read_exact(&mut request).unwrap();
                    stream.write_all(piece.as_bytes()).unwrap();
                }
            }
        });
        address
    }

    #[test]
    fn replies_in_pieces_and_closed_connections_are_read() {
        let address = server(&[
            &["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 400 Bad\r\ncontent-"],
            &["HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi"],
            &["HTTP/1.1 200 OK\r\n\r\n"],
        ]);
        let mut connection = Connection::new(address);
        assert_eq!(connection.exchange(b"x").unwrap().body, b"abc");
        assert!(connection.exchange(b"x").is_err(), "the server went away within a reply");
        let reply = connection.exchange(b"x").unwrap();
        assert_eq!((reply.status, reply.body), (200, b"hi".as_slice()));
        let refused = connection.exchange(b"x").err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::InvalidData);
    }
}
