//! Metadata: one line of JSON for each message, in the form of the official command line.

use super::tool::Tool;

#[test]
fn a_line_says_what_the_header_says() {
    let tool = Tool::new();
    tool.write("plain", "text");
    let log = ["--metadata-output", "log"];
    let context = ["-c", "who=me"];
    let encrypt = [&["-i", "plain", "-o", "sealed"][..], &log, &context].concat();
    tool.with_key("encrypt", &encrypt).expect(0);
    tool.with_key("decrypt", &[&["-i", "sealed", "-o", "opened"][..], &log].concat()).expect(0);
    let lines = tool.json_lines("log");
    let [written, read] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&written["mode"], &read["mode"]), (&"encrypt".into(), &"decrypt".into()));
    assert_eq!(written["header"], read["header"]);
    assert_eq!(read["input"], tool.at("sealed").to_str().unwrap());
    assert_eq!(read["output"], tool.at("opened").to_str().unwrap());
    assert!(written.get("header_auth").is_none());
    assert_eq!(read["header_auth"]["iv"], "AAAAAAAAAAAAAAAA");
    let header = &read["header"];
    assert_eq!(header["algorithm"], "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384");
    assert_eq!(header["encryption_context"]["who"], "me");
    assert_eq!((&header["version"], &header["type"]), (&"2.0".into(), &serde_json::Value::Null));
    assert_eq!(header["encrypted_data_keys"][0]["key_provider"]["provider_id"], "bGFi");
}

#[test]
fn lines_are_appended_or_replace_the_file_and_follow_the_order_of_the_files() {
    let tool = Tool::new();
    for number in 0..40 {
        tool.write(&format!("in/{number:02}"), "text");
    }
    std::fs::create_dir(tool.at("out")).unwrap();
    let all = ["-i", "in", "-o", "out", "-r", "--overwrite", "--metadata-output", "log"];
    for (more, lines) in [(&[][..], 40), (&[], 80), (&["--overwrite-metadata"], 40)] {
        tool.with_key("encrypt", &[&all[..], more].concat()).expect(0);
        assert_eq!(tool.json_lines("log").len(), lines);
    }
    let inputs: Vec<String> =
        tool.json_lines("log").iter().map(|line| line["input"].to_string()).collect();
    assert!(inputs.is_sorted());
    let to_standard = ["-i", "in/00", "-o", "x", "--metadata-output", "-"];
    let ran = tool.with_key("encrypt", &to_standard).expect(0);
    let line: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(line["mode"], "encrypt");
    tool.with_key("encrypt", &["-i", "in/00", "-o", "y", "-S"]).expect(0);
    tool.with_key("encrypt", &["-i", "in/00", "-o", "z", "--metadata-output", "no/log"])
        .expect_saying(21, "no/log");
    assert!(!tool.at("z").exists());
}

#[test]
fn a_message_that_lacks_the_demanded_context_has_its_line_too() {
    let tool = Tool::new();
    tool.write("plain", "text");
    tool.with_key("encrypt", &["-i", "plain", "-o", "sealed", "-c", "a=1"]).expect(0);
    let demand = ["-c", "b", "a=2", "--metadata-output", "log"];
    let decrypt = [&["-i", "sealed", "-o", "opened"][..], &demand].concat();
    tool.with_key("decrypt", &decrypt).expect(22);
    let lines = tool.json_lines("log");
    let line = &lines[0];
    assert_eq!((lines.len(), &line["skipped"]), (1, &true.into()));
    assert_eq!(line["reason"], "Missing encryption context key or value");
    assert_eq!(line["missing_encryption_context_keys"], serde_json::json!(["b"]));
    assert_eq!(line["missing_encryption_context_pairs"], serde_json::json!([["a", "2"]]));
    assert!(!tool.at("opened").exists());
}

#[test]
fn with_caching_messages_share_a_data_key_within_the_limits() {
    let tool = Tool::new();
    for number in 0..5 {
        tool.write(&format!("in/{number}"), "text");
    }
    std::fs::create_dir(tool.at("out")).unwrap();
    let all = ["-i", "in", "-o", "out", "-r", "--overwrite", "--metadata-output", "log"];
    let caching = ["--caching", "capacity=10", "max_age=600"];
    for (more, keys) in [
        (&[][..], 5),
        (&caching, 1),
        (&[&caching[..], &["max_messages_encrypted=2"]].concat(), 3),
        (&[&caching[..], &["max_bytes_encrypted=8"]].concat(), 3),
    ] {
        let arguments = [&all[..], &["--overwrite-metadata"], more].concat();
        tool.with_key("encrypt", &arguments).expect(0);
        let wrapped = tool
            .json_lines("log")
            .into_iter()
            .map(|line| line["header"]["encrypted_data_keys"][0]["encrypted_data_key"].to_string());
        assert_eq!(wrapped.collect::<std::collections::BTreeSet<_>>().len(), keys, "{more:?}");
    }
    let options = ["-i", "in/0", "-o", "x", "--caching", "capacity=1"];
    tool.with_key("encrypt", &options).expect_saying(2, "max_age");
}
