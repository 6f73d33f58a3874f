//! What is refused: each cause has its code, a sentence and a next step.

use super::tool::Tool;

#[test]
fn inputs_and_outputs_that_do_not_fit_are_refused() {
    let tool = Tool::new();
    tool.write("plain", "text");
    tool.write("other", "text");
    tool.write("folder/file", "text");
    std::fs::hard_link(tool.at("plain"), tool.at("same")).unwrap();
    std::fs::create_dir(tool.at("out")).unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["-i", "none", "-o", "sealed"], 21, "none"),
        (&["-i", "plain", "-o", "none/sealed"], 21, "none/sealed"),
        (&["-i", "plain", "-o", "./plain"], 2, "input and output at once"),
        (&["-i", "plain", "-o", "same", "--overwrite"], 2, "input and output at once"),
        (&["-i", "folder", "-o", "folder", "-r"], 2, "input and output at once"),
        (&["-i", "folder/file", "-o", "folder", "--suffix", "--overwrite"], 2, "at once"),
        (&["-i", "folder", "-o", "out"], 2, "--recursive"),
        (&["-i", "folder", "-o", "sealed", "-r"], 2, "existing directory"),
        (&["-i", "plain", "other", "-o", "-"], 2, "existing directory"),
        (&["-i", "-", "-o", "out"], 2, "standard input"),
        (&["-i", "-", "plain", "-o", "out"], 2, "several inputs"),
        (&["-i", "plain", "-o", "-", "--json"], 2, "standard output"),
        (&["-i", "plain", "-o", "-", "--metadata-output", "-"], 2, "metadata"),
        (&["-i", "plain", "-o", "x", "--metadata-output", "plain"], 2, "metadata"),
        (&["-i", "folder", "-o", "out", "-r", "--metadata-output", "out/log"], 2, "out/log"),
        (&["-i", "-", "-o", "x", "--interactive"], 2, "--interactive"),
        (&["-i", "plain", "-o", "x", "--frame-length", "-1"], 2, "--frame-length"),
        (&["-i", "plain", "-o", "x", "--algorithm", "ROT13"], 2, "ROT13"),
        (&["-i", "plain", "-o", "x", "-c", "novalue"], 2, "novalue"),
        (&["-i", "plain", "-o", "x", "-c", "aws-crypto-x=1"], 2, "aws-crypto-x"),
    ];
    for (arguments, code, part) in cases {
        let ran = tool.with_key("encrypt", arguments).expect_saying(*code, part);
        let next = ran.stderr.contains("next: ") || ran.stderr.contains("--help");
        assert!(next, "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(tool.names("."), ["folder", "one.key", "other", "out", "plain", "same"]);
    assert_eq!((tool.names("out"), tool.read("plain")), (Vec::new(), b"text".to_vec()));
}

#[test]
fn policies_hold_in_both_directions() {
    let tool = Tool::new();
    tool.write("plain", "text");
    let forbid = ["--commitment-policy", "forbid-encrypt-allow-decrypt"];
    let old = [&["-i", "plain", "-o", "old"][..], &forbid].concat();
    tool.with_key("encrypt", &old).expect(0);
    assert_eq!(tool.read("old")[..4], [1, 0x80, 3, 0x78]);
    let decrypt = ["-i", "old", "-o", "opened"];
    tool.with_key("decrypt", &decrypt).expect_saying(22, "--commitment-policy");
    assert!(!tool.at("opened").exists());
    let allow = [&decrypt[..], &["--commitment-policy", "require-encrypt-allow-decrypt"]].concat();
    tool.with_key("decrypt", &allow).expect(0);
    assert_eq!(tool.read("opened"), b"text");
    let suite = ["-i", "plain", "-o", "new", "--algorithm", "0178"];
    tool.with_key("encrypt", &suite).expect_saying(22, "0178");
    tool.with_key("encrypt", &[&suite[..], &forbid].concat()).expect(0);
}

#[test]
fn a_signed_message_is_refused_where_it_would_be_released_unverified() {
    let tool = Tool::new();
    let signed = tool.pipe("encrypt", &[], b"text").expect(0).stdout;
    let ran = tool.pipe("decrypt-unsigned", &[], &signed).expect_saying(22, "strongroom decrypt");
    assert_eq!(ran.stdout, b"");
    let suite = ["--algorithm", "aes_256_gcm_hkdf_sha512_commit_key"];
    let unsigned = tool.pipe("encrypt", &suite, b"text").expect(0).stdout;
    assert_eq!(tool.pipe("decrypt-unsigned", &[], &unsigned).expect(0).stdout, b"text");
}

#[test]
fn limits_hold_at_max_and_not_beyond() {
    let tool = Tool::new();
    let two = ["-w", "provider=raw-aes", "namespace=lab", "key=two", "file=one.key"];
    let options = [&["--frame-length", "5000"][..], &two].concat();
    let sealed = tool.pipe("encrypt", &options, &[7; 9000]).expect(0).stdout;
    for (limit, at, beyond) in
        [("--max-length", "5000", "4999"), ("--max-encrypted-data-keys", "2", "1")]
    {
        assert_eq!(tool.pipe("decrypt", &[limit, at], &sealed).expect(0).stdout, [7; 9000]);
        tool.pipe("decrypt", &[limit, beyond], &sealed).expect_saying(22, limit);
    }
    let limit = "--max-encrypted-data-keys";
    tool.pipe("encrypt", &[&[limit, "2"][..], &two].concat(), b"x").expect(0);
    tool.pipe("encrypt", &[&[limit, "1"][..], &two].concat(), b"x").expect_saying(22, limit);
}

#[test]
fn a_demanded_context_is_a_condition() {
    let tool = Tool::new();
    let sealed = tool.pipe("encrypt", &["-c", "a=1", "b=2"], b"text").expect(0).stdout;
    for fine in [&["a"][..], &["a=1", "b"], &["b=2", "a=1"]] {
        let arguments = [&["-c"][..], fine].concat();
        assert_eq!(tool.pipe("decrypt", &arguments, &sealed).expect(0).stdout, b"text");
    }
    for bad in [&["a=2"][..], &["c"], &["a=1", "c=3"]] {
        let arguments = [&["-c"][..], bad].concat();
        let ran = tool.pipe("decrypt", &arguments, &sealed).expect_saying(22, bad[bad.len() - 1]);
        assert_eq!(ran.stdout, b"");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_complaint() {
    let tool = Tool::new();
    tool.write("plain", crate::support::pattern(3_000_000));
    let arguments = ["encrypt", "-i", "plain", "-o", "-", "-w", "provider=raw-aes"];
    let key = ["namespace=lab", "key=one", "file=one.key"];
    let mut child = tool.command(&[&arguments[..], &key].concat()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(141), 0));
}
