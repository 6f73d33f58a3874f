//! The tool against devices behind TLS, from a script of lines.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    PKCS_RSA_SHA256,
};
use strongroom_hsm::clock::SystemClock;
use strongroom_hsm::server::{Listen, serve};
use strongroom_hsm::{Client, Config, Device, Factory, Password, Port, Provider, Role};
use zeroize::Zeroizing;

use super::*;

mod hsm_cli;
mod hsm_cli_tokens;
mod quorum;
mod second_factor;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CAUTION: &str = "
*************************CAUTION********************************
This is a CRITICAL operation, should be done on all nodes in the
cluster. AWS does NOT synchronize these changes automatically with the
nodes on which this operation is not executed or failed, please
ensure this operation is executed on all nodes in the cluster.
****************************************************************

Do you want to continue(y/n)?";

/// Lines to type, and everything printed.
struct Script {
    lines: VecDeque<&'static str>,
    printed: String,
}

impl Console for Script {
    fn print(&mut self, text: &str) -> io::Result<()> {
        self.printed.push_str(text);
        Ok(())
    }

    fn line(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        Ok(self.lines.pop_front().map(|line| Zeroizing::new(line.to_owned())))
    }

    fn secret(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        self.line()
    }
}

/// A cluster of two HSMs that has just been initialised.
struct Cluster {
    devices: Vec<Arc<Device>>,
    configuration: Configuration,
    _dir: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let factory = Factory::open(&dir.path().join("factory"), &SystemClock).unwrap();
        let first = power_on(&factory, &dir.path().join("first"));
        let anchor = dir.path().join("customerCA.crt");
        std::fs::write(&anchor, initialize(&first).await).unwrap();
        let second = power_on(&factory, &dir.path().join("second"));
        let backup = Provider::of_device(Arc::clone(&first)).backup().await.unwrap();
        Provider::of_device(Arc::clone(&second)).restore(backup).await.unwrap();
        let mut servers = Vec::new();
        for (name, device) in [("10.0.2.9", &first), ("10.0.3.11", &second)] {
            let port = management_port(device).await;
            servers.push(Endpoint { name: name.to_owned(), hostname: LOCALHOST, port });
        }
        let configuration = Configuration { servers, certificate: anchor };
        Self { devices: vec![first, second], configuration, _dir: dir }
    }

    /// Runs a script over both HSMs; what it printed after connecting.
    async fn run(&self, lines: &[&'static str]) -> (Outcome, String) {
        self.run_with(&self.configuration, lines).await
    }

    async fn run_with(
        &self,
        configuration: &Configuration,
        lines: &[&'static str],
    ) -> (Outcome, String) {
        let mut script = Script { lines: lines.iter().copied().collect(), printed: String::new() };
        let shell = Shell::connect(configuration, &SystemClock, &mut script).await.unwrap();
        let outcome = shell.run().await.unwrap();
        let (_, printed) = script.printed.split_once("\n\naws-cloudhsm>").unwrap();
        (outcome, format!("aws-cloudhsm>{printed}"))
    }

    /// Only the first HSM: a list that nobody brought up to date.
    fn stale(&self) -> Configuration {
        let mut configuration = self.configuration.clone();
        configuration.servers.truncate(1);
        configuration
    }
}

fn power_on(factory: &Factory, dir: &Path) -> Arc<Device> {
    factory.manufacture(dir, "hsm-udw0tkfg1ab", &SystemClock).unwrap();
    let config = Config { pbkdf2_iterations: 1_000, ..Config::default() };
    Arc::new(Device::power_on(dir, config).unwrap())
}

/// Claims the cluster with a `customerCA`, and returns that in PEM.
async fn initialize(device: &Arc<Device>) -> String {
    let provider = Provider::of_device(Arc::clone(device));
    let request = provider.make_request().await.unwrap();
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let csr = CertificateSigningRequestParams::from_pem(request.csr.as_str()).unwrap();
    let certificate = csr.signed_by(&Issuer::new(params, &key)).unwrap().pem();
    provider.initialize(&certificate, &ca).await.unwrap();
    ca
}

/// Serves a device on free ports and returns that of the management tools.
async fn management_port(device: &Arc<Device>) -> u16 {
    let listen = Listen { address: LOCALHOST, client_port: 0, management_port: 0 };
    tokio::spawn(serve(Arc::clone(device), listen));
    let provider = Provider::of_directory(device.dir());
    loop {
        match provider.status().await {
            Ok(status) if status.management_port != 0 => return status.management_port,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

const ACTIVATE: &[&str] = &[
    "loginHSM PRECO admin password",
    "changePswd PRECO admin NewPassword1",
    "y",
    "createUser CU kmsuser kmsPswd1",
    "y",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_activated_as_the_guide_shows_it() {
    let cluster = Cluster::start().await;
    let (outcome, printed) = cluster
        .run(&[
            "enable_e2e",
            "listUsers",
            "loginHSM PRECO admin password",
            "changePswd PRECO admin NewPassword1",
            "y",
            "listUsers",
            "createUser CU kmsuser kmsPswd1",
            "maybe",
            "y",
            "logoutHSM",
            "quit",
        ])
        .await;
    let users = |role: &str| -> String {
        let table = format!(
            "Number of users found:2\n\n    \
             User Id             User Type       User Name                          MofnPubKey    LoginFailureCnt         2FA\n         \
             1              {role:<16}admin                                    NO               0               NO\n         \
             2              AU              app_user                                 NO               0               NO\n"
        );
        format!("Users on server 0(10.0.2.9):\n{table}Users on server 1(10.0.3.11):\n{table}")
    };
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(
        printed,
        [
            "aws-cloudhsm>E2E enabled on server 0(10.0.2.9)\nE2E enabled on server 1(10.0.3.11)\n",
            "aws-cloudhsm>",
            &users("PRECO"),
            "aws-cloudhsm>loginHSM success on server 0(10.0.2.9)\n\
             loginHSM success on server 1(10.0.3.11)\n",
            "aws-cloudhsm>",
            CAUTION,
            "Changing password for admin(PRECO) on 2 nodes\n",
            "aws-cloudhsm>",
            &users("CO"),
            "aws-cloudhsm>",
            CAUTION,
            "Invalid option, please type 'y' or 'n'\n\nDo you want to continue(y/n)?",
            "Creating User kmsuser(CU) on 2 nodes\n",
            "aws-cloudhsm>logoutHSM success on server 0(10.0.2.9)\n\
             logoutHSM success on server 1(10.0.3.11)\n",
            "aws-cloudhsm>\ndisconnecting from servers, please wait...\n",
        ]
        .concat()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_made_with_a_stale_list_is_missing_on_the_other_hsm() {
    let cluster = Cluster::start().await;
    cluster.run(&ACTIVATE[..3]).await;
    let lines = ["loginHSM CO admin NewPassword1", "createUser CU kmsuser kmsPswd1", "y"];
    let (outcome, _) = cluster.run_with(&cluster.stale(), &lines).await;
    assert_eq!(outcome, Outcome::Succeeded);
    let (outcome, printed) = cluster.run(&["loginHSM CU kmsuser kmsPswd1"]).await;
    assert_eq!(outcome, Outcome::SomethingFailed);
    assert!(printed.contains(
        "loginHSM success on server 0(10.0.2.9)\n\
         loginHSM failed: HSM Error: user isn't initialized or user with this name doesn't exist\n\
         loginHSM failed on server 1(10.0.3.11)\n"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_can_be_ignored_or_abort_the_rest() {
    let cluster = Cluster::start().await;
    cluster.run(ACTIVATE).await;
    let login = "loginHSM CO admin NewPassword1";
    let (_, printed) = cluster.run(&[login, "deleteUser CU nobody", "I", "B"]).await;
    let failed = |server| {
        format!(
            "deleteUser failed: HSM Error: user isn't initialized or user with this name doesn't \
             exist\ndeleteUser failed on server {server}\n\nRetry/rollBack/Ignore?(R/B/I):"
        )
    };
    let expected = [
        "Deleting user nobody(CU) on 2 nodes\n",
        &failed("0(10.0.2.9)"),
        &failed("1(10.0.3.11)"),
        "aws-cloudhsm>",
    ]
    .concat();
    assert!(printed.contains(&expected), "{printed}");
    let (_, printed) = cluster.run(&[login, "createUser CU kmsuser other123", "y", "A"]).await;
    assert!(
        printed
            .contains("creating user on server 0(10.0.2.9) failed\n\nRetry/Ignore/Abort?(R/I/A):")
    );
    assert!(!printed.contains("creating user on server 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_not_confirmed_is_not_made() {
    let cluster = Cluster::start().await;
    cluster
        .run(&["loginHSM PRECO admin password", "changePswd PRECO admin NewPassword1", "n"])
        .await;
    let (outcome, _) = cluster.run(&["loginHSM PRECO admin password"]).await;
    assert_eq!(outcome, Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_may_be_typed_unseen() {
    let cluster = Cluster::start().await;
    let (outcome, printed) = cluster.run(&["loginHSM PRECO admin -hpswd", "password"]).await;
    assert_eq!(outcome, Outcome::Succeeded);
    assert!(printed.starts_with("aws-cloudhsm>Enter password:\nloginHSM success on server 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_copied_in_server_mode() {
    let cluster = Cluster::start().await;
    cluster.run(ACTIVATE).await;
    let client = Client::in_process(Arc::clone(&cluster.devices[0]), Port::Client).unwrap();
    let password = Password::new("kmsPswd1").unwrap();
    client.login(Role::CryptoUser, "kmsuser", password).await.unwrap();
    let key = client.generate_key("label").await.unwrap();
    assert_eq!(key.0, 6);
    let (outcome, printed) = cluster
        .run(&[
            "loginHSM CU kmsuser kmsPswd1",
            "server 0",
            "syncKey 6 1",
            "exit",
            "findAllKeys 3 1",
            "getKeyInfo 6",
            "getAttribute 6 3",
        ])
        .await;
    assert_eq!(outcome, Outcome::Succeeded, "{printed}");
    assert!(printed.contains(
        "\nServer is in 'E2' mode...\nserver0>ExtractMaskedObject: 0x0 !\n\
         InsertMaskedObject: 0x0 !\nsyncKey success\nserver0>aws-cloudhsm>"
    ));
    let hashes: Vec<_> =
        printed.split("Key Hash:\n").skip(1).map(|rest| rest.lines().next().unwrap()).collect();
    assert_eq!(hashes.len(), 2);
    assert_eq!(hashes[0], hashes[1]);
    assert!(printed.contains(
        "Key Info on server 1(10.0.3.11):\n\n        Token/Flash Key,\n\n        Owned by user 3\n"
    ));
    assert!(printed.contains("Attribute Value on server 1(10.0.3.11):\nOBJ_ATTR_LABEL\nlabel\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_that_is_off_is_reported_and_the_others_are_managed() {
    let cluster = Cluster::start().await;
    let mut configuration = cluster.configuration.clone();
    // Port 1 of the loopback address: nobody listens.
    configuration.servers[1].port = 1;
    let (outcome, printed) =
        cluster.run_with(&configuration, &["loginHSM PRECO admin password", "info server 1"]).await;
    assert_eq!(outcome, Outcome::SomethingFailed);
    assert!(printed.contains("loginHSM success on server 0(10.0.2.9)\naws-cloudhsm>"));
    assert!(printed.contains("Disconnected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_tells_the_members_of_its_cluster() {
    let cluster = Cluster::start().await;
    let provider = Provider::of_device(Arc::clone(&cluster.devices[0]));
    provider.set_members(["10.0.2.9", "10.0.3.11"]).await.unwrap();
    let members = cluster.stale().discover(&SystemClock).await.unwrap();
    assert_eq!(
        members,
        ["10.0.2.9", "10.0.3.11"].map(|address| address.parse::<IpAddr>().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_get_an_answer() {
    let cluster = Cluster::start().await;
    for (line, answer) in [
        ("frobnicate", "Unknown command 'frobnicate', try 'help'\n"),
        ("list", "Ambiguous command 'list': listAttributes, listTokens, listUsers\n"),
        (
            "loginHSM CO",
            "Usage: loginHSM <user-type> <user-name> <password |-hpswd> [-2fa </path/to/authdata>]\n",
        ),
        ("loginHSM XX admin password", "Invalid user type 'XX': use CO, CU or PRECO\n"),
        ("server 7", "There is no server 7\n"),
        ("getKeyInfo abc", "'abc' is not a key handle\n"),
        ("exit", "Not in server mode; 'quit' ends the tool\n"),
    ] {
        let (outcome, printed) = cluster.run(&[line]).await;
        assert_eq!(outcome, Outcome::SomethingFailed, "{line}");
        assert!(printed.contains(answer), "{line}: {printed}");
    }
}
