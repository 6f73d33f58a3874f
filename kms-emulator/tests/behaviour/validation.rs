//! What the server says of input that does not fit the API model.

use crate::harness::Server;

#[tokio::test]
async fn constraints_are_worded_as_aws_words_them() {
    let server = Server::start().await;
    let key = server.create_key().await;
    let long = "a".repeat(2049);
    let plaintext = |bytes: usize| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(vec![0; bytes])
    };
    for (operation, body, message) in [
        (
            "DescribeKey",
            "{}".to_owned(),
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: \
             Member must not be null"
                .to_owned(),
        ),
        (
            "DescribeKey",
            r#"{"KeyId":""}"#.to_owned(),
            "1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: \
             Member must have length greater than or equal to 1"
                .to_owned(),
        ),
        (
            "DescribeKey",
            format!(r#"{{"KeyId":"{long}"}}"#),
            format!(
                "1 validation error detected: Value '{}' at 'keyId' failed to satisfy constraint: \
                 Member must have length less than or equal to 2048",
                &long[..256]
            ),
        ),
        (
            "Encrypt",
            format!(r#"{{"KeyId":"{key}","Plaintext":"{}"}}"#, plaintext(4097)),
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: \
             Member must have length less than or equal to 4096"
                .to_owned(),
        ),
        (
            "GenerateDataKey",
            format!(r#"{{"KeyId":"{key}","KeySpec":"AES_512"}}"#),
            "1 validation error detected: Value 'AES_512' at 'keySpec' failed to satisfy \
             constraint: Member must satisfy enum value set: [AES_256, AES_128]"
                .to_owned(),
        ),
        (
            "GenerateDataKey",
            r#"{"NumberOfBytes":1025}"#.to_owned(),
            "2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: \
             Member must not be null; Value '1025' at 'numberOfBytes' failed to satisfy \
             constraint: Member must have value less than or equal to 1024"
                .to_owned(),
        ),
        (
            "TagResource",
            format!(r#"{{"KeyId":"{key}","Tags":[{{"TagKey":"","TagValue":"x"}}]}}"#),
            "1 validation error detected: Value '' at 'tags.1.member.tagKey' failed to satisfy \
             constraint: Member must have length greater than or equal to 1"
                .to_owned(),
        ),
        (
            "CreateAlias",
            format!(r#"{{"AliasName":"alias/a b","TargetKeyId":"{key}"}}"#),
            "1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
                .to_owned(),
        ),
    ] {
        let reply = server.kms(operation, &body).await;
        assert_eq!((reply.code().as_str(), reply.message()), ("ValidationException", message));
    }
}

#[tokio::test]
async fn mistyped_members_are_not_guessed() {
    let server = Server::start().await;
    let key = server.create_key().await;
    for (operation, body) in [
        ("DescribeKey", "[]".to_owned()),
        ("DescribeKey", "{".to_owned()),
        ("DescribeKey", r#"{"KeyId":1}"#.to_owned()),
        ("DescribeKey", r#"{"KeyId":["x"]}"#.to_owned()),
        ("DescribeKey", r#"{"KeyId":"x","GrantTokens":"y"}"#.to_owned()),
        ("Encrypt", format!(r#"{{"KeyId":"{key}","Plaintext":"not base64!"}}"#)),
        ("Encrypt", format!(r#"{{"KeyId":"{key}","Plaintext":"AA==","DryRun":"true"}}"#)),
        (
            "Encrypt",
            format!(r#"{{"KeyId":"{key}","Plaintext":"AA==","EncryptionContext":{{"a":1}}}}"#),
        ),
        ("GenerateRandom", r#"{"NumberOfBytes":"16"}"#.to_owned()),
        ("GenerateRandom", r#"{"NumberOfBytes":1.5}"#.to_owned()),
        ("DescribeKey", format!(r#"{{"KeyId":{}1{}}}"#, "[".repeat(200), "]".repeat(200))),
    ] {
        let reply = server.kms(operation, &body).await;
        assert_eq!(reply.code(), "SerializationException", "{operation} {body}");
    }
}

#[tokio::test]
async fn rules_beyond_the_model() {
    let server = Server::start().await;
    let key = server.create_key().await;
    for (operation, body, code) in [
        ("GenerateDataKey", format!(r#"{{"KeyId":"{key}"}}"#), "ValidationException"),
        (
            "GenerateDataKey",
            format!(r#"{{"KeyId":"{key}","KeySpec":"AES_256","NumberOfBytes":32}}"#),
            "ValidationException",
        ),
        ("GenerateRandom", "{}".to_owned(), "ValidationException"),
        (
            "ScheduleKeyDeletion",
            format!(r#"{{"KeyId":"{key}","PendingWindowInDays":6}}"#),
            "ValidationException",
        ),
        (
            "ScheduleKeyDeletion",
            format!(r#"{{"KeyId":"{key}","PendingWindowInDays":31}}"#),
            "ValidationException",
        ),
        ("EnableKey", r#"{"KeyId":"alias/x"}"#.to_owned(), "NotFoundException"),
        ("DescribeKey", r#"{"KeyId":"alias/x"}"#.to_owned(), "NotFoundException"),
        ("DescribeKey", r#"{"KeyId":"arn:aws:s3:::x"}"#.to_owned(), "InvalidArnException"),
        (
            "Encrypt",
            format!(
                r#"{{"KeyId":"{key}","Plaintext":"AA==","EncryptionAlgorithm":"RSAES_OAEP_SHA_256"}}"#
            ),
            "InvalidKeyUsageException",
        ),
        (
            "GenerateDataKey",
            format!(r#"{{"KeyId":"{key}","KeySpec":"AES_256","Recipient":{{}}}}"#),
            "UnsupportedOperationException",
        ),
        (
            "GetKeyPolicy",
            format!(r#"{{"KeyId":"{key}","PolicyName":"other"}}"#),
            "NotFoundException",
        ),
        ("Decrypt", r#"{"CiphertextBlob":"AAAA"}"#.to_owned(), "InvalidCiphertextException"),
    ] {
        let reply = server.kms(operation, &body).await;
        assert_eq!(reply.code(), code, "{operation} {body}: {}", reply.message());
    }
    let context = "x".repeat(8 * 1024);
    for (extra, code) in [("", ""), ("y", "ValidationException")] {
        let body = format!(
            r#"{{"KeyId":"{key}","Plaintext":"AA==","EncryptionContext":{{"{extra}":"{context}"}}}}"#
        );
        assert_eq!(server.kms("Encrypt", &body).await.code(), code, "{extra}");
    }
}
