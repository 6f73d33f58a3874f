//! Roles, passwords, lock-out, login state.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use strongroom_hsm::limits::{LOGIN_FAILURES_MAX, SESSIONS_MAX};
use strongroom_hsm::wire::{NewSecondFactor, Signature};
use strongroom_hsm::{Client, HsmError, Port, Refusal, Role, SecondFactorKey, UserInfo};

use crate::support::{KMSUSER, Node, OFFICER, password, refusal};

async fn listed(client: &Client) -> Vec<(u32, Role, String, u32)> {
    let row =
        |user: UserInfo| (user.id.0, user.role, user.name.as_str().to_owned(), user.login_failures);
    client.list_users().await.unwrap().into_iter().map(row).collect()
}

#[tokio::test]
async fn a_new_cluster_has_a_precrypto_officer_and_an_appliance_user() {
    let node = Node::initialized().await;
    let client = node.client(Port::Management);
    assert_eq!(
        listed(&client).await,
        [
            (1, Role::PrecryptoOfficer, "admin".to_owned(), 0),
            (2, Role::ApplianceUser, "app_user".to_owned(), 0),
        ]
    );
    assert!(!client.info().await.unwrap().activated);
}

#[tokio::test]
async fn a_precrypto_officer_may_only_set_its_password_and_becomes_a_crypto_officer() {
    let node = Node::initialized().await;
    let client = node.client(Port::Management);
    client.login(Role::PrecryptoOfficer, "admin", password("password")).await.unwrap();
    let refused = client.create_user(Role::CryptoUser, "bob", password("bobs1234"), None).await;
    assert!(matches!(refusal(refused), Refusal::RoleNotAllowed { .. }));
    let refused = client.generate_key("label").await;
    assert!(matches!(refusal(refused), Refusal::RoleNotAllowed { .. }));
    client.change_password(Role::PrecryptoOfficer, "admin", password(OFFICER)).await.unwrap();
    assert_eq!(listed(&client).await[0].1, Role::CryptoOfficer);
    assert!(client.info().await.unwrap().activated);
    // The session goes on as a CO's.
    client.create_user(Role::CryptoUser, "bob", password("bobs1234"), None).await.unwrap();
}

#[tokio::test]
async fn five_wrong_passwords_lock_out_and_a_new_password_unlocks() {
    let node = Node::activated().await;
    let client = node.client(Port::Client);
    for _ in 0..LOGIN_FAILURES_MAX {
        let wrong = client.login(Role::CryptoUser, "kmsuser", password("wrong123")).await;
        assert!(matches!(refusal(wrong), Refusal::WrongPassword { .. }));
    }
    let locked = client.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await;
    assert!(matches!(refusal(locked), Refusal::UserLockedOut { .. }));
    assert_eq!(listed(&client).await[2].3, LOGIN_FAILURES_MAX);
    let officer = node.officer().await;
    officer.change_password(Role::CryptoUser, "kmsuser", password("renewed1")).await.unwrap();
    client.login(Role::CryptoUser, "kmsuser", password("renewed1")).await.unwrap();
}

#[tokio::test]
async fn the_last_attempt_counts_and_a_success_forgives() {
    let node = Node::activated().await;
    let client = node.client(Port::Client);
    for _ in 1..LOGIN_FAILURES_MAX {
        let wrong = client.login(Role::CryptoUser, "kmsuser", password("wrong123")).await;
        refusal(wrong);
    }
    client.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await.unwrap();
    assert_eq!(listed(&client).await[2].3, 0);
}

#[tokio::test]
async fn failed_logins_survive_a_power_failure() {
    let mut node = Node::activated().await;
    for _ in 0..LOGIN_FAILURES_MAX {
        let client = node.client(Port::Client);
        refusal(client.login(Role::CryptoUser, "kmsuser", password("wrong123")).await);
        drop(client);
        node = node.reboot();
    }
    let locked =
        node.client(Port::Client).login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await;
    assert!(matches!(refusal(locked), Refusal::UserLockedOut { .. }));
}

