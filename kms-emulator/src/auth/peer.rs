//! Where a request came from: what the connection knows and no signature covers.

use std::net::IpAddr;

use serde::Serialize;

/// Longest user agent that is remembered, in characters.
const USER_AGENT_CHARACTERS_MAX: usize = 512;

/// The other end of a request. The default is code inside the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// None inside the process.
    pub(crate) address: Option<IpAddr>,
    /// As the client names itself.
    pub(crate) user_agent: Option<String>,
    /// None without TLS.
    pub(crate) tls: Option<TlsDetails>,
}

/// What a TLS handshake came to, as CloudTrail writes it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TlsDetails {
    /// For example `TLSv1.3`.
    pub(crate) tls_version: &'static str,
    /// For example `TLS_AES_256_GCM_SHA384`.
    pub(crate) cipher_suite: &'static str,
    /// The host that the client wanted to talk to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_provided_host_header: Option<String>,
}

impl Peer {
    /// The peer of a request from `address`, which calls itself `user_agent`.
    pub(crate) fn new(address: IpAddr, user_agent: Option<&str>, tls: Option<TlsDetails>) -> Self {
        let shortened = |text: &str| text.chars().take(USER_AGENT_CHARACTERS_MAX).collect();
        Self { address: Some(address.to_canonical()), user_agent: user_agent.map(shortened), tls }
    }
}
