//! Two-factor authentication of officers, as the guide shows it.

use std::path::Path;

use aws_lc_rs::digest;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::quorum::Signer;
use super::*;

/// Types lines; where the tool waits for a signed file, signs what it has written.
struct Officer<'a> {
    lines: VecDeque<String>,
    printed: String,
    signer: &'a Signer,
    file: &'a Path,
}

impl Console for Officer<'_> {
    fn print(&mut self, text: &str) -> io::Result<()> {
        self.printed.push_str(text);
        if text.contains("Enter the path of the signed file") {
            self.signer.sign_digests(self.file);
            self.lines.push_front(String::new());
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        Ok(self.lines.pop_front().map(Zeroizing::new))
    }

    fn secret(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        self.line()
    }
}

impl Signer {
    /// Decodes each digest, signs it as `openssl pkeyutl -sign -pkeyopt digest:sha256` does, and adds the key.
    fn sign_digests(&self, file: &Path) {
        let text = std::fs::read(file).unwrap();
        let mut data: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(data["Version"], "1.0");
        for entry in data["Data"].as_array_mut().unwrap() {
            assert_eq!(entry["HsmId"], "hsm-udw0tkfg1ab");
            let bytes = STANDARD.decode(entry["Digest"].as_str().unwrap()).unwrap();
            let signature = self.sign_digest(&bytes);
            entry["Signature"] = STANDARD.encode(signature).into();
        }
        if data.get("PublicKey").is_some() {
            data["PublicKey"] = std::fs::read_to_string(self.path("pub")).unwrap().into();
        }
        std::fs::write(file, data.to_string()).unwrap();
    }

    pub(super) fn sign_digest(&self, bytes: &[u8]) -> Vec<u8> {
        let digest = digest::Digest::import_less_safe(bytes, &digest::SHA256).unwrap();
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).unwrap();
        signature
    }
}

impl Cluster {
    /// Runs lines of an officer who has `signer`'s key, which signs what is written to `file`.
    async fn run_as(&self, signer: &Signer, file: &Path, lines: &[String]) -> (Outcome, String) {
        let lines = lines.iter().cloned().collect();
        let mut officer = Officer { lines, printed: String::new(), signer, file };
        let shell = Shell::connect(&self.configuration, &SystemClock, &mut officer).await.unwrap();
        let outcome = shell.run().await.unwrap();
        (outcome, officer.printed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn officers_get_a_second_factor_use_it_and_lose_it() {
    let cluster = Cluster::start().await;
    cluster.run(ACTIVATE).await;
    let dir = tempfile::tempdir().unwrap();
    let (signer, stranger) = (Signer::new(dir.path(), "anna"), Signer::new(dir.path(), "mallory"));
    let file = dir.path().join("authdata");
    let admin = "loginHSM CO admin NewPassword1".to_owned();
    let with_factor = |command: &str| format!("{command} -2fa {}", file.display());
    let run = async |signer: &Signer, lines: &[String]| cluster.run_as(signer, &file, lines).await;

    let create = with_factor("createUser CO anna annasPw1");
    let (outcome, printed) =
        run(&signer, &[admin.clone(), create, "y".to_owned(), "listUsers".to_owned()]).await;
    assert_eq!(outcome, Outcome::Succeeded, "{printed}");
    assert!(printed.contains("Creating User anna(CO) on 2 nodes\n"), "{printed}");
    let row = "CO              anna                                    YES               0              YES\n";
    assert_eq!(printed.matches(row).count(), 2, "{printed}");

    let login = "loginHSM CO anna annasPw1";
    let (outcome, printed) = run(&signer, &[with_factor(login)]).await;
    assert_eq!(outcome, Outcome::Succeeded, "{printed}");
    assert!(printed.contains("loginHSM success on server 1(10.0.3.11)\n"), "{printed}");
    let (outcome, printed) = run(&signer, &[login.to_owned()]).await;
    assert_eq!(outcome, Outcome::SomethingFailed, "{printed}");
    let (_, printed) = run(&stranger, &[with_factor(login)]).await;
    assert!(printed.contains("loginHSM failed: RET_USER_LOGIN_FAILURE"), "{printed}");

    let take_away = "changePswd CO anna annasPw1".to_owned();
    let (outcome, printed) =
        run(&signer, &[admin.clone(), take_away, "y".to_owned(), "listUsers".to_owned()]).await;
    assert_eq!(outcome, Outcome::Succeeded, "{printed}");
    assert!(!printed.contains("YES"), "{printed}");
    let (outcome, printed) = run(&signer, &[login.to_owned()]).await;
    assert_eq!(outcome, Outcome::Succeeded, "{printed}");

    let user = with_factor("createUser CU bob bobPswd1");
    let (outcome, printed) = run(&signer, &[admin, user]).await;
    assert_eq!(outcome, Outcome::SomethingFailed);
    assert!(printed.contains("Two-factor authentication is for crypto officers"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_authentication_data_change_nothing() {
    let cluster = Cluster::start().await;
    cluster.run(ACTIVATE).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("authdata");
    let other = dir.path().join("other");
    for (text, fault) in [
        ("{", "is not a file of authentication data"),
        (r#"{"Version":"2.0","Data":[]}"#, "the version is 2.0, not 1.0"),
        (r#"{"Version":"1.0","Data":[]}"#, "no signature for hsm-udw0tkfg1ab"),
    ] {
        std::fs::write(&other, text).unwrap();
        let lines = [
            "loginHSM CO admin NewPassword1".to_owned(),
            format!("createUser CO anna annasPw1 -2fa {}", file.display()),
            other.display().to_string(),
            "listUsers".to_owned(),
        ];
        let (outcome, printed) = cluster.run_lines(&lines).await;
        assert_eq!(outcome, Outcome::SomethingFailed, "{printed}");
        assert!(printed.contains(fault), "{printed}");
        assert!(printed.contains("Number of users found:3\n"), "{printed}");
    }
}