#[tokio::test]
async fn parallel_guesses_are_counted_like_serial_ones() {
    let node = Node::activated().await;
    let guesses = (0..20).map(|_| {
        let client = node.client(Port::Client);
        tokio::spawn(async move {
            refusal(client.login(Role::CryptoUser, "kmsuser", password("wrong123")).await)
        })
    });
    let mut wrong = 0;
    for guess in guesses.collect::<Vec<_>>() {
        if matches!(guess.await.unwrap(), Refusal::WrongPassword { .. }) {
            wrong += 1;
        }
    }
    assert_eq!(wrong, LOGIN_FAILURES_MAX);
}

#[tokio::test]
async fn names_ignore_case_and_passwords_do_not() {
    let node = Node::activated().await;
    let client = node.client(Port::Client);
    let wrong = client.login(Role::CryptoUser, "kmsuser", password("KMSUSER1PW")).await;
    assert!(matches!(refusal(wrong), Refusal::WrongPassword { .. }));
    client.login(Role::CryptoUser, "KmsUser", password(KMSUSER)).await.unwrap();
}

#[tokio::test]
async fn a_login_needs_the_right_role() {
    let node = Node::activated().await;
    let client = node.client(Port::Client);
    let other_role = client.login(Role::CryptoOfficer, "kmsuser", password(KMSUSER)).await;
    assert!(matches!(refusal(other_role), Refusal::UserNotFound { .. }));
    let nobody = client.login(Role::CryptoUser, "nobody", password(KMSUSER)).await;
    assert!(matches!(refusal(nobody), Refusal::UserNotFound { .. }));
    let appliance = client.login(Role::ApplianceUser, "app_user", password("password")).await;
    assert!(matches!(refusal(appliance), Refusal::UserNotFound { .. }));
}

#[tokio::test]
async fn a_user_who_is_logged_in_elsewhere_cannot_be_changed_or_deleted() {
    let node = Node::activated().await;
    let (first, second) = (node.user().await, node.user().await);
    let own = second.change_password(Role::CryptoUser, "kmsuser", password("renewed1")).await;
    assert!(matches!(refusal(own), Refusal::UserLoggedIn { .. }));
    let officer = node.officer().await;
    let by_officer = officer.change_password(Role::CryptoUser, "kmsuser", password("new12345"));
    assert!(matches!(refusal(by_officer.await), Refusal::UserLoggedIn { .. }));
    let deleted = officer.delete_user(Role::CryptoUser, "kmsuser").await;
    assert!(matches!(refusal(deleted), Refusal::UserLoggedIn { .. }));
    drop(first);
    second.change_password(Role::CryptoUser, "kmsuser", password("renewed1")).await.unwrap();
    second.logout().await.unwrap();
    officer.delete_user(Role::CryptoUser, "kmsuser").await.unwrap();
    assert_eq!(listed(&officer).await.len(), 2);
}

#[tokio::test]
async fn a_user_who_owns_keys_cannot_be_deleted() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("label").await.unwrap();
    user.logout().await.unwrap();
    let officer = node.officer().await;
    let refused = officer.delete_user(Role::CryptoUser, "kmsuser").await;
    assert!(matches!(refusal(refused), Refusal::UserOwnsKeys { .. }));
    user.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await.unwrap();
    user.delete_key(key).await.unwrap();
    user.logout().await.unwrap();
    officer.delete_user(Role::CryptoUser, "kmsuser").await.unwrap();
}

