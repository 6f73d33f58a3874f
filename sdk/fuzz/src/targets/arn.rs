//! Names of KMS keys, which messages carry and nobody vouches for.

use strongroom_sdk::kms::arn::{KeyIdentifier, KmsArn};

/// Takes the text of `input` apart: what is accepted is put together again as it was.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(identifier) = KeyIdentifier::parse(text.as_ref()) {
        assert_eq!(identifier.as_str(), text);
        let of_arn = identifier.key_arn().and_then(KmsArn::multi_region_key_id);
        let id = identifier.multi_region_key_id();
        assert!(of_arn.is_none() || of_arn == id, "{text}: {of_arn:?}, {id:?}");
    }
    let Ok(arn) = KmsArn::parse(&text) else { return };
    assert_eq!(arn.to_string(), text);
    assert_eq!(KmsArn::parse_key(&text).is_ok(), arn.is_key());
    assert!(arn.matches_for_decrypt(&arn));
    let moved = arn.in_region("mars-north-1");
    assert_eq!(KmsArn::parse(&moved.to_string()).expect("as good as the first"), moved);
    assert!(arn.matches_for_decrypt(&moved) && moved.matches_for_decrypt(&arn));
    assert!(moved == arn || arn.multi_region_key_id().is_some());
}

/// Names of every kind, and some that are none.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws-cn:kms:cn-north-1:111122223333:alias/a/b:c",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        "alias/backup",
        "arn:aws:s3:::bucket/key/x",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
