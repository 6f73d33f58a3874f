//! Quorum authentication, shared keys and copied users, as the guide shows them.

use std::path::PathBuf;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;

use super::*;

/// An officer's signing key, and the files that the officer makes with it.
pub(super) struct Signer {
    pub(super) key: RsaKeyPair,
    dir: PathBuf,
    name: &'static str,
}

impl Signer {
    pub(super) fn new(dir: &Path, name: &'static str) -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let signer = Self { key, dir: dir.to_owned(), name };
        let der = signer.key.public_key().as_der().unwrap();
        let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        let lines: Vec<_> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        std::fs::write(signer.path("pub"), pem).unwrap();
        std::fs::write(signer.path("token"), format!("token of {name}")).unwrap();
        signer.sign(&signer.path("token"), &signer.path("token.sig"));
        signer
    }

    pub(super) fn path(&self, kind: &str) -> PathBuf {
        self.dir.join(format!("{}.{kind}", self.name))
    }

    /// What `openssl dgst -sha256 -sign` does.
    fn sign(&self, file: &Path, signature: &Path) {
        let message = std::fs::read(file).unwrap();
        let mut bytes = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut bytes).unwrap();
        std::fs::write(signature, bytes).unwrap();
    }

    fn registration(&self) -> String {
        format!(
            "registerQuorumPubKey CO {} {} {} {}",
            self.name,
            self.path("token").display(),
            self.path("token.sig").display(),
            self.path("pub").display()
        )
    }
}

impl Cluster {
    /// Runs lines that were made at run time.
    pub(super) async fn run_lines(&self, lines: &[String]) -> (Outcome, String) {
        let lines: Vec<&'static str> =
            lines.iter().map(|line| &*Box::leak(line.clone().into_boxed_str())).collect();
        self.run(&lines).await
    }

