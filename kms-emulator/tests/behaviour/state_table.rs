//! K2: every operation that is provided, in every state that a key of the default store can be in,
//! against the guide's table.

use serde_json::{Value, json};

use crate::harness::Server;

const GUIDE: &str = include_str!("../../src/kms/state_table.tsv");
const STATES: [&str; 3] = ["Enabled", "Disabled", "PendingDeletion"];

/// A key in a state, with an alias and a ciphertext from before.
struct Subject {
    key: String,
    alias: String,
    blob: Value,
}

async fn call(server: &Server, operation: &str, input: Value) -> Result<Value, String> {
    let target = format!("TrentService.{operation}");
    server.emulator.call(&target, &input).await.map_err(|error| format!("{error}"))
}

async fn subject(server: &Server, state: &str) -> Subject {
    let key = server.create_key().await;
    let alias = format!("alias/{key}");
    let input = json!({"AliasName": alias, "TargetKeyId": key});
    call(server, "CreateAlias", input).await.unwrap();
    let input = json!({"KeyId": key, "Plaintext": "AAAA"});
    let blob = call(server, "Encrypt", input).await.unwrap()["CiphertextBlob"].clone();
    let to = match state {
        "Disabled" => Some("DisableKey"),
        "PendingDeletion" => Some("ScheduleKeyDeletion"),
        _ => None,
    };
    if let Some(operation) = to {
        call(server, operation, json!({"KeyId": key})).await.unwrap();
    }
    Subject { key, alias, blob }
}

/// The input of an operation on the subject; none for an operation that is not provided.
fn input(operation: &str, subject: &Subject, other: &str) -> Option<Value> {
    let key = &subject.key;
    Some(match operation {
        "CancelKeyDeletion"
        | "DescribeKey"
        | "DisableKey"
        | "EnableKey"
        | "GetKeyPolicy"
        | "ListResourceTags"
        | "ScheduleKeyDeletion" => json!({"KeyId": key}),
        "CreateAlias" => json!({"AliasName": format!("{}-2", subject.alias), "TargetKeyId": key}),
        "DeleteAlias" => json!({"AliasName": subject.alias}),
        "UpdateAlias" => json!({"AliasName": subject.alias, "TargetKeyId": other}),
        "ListAliases" => json!({"KeyId": key}),
        "Decrypt" => json!({"CiphertextBlob": subject.blob}),
        "Encrypt" => json!({"KeyId": key, "Plaintext": "AAAA"}),
        "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => {
            json!({"KeyId": key, "KeySpec": "AES_256"})
        }
        "ReEncrypt" => json!({"CiphertextBlob": subject.blob, "DestinationKeyId": other}),
        "PutKeyPolicy" => json!({"KeyId": key, "Policy": json!({
            "Version": "2012-10-17", "Statement":
                {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
        }).to_string()}),
        "TagResource" => json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        "UntagResource" => json!({"KeyId": key, "TagKeys": ["a"]}),
        _ => return None,
    })
}

#[tokio::test]
async fn every_provided_operation_follows_the_guide() {
    let server = Server::start().await;
    let other = server.create_key().await;
    let mut cells = 0;
    for line in GUIDE.lines().skip(1) {
        let mut columns = line.split('\t');
        let operation = columns.next().unwrap();
        for (state, cell) in STATES.into_iter().zip(columns) {
            let subject = subject(&server, state).await;
            let Some(input) = input(operation, &subject, &other) else { continue };
            let outcome = call(&server, operation, input).await;
            let place = format!("{operation} on a key that is {state}: {cell}, {outcome:?}");
            match (cell.split('[').next().unwrap(), &outcome) {
                // The one cell that leaves the decision open: an alias may leave a key in any state.
                ("OK" | "COND", Ok(_)) => {}
                ("FAIL", Err(message)) => {
                    let fits = match cell {
                        "FAIL[1]" => message.starts_with("DisabledException"),
                        _ => message.starts_with("KMSInvalidStateException"),
                    };
                    assert!(fits, "{place}");
                }
                _ => panic!("{place}"),
            }
            cells += 1;
        }
    }
    let input = json!({"AliasName": "alias/x", "TargetKeyId": other});
    call(&server, "CreateAlias", input).await.unwrap();
    let doomed = subject(&server, "PendingDeletion").await.key;
    let refused =
        call(&server, "UpdateAlias", json!({"AliasName": "alias/x", "TargetKeyId": doomed}));
    assert!(refused.await.unwrap_err().contains("is pending deletion"));
    println!("K2: {cells} cells over the dispatcher, 0 deviations");
}
