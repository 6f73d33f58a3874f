//! A device behind TLS and its control socket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_hsm::clock::{Clock, SystemClock};
use strongroom_hsm::server::{Listen, serve};
use strongroom_hsm::{
    Client, Conditions, Device, HsmError, Patience, Plaintext, Port, Provider, Refusal, Role,
    TrustAnchor,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::{Customer, KMSUSER, Node, OFFICER, config, password, refusal};

const WAIT: Duration = Duration::from_secs(5);

/// A device that a task of this process serves.
struct Served {
    dir: TempDir,
    task: JoinHandle<Result<(), HsmError>>,
}

impl Served {
    async fn start(node: Node) -> Self {
        Self::start_in(node.power_off()).await
    }

    async fn start_in(dir: TempDir) -> Self {
        let device = Arc::new(Device::power_on(dir.path(), config()).unwrap());
        let listen =
            Listen { address: IpAddr::V4(Ipv4Addr::LOCALHOST), client_port: 0, management_port: 0 };
        let task = tokio::spawn(serve(device, listen));
        let served = Self { dir, task };
        while served.provider().status().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        served
    }

    fn provider(&self) -> Provider {
        Provider::of_directory(self.dir.path())
    }

    /// Where the port is, once it is open.
    async fn address(&self, port: Port) -> SocketAddr {
        for _ in 0..1_000 {
            let status = self.provider().status().await.unwrap();
            let number = match port {
                Port::Management => status.management_port,
                _ => status.client_port,
            };
            if number != 0 {
                return SocketAddr::from((Ipv4Addr::LOCALHOST, number));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the port did not open");
    }

    async fn connect(&self, port: Port) -> Client {
        Client::connect(self.address(port).await, &anchor(Customer::shared()), WAIT).await.unwrap()
    }

    async fn user(&self) -> Client {
        let client = self.connect(Port::Client).await;
        client.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await.unwrap();
        client
    }

    /// Kills the device as a power failure does, and leaves its directory.
    async fn kill(self) -> TempDir {
        self.task.abort();
        let _ = self.task.await;
        // Connections are tasks of their own that end with the server's.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.dir
    }
}

fn anchor(customer: &Customer) -> TrustAnchor {
    TrustAnchor::from_pem(&customer.ca_pem, SystemClock.now()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_initialised_over_its_socket_and_used_over_tls() {
    let served = Served::start(Node::new()).await;
    assert_eq!(served.provider().status().await.unwrap().client_port, 0);
    let customer = Customer::shared();
    let request = served.provider().make_request().await.unwrap();
    let certificate = customer.sign(request.csr.as_str());
    served.provider().initialize(&certificate, &customer.ca_pem).await.unwrap();
    served.provider().set_members(["127.0.0.1", "127.0.0.2"]).await.unwrap();

    let admin = served.connect(Port::Management).await;
    admin.login(Role::PrecryptoOfficer, "admin", password("password")).await.unwrap();
    admin.change_password(Role::PrecryptoOfficer, "admin", password(OFFICER)).await.unwrap();
    admin.create_user(Role::CryptoUser, "kmsuser", password(KMSUSER), None).await.unwrap();
    assert_eq!(admin.info().await.unwrap().members.as_slice().len(), 2);

    let user = served.user().await;
    let key = user.generate_key("label").await.unwrap();
    let (clear, sealed) = user.generate_data_key(key, b"aad", 32).await.unwrap();
    assert_eq!(user.open(key, b"aad", &sealed).await.unwrap().expose(), clear.expose());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_trust_anchor_is_not_satisfied() {
    let served = Served::start(Node::activated().await).await;
    let address = served.address(Port::Client).await;
    let result = Client::connect(address, &anchor(&Customer::new()), WAIT).await;
    assert!(matches!(result, Err(HsmError::NotTrusted { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_from_many_tasks_share_a_connection() {
    let served = Served::start(Node::activated().await).await;
    let user = served.user().await;
    let key = user.generate_key("label").await.unwrap();
    let calls: Vec<_> = (0..500_u32)
        .map(|number| {
            let user = user.clone();
            tokio::spawn(async move {
                let text = number.to_be_bytes();
                let message = user.seal(key, &text, Plaintext::new(&text).unwrap()).await.unwrap();
                assert_eq!(user.open(key, &text, &message).await.unwrap().expose(), text);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_device_is_unreachable_and_comes_back_with_everything() {
    let served = Served::start(Node::activated().await).await;
    let user = served.user().await;
    let key = user.generate_key("label").await.unwrap();
    let sealed = user.generate_sealed_data_key(key, b"", 32).await.unwrap();
    let address = served.address(Port::Client).await;
    let dir = served.kill().await;
    assert!(matches!(user.info().await, Err(HsmError::Unreachable { .. })));
    assert!(!user.is_open());
    let gone = Client::connect(address, &anchor(Customer::shared()), WAIT).await;
    assert!(matches!(gone, Err(HsmError::Unreachable { .. })));
    let served = Served::start_in(dir).await;
    served.user().await.open(key, b"", &sealed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_logs_out() {
    let served = Served::start(Node::activated().await).await;
    let first = served.user().await;
    let second = served.user().await;
    let renewed = || second.change_password(Role::CryptoUser, "kmsuser", password("renewed1"));
    assert!(matches!(refusal(renewed().await), Refusal::UserLoggedIn { .. }));
    drop(first);
    for _ in 0..200 {
        if renewed().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the first session is still logged in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_device_closes_its_ports_and_answers_its_provider() {
    let served = Served::start(Node::activated().await).await;
    let user = served.user().await;
    let address = served.address(Port::Client).await;
    served.provider().tamper().await.unwrap();
    assert!(served.provider().status().await.unwrap().info.is_none());
    let answer = user.random(8).await;
    assert!(matches!(
        answer,
        Err(HsmError::Unreachable { .. }
            | HsmError::Refused(Refusal::Tampered | Refusal::SessionClosed))
    ));
    for _ in 0..200 {
        if TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the port is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_switches_a_device_off() {
    let served = Served::start(Node::activated().await).await;
    served.provider().power_off().await.unwrap();
    served.task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_turned_away_and_others_are_served() {
    let served = Served::start(Node::activated().await).await;
    let address = served.address(Port::Client).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    served.user().await.random(8).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_socket_is_the_owners_only_even_under_a_long_name() {
    use std::os::unix::fs::PermissionsExt;
    let outer = tempfile::tempdir().unwrap();
    let long = outer.path().join("a".repeat(90)).join("b".repeat(90));
    crate::support::factory().manufacture(&long, "hsm-abcdefghijk", &SystemClock).unwrap();
    let device = Arc::new(Device::power_on(&long, config()).unwrap());
    let listen = Listen::on(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let task = tokio::spawn(serve(device, listen));
    let provider = Provider::of_directory(&long);
    while provider.status().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mode = std::fs::metadata(long.join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mode = std::fs::metadata(&long).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_of_the_surroundings_outlive_a_power_failure() {
    let served = Served::start(Node::activated().await).await;
    let cut = Conditions { client_port_closed: true, ..Conditions::default() };
    served.provider().set_conditions(cut).await.unwrap();
    let dir = served.kill().await;
    let served = Served::start_in(dir).await;
    let address = served.address(Port::Client).await;
    let short = Duration::from_millis(300);
    let silent = Client::connect(address, &anchor(Customer::shared()), short).await;
    assert!(silent.err().unwrap().is_silence());
    // The other port has its own rule.
    served.connect(Port::Management).await.list_users().await.unwrap();
    served.provider().set_conditions(Conditions::default()).await.unwrap();
    served.user().await.random(8).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_does_not_wait_for_an_hsm_that_the_network_hides() {
    let served = Served::start(Node::activated().await).await;
    let user = served.user().await;
    let patience =
        Patience { connect: WAIT, answer: Duration::from_millis(300), slow_answer: WAIT };
    let address = served.address(Port::Client).await;
    let hasty = Client::connect_with(address, &anchor(Customer::shared()), patience).await.unwrap();
    hasty.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await.unwrap();
    hasty.random(8).await.unwrap();
    let cut = Conditions { partitioned: true, ..Conditions::default() };
    served.provider().set_conditions(cut).await.unwrap();
    assert!(hasty.random(8).await.err().unwrap().is_silence());
    // What was sent meanwhile arrives when the network is whole again.
    let patient = tokio::spawn(async move { user.random(8).await });
    served.provider().set_conditions(Conditions::default()).await.unwrap();
    patient.await.unwrap().unwrap();
    let slow = Conditions { delay_millis: 1_000, ..Conditions::default() };
    served.provider().set_conditions(slow).await.unwrap();
    assert!(hasty.random(8).await.err().unwrap().is_silence());
}

#[tokio::test(flavor = "multi_thread")]
async fn hardware_with_a_rate_shares_it_among_its_clients() {
    const RATE: u32 = 50;
    const EACH: u32 = 5;
    let served = Served::start(Node::activated().await).await;
    let (one, other) = (served.user().await, served.user().await);
    let limited = Conditions { commands_per_second: RATE, ..Conditions::default() };
    served.provider().set_conditions(limited).await.unwrap();
    let started = Instant::now();
    for _ in 0..EACH {
        let (first, second) = tokio::join!(one.random(8), other.random(8));
        assert!(first.is_ok() && second.is_ok());
    }
    assert!(started.elapsed() >= Duration::from_secs(1) * 2 * EACH / RATE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_slow_hardware_goes_on_when_it_is_fast_again() {
    let served = Served::start(Node::activated().await).await;
    let patience =
        Patience { connect: WAIT, answer: Duration::from_millis(900), slow_answer: WAIT };
    let address = served.address(Port::Client).await;
    let hasty = Client::connect_with(address, &anchor(Customer::shared()), patience).await.unwrap();
    hasty.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await.unwrap();
    let hasty = Arc::new(hasty);
    let rate = |commands_per_second| Conditions { commands_per_second, ..Conditions::default() };
    for fast in [rate(0), rate(1_000)] {
        // A command takes longer than the client waits.
        served.provider().set_conditions(rate(1)).await.unwrap();
        let client = Arc::clone(&hasty);
        let waiting = tokio::spawn(async move { client.random(8).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        served.provider().set_conditions(fast).await.unwrap();
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_an_older_build_wrote_are_kept() {
    let served = Served::start(Node::activated().await).await;
    let cut = Conditions { client_port_closed: true, ..Conditions::default() };
    served.provider().set_conditions(cut).await.unwrap();
    let dir = served.kill().await;
    let file = dir.path().join("conditions");
    let newer = std::fs::read(&file).unwrap();
    std::fs::write(&file, &newer[..11]).unwrap();
    let served = Served::start_in(dir).await;
    let short = Duration::from_millis(300);
    let address = served.address(Port::Client).await;
    let silent = Client::connect(address, &anchor(Customer::shared()), short).await;
    assert!(silent.err().unwrap().is_silence());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_sessions_others_hold_says_so() {
    let served = Served::start(Node::activated().await).await;
    let most = u32::try_from(strongroom_hsm::limits::SESSIONS_MAX).unwrap();
    let taken = |occupied_sessions| Conditions { occupied_sessions, ..Conditions::default() };
    let user = served.user().await;
    served.provider().set_conditions(taken(most)).await.unwrap();
    let turned_away = served.connect(Port::Client).await;
    assert_eq!(refusal(turned_away.random(8).await), Refusal::SessionsExhausted);
    user.random(8).await.unwrap();
    assert!(served.provider().set_conditions(taken(most + 1)).await.is_err());
}
