//! There and back: files, patterns, directories, pipes, encodings.

use super::tool::Tool;
use crate::support::pattern;

#[test]
fn a_file_goes_to_a_file_and_back() {
    let tool = Tool::new();
    for length in [0, 1, 4095, 4096, 4097, 1_000_000] {
        tool.write("plain", pattern(length));
        tool.with_key("encrypt", &["-i", "plain", "-o", "sealed", "--overwrite"]).expect(0);
        tool.with_key("decrypt", &["-i", "sealed", "-o", "opened", "--overwrite"]).expect(0);
        assert_eq!(tool.read("opened"), pattern(length), "{length}");
        assert!(tool.read("sealed").starts_with(&[2, 5, 0x78]), "the default suite is 0578");
    }
    assert_eq!(tool.names("."), ["one.key", "opened", "plain", "sealed"]);
}

#[test]
fn a_frame_length_of_zero_makes_a_single_block() {
    let tool = Tool::new();
    // A pipe, of which nobody knows how long it will be, and a file.
    for length in [0, 1, 700_000] {
        let plain = pattern(length);
        tool.write("plain", &plain);
        let file = ["-i", "plain", "-o", "sealed", "--overwrite", "--frame-length", "0"];
        let log = ["--metadata-output", "log", "--overwrite-metadata"];
        tool.with_key("encrypt", &[&file[..], &log].concat()).expect(0);
        let header = &tool.json_lines("log")[0]["header"];
        assert_eq!((&header["content_type"], &header["frame_length"]), (&1.into(), &0.into()));
        let piped = tool.pipe("encrypt", &["--frame-length", "0"], &plain).expect(0).stdout;
        for sealed in [tool.read("sealed"), piped] {
            assert!(tool.pipe("decrypt", &[], &sealed).expect(0).stdout == plain, "{length}");
        }
    }
    let sealed = tool.pipe("encrypt", &["--frame-length", "0"], &pattern(65)).expect(0).stdout;
    tool.pipe("decrypt", &["--max-length", "65"], &sealed).expect(0);
    tool.pipe("decrypt", &["--max-length", "64"], &sealed).expect_saying(22, "--max-length");
}

#[test]
fn a_pipe_goes_to_a_pipe_and_back() {
    let tool = Tool::new();
    let plain = pattern(700_000);
    for options in [&[][..], &["--buffer"]] {
        let sealed = tool.pipe("encrypt", options, &plain).expect(0);
        assert_eq!(sealed.stderr, "");
        let opened = tool.pipe("decrypt", options, &sealed.stdout).expect(0);
        assert_eq!((opened.stdout, opened.stderr), (plain.clone(), String::new()));
    }
}

#[test]
fn base64_goes_both_ways() {
    let tool = Tool::new();
    let plain = pattern(10_001);
    let sealed = tool.pipe("encrypt", &["--encode"], &plain).expect(0).stdout;
    assert!(sealed.starts_with(b"AgV4") && sealed.is_ascii());
    // As people paste it: broken into lines.
    let lines: Vec<&[u8]> = sealed.chunks(76).collect();
    let opened = tool.pipe("decrypt", &["--decode"], &lines.join(&b'\n')).expect(0);
    assert_eq!(opened.stdout, plain);
    tool.pipe("decrypt", &[], &sealed).expect_saying(13, "Base64");
    tool.pipe("decrypt", &["--decode"], b"%%%").expect_saying(1, "standard input");
}

#[test]
fn a_directory_is_processed_with_everything_below_it() {
    let tool = Tool::new();
    tool.write("in/a", "1");
    tool.write("in/deep/er/b", "2");
    std::os::unix::fs::symlink("a", tool.at("in/link")).unwrap();
    std::os::unix::fs::symlink("deep", tool.at("in/folder")).unwrap();
    std::fs::create_dir(tool.at("in/out")).unwrap();
    let sealed = tool.with_key("encrypt", &["-i", "in", "-o", "in/out", "-r"]).expect(0);
    assert!(sealed.stderr.contains("left out: in/folder"), "{}", sealed.stderr);
    assert_eq!(tool.names("in/out"), ["a.encrypted", "deep", "link.encrypted"]);
    std::fs::create_dir(tool.at("back")).unwrap();
    let arguments = ["-i", "in/out", "-o", "back", "-R", "--suffix", "--json"];
    let opened = tool.with_key("decrypt", &arguments).expect(0);
    let told: serde_json::Value = serde_json::from_slice(&opened.stdout).unwrap();
    assert_eq!((&told["files"], &told["failed"]), (&3.into(), &0.into()));
    assert_eq!(tool.read("back/deep/er/b.encrypted"), b"2");
    assert_eq!(tool.read("back/link.encrypted"), b"1");
}

#[test]
fn patterns_and_suffixes() {
    let tool = Tool::new();
    for name in ["x.txt", "y.txt", "z.bin", ".hidden.txt"] {
        tool.write(name, name);
    }
    std::fs::create_dir(tool.at("out")).unwrap();
    tool.with_key("encrypt", &["-i", "*.txt", "-o", "out", "--suffix", ".esdk"]).expect(0);
    assert_eq!(tool.names("out"), ["x.txt.esdk", "y.txt.esdk"]);
    tool.with_key("decrypt", &["-i", "out/x.txt.esdk", "-o", "out"]).expect(0);
    assert_eq!(tool.read("out/x.txt.esdk.decrypted"), b"x.txt");
    tool.with_key("encrypt", &["-i", "*.none", "-o", "out"]).expect_saying(21, "*.none");
}

#[test]
fn arguments_come_from_files_too() {
    let tool = Tool::new();
    tool.write(
        "key.conf",
        "-w provider=raw-aes namespace=lab key=one # the lab's key\n   file=one.key",
    );
    tool.write("all.conf", "@key.conf\n--encryption-context 'who=the lab' $NOTHING_SET=1\n");
    tool.write("plain", "text");
    tool.run(&["encrypt", "-i", "plain", "-o", "sealed", "@all.conf"]).expect(0);
    let demand = ["-c", "who=the lab", "$NOTHING_SET"];
    tool.with_key("decrypt", &[&["-i", "sealed", "-o", "opened"][..], &demand].concat()).expect(0);
    tool.run(&["encrypt", "@none.conf"]).expect_saying(2, "none.conf");
    // Other commands take such names as they are.
    tool.run(&["archive", "@key.conf"]).expect_saying(10, "location");
}
