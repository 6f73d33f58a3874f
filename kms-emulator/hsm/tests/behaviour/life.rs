//! A device under random commands, beside a model that has no cryptography and no disk.

use std::collections::BTreeMap;

use proptest::prelude::*;
use strongroom_hsm::{Client, KeyHandle, Plaintext, Port, Role};

use crate::support::{KMSUSER, Node, password};

#[derive(Debug, Clone)]
enum Step {
    Generate { label: u8 },
    Delete { index: usize },
    Seal { index: usize },
    Open { index: usize },
    PowerFailure,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_u8..4).prop_map(|label| Step::Generate { label }),
        1 => (0_usize..8).prop_map(|index| Step::Delete { index }),
        3 => (0_usize..8).prop_map(|index| Step::Seal { index }),
        3 => (0_usize..8).prop_map(|index| Step::Open { index }),
        1 => Just(Step::PowerFailure),
    ];
    proptest::collection::vec(step, 1..25)
}

/// What should be there: label by key, and messages with the key that made them.
#[derive(Default)]
struct Model {
    keys: BTreeMap<KeyHandle, u8>,
    messages: Vec<(KeyHandle, Vec<u8>)>,
}

async fn login(node: &Node) -> Client {
    let client = node.client(Port::Client);
    client.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await.unwrap();
    client
}

async fn check(model: &Model, client: &Client) {
    for label in 0..4_u8 {
        let expected: Vec<_> =
            model.keys.iter().filter(|(_, of)| **of == label).map(|(handle, _)| *handle).collect();
        assert_eq!(client.find_keys(&format!("label {label}")).await.unwrap(), expected);
    }
}

async fn run(steps: Vec<Step>) {
    let mut node = Node::activated().await;
    let mut client = login(&node).await;
    let mut model = Model::default();
    for step in steps {
        let key_at = |index: usize| model.keys.keys().nth(index).copied();
        match step {
            Step::Generate { label } => {
                let handle = client.generate_key(&format!("label {label}")).await.unwrap();
                assert!(model.keys.insert(handle, label).is_none(), "a number was used twice");
            }
            Step::Delete { index } => {
                if let Some(handle) = key_at(index) {
                    client.delete_key(handle).await.unwrap();
                    model.keys.remove(&handle);
                }
            }
            Step::Seal { index } => {
                if let Some(handle) = key_at(index) {
                    let text = Plaintext::new(&handle.0.to_be_bytes()).unwrap();
                    let message = client.seal(handle, b"life", text).await.unwrap();
                    model.messages.push((handle, message));
                }
            }
            Step::Open { index } => {
                if let Some((handle, message)) = model.messages.get(index) {
                    let opened = client.open(*handle, b"life", message).await;
                    assert_eq!(opened.is_ok(), model.keys.contains_key(handle));
                    if let Ok(opened) = opened {
                        assert_eq!(opened.expose(), handle.0.to_be_bytes());
                    }
                }
            }
            Step::PowerFailure => {
                drop(client);
                node = node.reboot();
                client = login(&node).await;
            }
        }
        check(&model, &client).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_device_does_what_the_model_does(steps in steps()) {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap()
            .block_on(run(steps));
    }
}