#[tokio::test]
async fn a_crypto_user_may_not_manage_users_and_an_officer_may_not_use_keys() {
    let node = Node::activated().await;
    let user = node.user().await;
    let created = user.create_user(Role::CryptoUser, "bob", password("bobs1234"), None).await;
    assert!(matches!(refusal(created), Refusal::RoleNotAllowed { .. }));
    let changed = user.change_password(Role::CryptoOfficer, "admin", password("renewed1")).await;
    assert!(matches!(refusal(changed), Refusal::RoleNotAllowed { .. }));
    let officer = node.officer().await;
    assert!(matches!(refusal(officer.generate_key("label").await), Refusal::RoleNotAllowed { .. }));
}

#[tokio::test]
async fn without_a_login_only_reading_is_possible() {
    let node = Node::activated().await;
    let client = node.client(Port::Client);
    client.info().await.unwrap();
    client.list_users().await.unwrap();
    assert_eq!(refusal(client.random(16).await), Refusal::NotLoggedIn);
    assert_eq!(refusal(client.generate_key("label").await), Refusal::NotLoggedIn);
    assert_eq!(refusal(client.logout().await), Refusal::NotLoggedIn);
}

#[tokio::test]
async fn invalid_names_and_passwords_are_refused() {
    let node = Node::activated().await;
    let officer = node.officer().await;
    let create = async |name: &str, text: &str| {
        refusal(officer.create_user(Role::CryptoUser, name, password(text), None).await)
    };
    assert_eq!(create("bad-name", "password1").await, Refusal::InvalidUserName);
    assert_eq!(create("bob", "short6").await, Refusal::InvalidPassword);
    assert_eq!(create("bob", "has space1").await, Refusal::InvalidPassword);
    assert!(matches!(create("KMSUSER", "password1").await, Refusal::UserExists { .. }));
}

/// A key outside the HSM that signs challenges.
struct Factor(RsaKeyPair);

impl Factor {
    fn new() -> Self {
        Self(RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap())
    }

    /// Signs what the HSM gave as the SHA-256 digest that it is taken for.
    fn sign(&self, challenge: &[u8; 32]) -> Signature {
        let digest = digest::Digest::import_less_safe(challenge, &digest::SHA256).unwrap();
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).unwrap();
        Signature::new(signature).unwrap()
    }

    async fn for_session(&self, client: &Client) -> NewSecondFactor {
        let key = SecondFactorKey::new(self.0.public_key().as_ref().to_vec()).unwrap();
        NewSecondFactor { key, signature: self.sign(&client.challenge().await.unwrap()) }
    }
}

const SECRET: &str = "with2fa1";

/// Logs in with a password and the factor.
async fn login(client: &Client, role: Role, name: &str, factor: &Factor) -> Result<(), HsmError> {
    let signature = factor.sign(&client.challenge().await.unwrap());
    client.login_with_factor(role, name, password(SECRET), Some(signature)).await
}

#[tokio::test]
async fn a_second_factor_is_demanded_and_verified() {
    let node = Node::activated().await;
    let officer = node.officer().await;
    let (factor, stranger) = (Factor::new(), Factor::new());
    let create = async |second| {
        officer.create_user(Role::CryptoUser, "kms2fa", password(SECRET), Some(second)).await
    };
    // Who gives a user a second factor shows that its owner has the private key.
    let stolen = NewSecondFactor {
        key: factor.for_session(&officer).await.key,
        ..stranger.for_session(&officer).await
    };
    assert_eq!(refusal(create(stolen).await), Refusal::SignatureInvalid);
    let once = factor.for_session(&officer).await;
    create(once.clone()).await.unwrap();
    assert_eq!(refusal(create(once).await), Refusal::SignatureInvalid, "one challenge, one use");

    let client = node.client(Port::Client);
    let without = client.login(Role::CryptoUser, "kms2fa", password(SECRET)).await;
    assert!(matches!(refusal(without), Refusal::SecondFactorRequired { .. }));
    let forged = login(&client, Role::CryptoUser, "kms2fa", &stranger).await;
    assert!(matches!(refusal(forged), Refusal::WrongPassword { .. }));
    let signature = factor.sign(&client.challenge().await.unwrap());
    let with = async |factor| {
        client.login_with_factor(Role::CryptoUser, "kms2fa", password(SECRET), factor).await
    };
    with(Some(signature.clone())).await.unwrap();
    client.logout().await.unwrap();
    // The challenge was for one attempt.
    let replayed = with(Some(signature)).await;
    assert!(matches!(refusal(replayed), Refusal::SecondFactorRequired { .. }));
}

