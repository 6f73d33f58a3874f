//! Measures what one core seals: a fleet's tokens, a device in the same process, a device over TLS.
//!
//! `cargo run --release -p strongroom-hsm --example throughput [SECONDS]`

use std::error::Error;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    PKCS_RSA_SHA256,
};
use strongroom_hsm::clock::{Clock, SystemClock};
use strongroom_hsm::server::{Listen, serve};
use strongroom_hsm::{
    Client, Config, Device, Factory, Fleet, KeyKind, Password, Plaintext, Port, Provider, Role,
    TrustAnchor,
};

/// Authenticated data as long as a usual encryption context.
const AAD: &[u8] = &[7; 120];
/// Calls under way at a time over TLS.
const CALLS: usize = 64;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let seconds = std::env::args().nth(1).map_or(Ok(2.0), |text| text.parse())?;
    let span = Duration::from_secs_f64(seconds);
    let dir = tempfile::tempdir()?;
    let factory = Factory::open(&dir.path().join("factory"), &SystemClock)?;

    let fleet = Fleet::power_on(&factory, &dir.path().join("fleet"), Config::default())?;
    let token = fleet.generate_key(KeyKind::Aes256)?;
    let data_key = Plaintext::new(&[1; 32])?;
    let rate = measure(span, || fleet.seal(&token, AAD, &data_key).map(drop))?;
    report("fleet: seal 32 bytes under a token, one thread", rate)?;
    let rate = measure(span, || fleet.generate_data_key(&token, AAD, 32).map(drop))?;
    report("fleet: generate a data key, one thread", rate)?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure_device(&factory, &dir.path().join("device"), span))
}

async fn measure_device(factory: &Factory, dir: &Path, span: Duration) -> Result<(), Failure> {
    factory.manufacture(dir, "hsm-throughput1", &SystemClock)?;
    let device = Arc::new(Device::power_on(dir, Config::default())?);
    let anchor = initialize(&Provider::of_device(Arc::clone(&device))).await?;
    let local = Client::in_process(Arc::clone(&device), Port::Management)?;
    local.login(Role::PrecryptoOfficer, "admin", Password::new("password")?).await?;
    local.change_password(Role::PrecryptoOfficer, "admin", Password::new("officer1")?).await?;
    local.create_user(Role::CryptoUser, "kmsuser", Password::new("kmsuser1")?, None).await?;

    let listen =
        Listen { address: IpAddr::V4(Ipv4Addr::LOCALHOST), client_port: 0, management_port: 0 };
    let server = tokio::spawn(serve(Arc::clone(&device), listen));
    let provider = Provider::of_directory(dir);
    let port = loop {
        match provider.status().await {
            Ok(status) if status.client_port != 0 => break status.client_port,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let client = Client::connect(address, &anchor, Duration::from_secs(5)).await?;
    client.login(Role::CryptoUser, "kmsuser", Password::new("kmsuser1")?).await?;
    let rate = measure_calls(&client, span).await?;
    report("device over TLS: generate a data key, one connection, 64 callers", rate)?;
    server.abort();
    Ok(())
}

/// Plays the customer: signs the request with a CA of its own.
async fn initialize(provider: &Provider) -> Result<TrustAnchor, Failure> {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key)?.pem();
    let request = provider.make_request().await?;
    let issuer = Issuer::new(params, &key);
    let certificate =
        CertificateSigningRequestParams::from_pem(request.csr.as_str())?.signed_by(&issuer)?.pem();
    provider.initialize(&certificate, &ca).await?;
    Ok(TrustAnchor::from_pem(&ca, SystemClock.now())?)
}

async fn measure_calls(client: &Client, span: Duration) -> Result<f64, Failure> {
    let key = client.generate_key("throughput").await?;
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLS)
        .map(|_| {
            let (client, done) = (client.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while start.elapsed() < span {
                    client.generate_data_key(key, AAD, 32).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok(rate_of(done.load(Ordering::Relaxed), start.elapsed()))
}

fn measure<E: Into<Failure>>(
    span: Duration,
    mut work: impl FnMut() -> Result<(), E>,
) -> Result<f64, Failure> {
    let (start, mut done) = (Instant::now(), 0_u64);
    while start.elapsed() < span {
        for _ in 0..100 {
            work().map_err(Into::into)?;
        }
        done += 100;
    }
    Ok(rate_of(done, start.elapsed()))
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn rate_of(done: u64, elapsed: Duration) -> f64 {
    done as f64 / elapsed.as_secs_f64()
}

fn report(what: &str, rate: f64) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{what}: {rate:.0} per second")?)
}