    /// Two officers beside `admin`, who have registered their keys.
    async fn officers(&self, dir: &Path) -> [Signer; 2] {
        self.run(ACTIVATE).await;
        let signers = [Signer::new(dir, "officer1"), Signer::new(dir, "officer2")];
        for signer in &signers {
            let name = signer.name;
            let lines = [
                "loginHSM CO admin NewPassword1".to_owned(),
                format!("createUser CO {name} {name}pw1"),
                "y".to_owned(),
                "logoutHSM".to_owned(),
                format!("loginHSM CO {name} {name}pw1"),
                signer.registration(),
                "y".to_owned(),
            ];
            let (outcome, printed) = self.run_lines(&lines).await;
            assert_eq!(outcome, Outcome::Succeeded, "{printed}");
            assert!(printed.contains("registerQuorumPubKey success on server 1(10.0.3.11)\n"));
        }
        signers
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_managed_by_a_quorum() {
    let cluster = Cluster::start().await;
    let dir = tempfile::tempdir().unwrap();
    let signers = cluster.officers(dir.path()).await;
    let (outcome, printed) = cluster
        .run(&[
            "loginHSM CO officer1 officer1pw1",
            "listUsers",
            "setMValue 3 2",
            "y",
            "getMValue 3",
        ])
        .await;
    assert_eq!(outcome, Outcome::Succeeded, "{printed}");
    assert!(printed.contains("Setting M Value(2) for 3 on 2 nodes\n"), "{printed}");
    assert!(printed.contains("MValue of service 3[USER_MGMT] on server 1 : [2]\n"), "{printed}");
    let registered =
        "officer2                                YES               0               NO\n";
    assert!(printed.contains(registered), "{printed}");

    let token = dir.path().join("quorum.token");
    let approval = dir.path().join("approval.txt");
    let get = format!("getToken 3 officer1 {}", token.display());
    let login = "loginHSM CO officer1 officer1pw1";
    // Alone it fails; tokens live in the HSM, so that the tool may be started anew.
    let lines = [login, "createUser CU user1 password1", "y", "A", &get].map(str::to_owned);
    let (_, printed) = cluster.run_lines(&lines).await;
    assert!(
        printed.contains(
            "createUser failed: RET_MXN_AUTH_FAILED\ncreating user on server 0(10.0.2.9) failed\n"
        ),
        "{printed}"
    );
    let head = "getToken success on server 0(10.0.2.9)\nToken:\nId:1\nService:3\nNode:0\n\
                Key Handle:0\nUser:officer1\n";
    assert!(printed.contains(head), "{printed}");

    let mut text = format!(
        "Multi Token File Path = {};\nToken File Path = ;\nNumber of Approvals = 2;\n",
        token.display()
    );
    for signer in &signers {
        let signature = signer.path("approval");
        signer.sign(&token, &signature);
        text.push_str(&format!(
            "Approver Type = 2;\nApprover Name = {};\nApproval File = {};\n",
            signer.name,
            signature.display()
        ));
    }
    std::fs::write(&approval, text).unwrap();
    let approve = format!("approveToken {}", approval.display());
    let lines = [
        login,
        &approve,
        "listTokens",
        "createUser CU user1 password1",
        "y",
        "deleteUser CU user1",
        "I",
        "I",
        "listTokens",
    ]
    .map(str::to_owned);
    let (_, printed) = cluster.run_lines(&lines).await;
    assert!(printed.contains("approveToken success on server 1(10.0.3.11)\n"), "{printed}");
    assert!(
        printed.contains(
            "Required num of approvers : 2\nCurrent num of approvals : 2\nApprover-0: officer1\n\
             Approver-1: officer2\nNum of tokens = 1\n"
        ),
        "{printed}"
    );
    // One token, one operation.
    assert!(
        printed.contains(
            "Creating User user1(CU) on 2 nodes\naws-cloudhsm>Deleting user user1(CU) on 2 nodes\n\
             deleteUser failed: RET_MXN_AUTH_FAILED\ndeleteUser failed on server 0(10.0.2.9)\n"
        ),
        "{printed}"
    );
    assert!(printed.ends_with(
        "    Server 1(10.0.3.11)\n=====================\nNum of tokens = 0\n\nlistTokens success\n\
         aws-cloudhsm>\ndisconnecting from servers, please wait...\n"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_that_do_not_count_are_refused() {
    let cluster = Cluster::start().await;
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = cluster.officers(dir.path()).await;
    let token = dir.path().join("quorum.token");
    let approval = dir.path().join("approval.txt");
    let login = "loginHSM CO officer1 officer1pw1".to_owned();
    let get = format!("getToken 3 officer1 {}", token.display());
    cluster.run_lines(&[login.clone(), get]).await;
    let approve = async |approver: &str, signature: &Path| {
        let text = format!(
            "Multi Token File Path = {};\nNumber of Approvals = 1;\nApprover Type = 2;\n\
             Approver Name = {approver};\nApproval File = {};\n",
            token.display(),
            signature.display()
        );
        std::fs::write(&approval, text).unwrap();
        let approve = format!("approveToken {}", approval.display());
        cluster.run_lines(&[login.clone(), approve]).await.1
    };
    second.sign(&token, &second.path("approval"));
    let foreign = approve("officer1", &second.path("approval")).await;
    assert!(foreign.contains("approveToken failed: HSM Error: signature is not valid\n"));
    let without_key = approve("admin", &second.path("approval")).await;
    assert!(without_key.contains("approveToken failed: HSM Error: the approver has no quorum key"));
    // A signature over something else than the tokens.
    first.sign(&first.path("pub"), &first.path("approval"));
    let other = approve("officer1", &first.path("approval")).await;
    assert!(other.contains("approveToken failed: HSM Error: signature is not valid\n"), "{other}");
    // A key cannot be registered by somebody who does not have it.
    let theft = second.registration().replace("officer2.token.sig", "officer1.token.sig");
    let lines = ["loginHSM CO officer2 officer2pw1".to_owned(), theft, "y".to_owned()];
    let (_, printed) = cluster.run_lines(&lines).await;
    assert!(printed.contains("registerQuorumPubKey failed: HSM Error: signature is not valid\n"));
    // More officers than there are cannot be asked for, nor can a quorum be lifted alone.
    let lines = [
        login.as_str(),
        "setMValue 3 4",
        "y",
        "setMValue 3 2",
        "y",
        "setMValue 3 1",
        "y",
        "getMValue 3",
    ]
    .map(str::to_owned);
    let (_, printed) = cluster.run_lines(&lines).await;
    assert!(printed.contains("setMValue failed: HSM Error: a quorum is of 1 to 8 officers"));
    assert!(printed.contains("setMValue failed: RET_MXN_AUTH_FAILED\n"), "{printed}");
    assert!(printed.contains("MValue of service 3[USER_MGMT] on server 0 : [2]\n"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_shared_and_users_are_copied() {
    let cluster = Cluster::start().await;
    cluster.run(ACTIVATE).await;
    let lines = ["loginHSM CO admin NewPassword1", "createUser CU other otherPswd1", "y"];
    cluster.run_with(&cluster.stale(), &lines).await;
    let (outcome, printed) = cluster
        .run(&["loginHSM CO admin NewPassword1", "server 0", "syncUser 4 1", "exit", "logoutHSM"])
        .await;
    assert_eq!(outcome, Outcome::Succeeded, "{printed}");
    assert!(printed.contains(
        "server0>ExtractMaskedObject: 0x0 !\nInsertMaskedObject: 0x0 !\nsyncUser success\n"
    ));
    let (outcome, _) = cluster.run(&["loginHSM CU other otherPswd1"]).await;
    assert_eq!(outcome, Outcome::Succeeded, "the copy has the password");

    for device in &cluster.devices {
        let client = Client::in_process(Arc::clone(device), Port::Client).unwrap();
        let password = Password::new("kmsPswd1").unwrap();
        client.login(Role::CryptoUser, "kmsuser", password).await.unwrap();
        client.generate_key("label").await.unwrap();
    }
    let other = "loginHSM CU other otherPswd1";
    let (_, printed) = cluster.run(&[other, "getKeyInfo 6"]).await;
    assert!(printed.contains("getKeyInfo failed: HSM Error: Key Access is denied\n"), "{printed}");
    let (outcome, printed) =
        cluster.run(&["loginHSM CU kmsuser kmsPswd1", "shareKey 6 4 1", "y", "getKeyInfo 6"]).await;
    assert_eq!(outcome, Outcome::Succeeded, "{printed}");
    assert!(printed.contains("shareKey success on server 1(10.0.3.11)\n"), "{printed}");
    assert!(printed.contains("also, shared to following 1 user(s):\n\n                 4\n"));
    // Who shares a key may use it, and neither share it on nor change it.
    let (_, printed) = cluster
        .run(&[other, "getKeyInfo 6", "shareKey 6 3 1", "y", "setAttribute 6 261 0", "y"])
        .await;
    assert!(printed.contains("Owned by user 3\n"), "{printed}");
    assert!(printed.contains("shareKey failed: HSM Error: Key Access is denied\n"), "{printed}");
    assert!(printed.contains("setAttribute failed: HSM Error: Key Access is denied\n"));
    let lines = [
        "loginHSM CU kmsuser kmsPswd1",
        "shareKey 6 4 0",
        "y",
        "setAttribute 6 261 0",
        "y",
        "getAttribute 6 261",
    ];
    let (_, printed) = cluster.run(&lines).await;
    assert!(printed.contains("setAttribute success on server 0(10.0.2.9)\n"), "{printed}");
    assert!(printed.contains("OBJ_ATTR_DECRYPT\n0x00\n"), "{printed}");
    let (_, printed) = cluster.run(&[other, "getKeyInfo 6"]).await;
    assert!(printed.contains("getKeyInfo failed: HSM Error: Key Access is denied\n"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_shown_in_server_mode() {
    let cluster = Cluster::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("root.crt");
    let get = format!("getCert {} 4", file.display());
    let lines = ["server 0".to_owned(), get.clone()];
    let (outcome, printed) = cluster.run_lines(&lines).await;
    assert_eq!(outcome, Outcome::Succeeded, "{printed}");
    assert!(printed.contains("getCert Success\n"), "{printed}");
    let anchor = std::fs::read_to_string(&cluster.configuration.certificate).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), anchor);
    let (_, printed) = cluster.run_lines(&[get]).await;
    assert!(printed.contains("getCert works in server mode"), "{printed}");
}