/// CloudHSM user guide, *Using CMU to manage two-factor authentication*.
#[tokio::test]
async fn a_changed_password_sets_rotates_and_takes_away_a_second_factor() {
    let node = Node::activated().await;
    let officer = node.officer().await;
    let (first, second) = (Factor::new(), Factor::new());
    officer.create_user(Role::CryptoOfficer, "anna", password(SECRET), None).await.unwrap();
    let shown = async || {
        let users = officer.list_users().await.unwrap();
        let anna = users.into_iter().find(|user| user.name.as_str() == "anna").unwrap();
        (anna.second_factor, anna.quorum_key)
    };
    let change = async |factor| {
        let role = Role::CryptoOfficer;
        officer.change_password_and_factor(role, "anna", password(SECRET), factor).await.unwrap();
    };
    assert_eq!(shown().await, (false, false));
    change(Some(first.for_session(&officer).await)).await;
    // One key serves both.
    assert_eq!(shown().await, (true, true));
    change(Some(second.for_session(&officer).await)).await;
    let client = node.client(Port::Client);
    let rotated = login(&client, Role::CryptoOfficer, "anna", &first).await;
    assert!(matches!(refusal(rotated), Refusal::WrongPassword { .. }));
    login(&client, Role::CryptoOfficer, "anna", &second).await.unwrap();
    client.logout().await.unwrap();
    change(None).await;
    assert_eq!(shown().await, (false, false));
    client.login(Role::CryptoOfficer, "anna", password(SECRET)).await.unwrap();
}

#[tokio::test]
async fn sessions_are_exhausted_and_come_back() {
    let node = Node::initialized().await;
    let mut clients: Vec<_> = (0..SESSIONS_MAX).map(|_| node.client(Port::Client)).collect();
    assert_eq!(node.device.open_session(Port::Client), Err(Refusal::SessionsExhausted));
    clients.pop();
    assert!(node.device.open_session(Port::Client).is_ok());
}

#[tokio::test]
async fn the_audit_log_tells_the_story_with_numbers_in_order() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("label").await.unwrap();
    user.delete_key(key).await.unwrap();
    refusal(user.delete_key(key).await);
    drop(user);
    let log = node.provider().audit_log(0).await.unwrap();
    let field = |name: &str| -> Vec<String> {
        log.lines().filter_map(|line| line.strip_prefix(name)).map(str::to_owned).collect()
    };
    let numbers = field("Sequence No : ");
    assert_eq!(numbers, (0..numbers.len()).map(|n| format!("{n:#x}")).collect::<Vec<_>>());
    assert_eq!(
        field("Opcode : "),
        [
            "CN_INIT_TOKEN (0x1)",
            "CN_GEN_PSWD_ENC_KEY (0x1d)",
            "CN_CREATE_APPLIANCE_USER (0xfc)",
            "CN_CERT_AUTH_STORE_CERT",
            "CN_INIT_DONE (0x95)",
            "CN_LOGIN (0xd)",
            "CN_CHANGE_PSWD (0x9)",
            "CN_CREATE_USER (0x3)",
            "CN_CLOSE_SESSION",
            "CN_LOGIN (0xd)",
            "CN_GENERATE_KEY (0x17)",
            "CN_DESTROY_OBJECT (0x11)",
            "CN_DESTROY_OBJECT (0x11)",
            "CN_CLOSE_SESSION",
        ]
    );
    assert_eq!(field("Response : ")[12].split(':').next(), Some("168"));
    assert!(!log.contains(KMSUSER) && !log.contains(OFFICER));
}
