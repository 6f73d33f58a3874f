//! `find`, `diff`, `cat`, `stats`: looking into snapshots through the binary.

use std::fs;

use serde_json::Value;

use crate::program::Program;
use crate::support::{make_rich_tree, pattern, set_mode, set_time};

fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document[name].as_str().unwrap()
}

#[test]
fn entries_are_found_in_one_snapshot_or_in_all() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    let first = program.archive(&tree);
    fs::write(tree.join("dir/sub/New.TXT"), b"1234567").unwrap();
    set_time(&tree.join("dir/sub/New.TXT"), 1_800_000_000, 0);
    fs::remove_file(tree.join("zero")).unwrap();
    let second = program.archive(&tree);
    let find = |arguments: &[&str]| -> Vec<String> {
        let found = program.json_lines(&[&["find"], arguments].concat());
        let path = |document: &Value| {
            let which = if text(document, "snapshot") == first { "1" } else { "2" };
            format!("{which}:{}", text(document, "path"))
        };
        found.iter().map(path).collect()
    };
    assert_eq!(find(&["zero"]), ["1:zero"]);
    assert_eq!(find(&["deep", "*.TXT"]), ["1:dir/sub/deep", "2:dir/sub/New.TXT", "2:dir/sub/deep"]);
    assert_eq!(find(&["*.txt"]), [""; 0]);
    assert_eq!(find(&["*.txt", "--ignore-case"]), ["2:dir/sub/New.TXT"]);
    assert_eq!(find(&["--regex", "sub/New.(TXT|PDF)$"]), ["2:dir/sub/New.TXT"]);
    assert_eq!(find(&["--regex", r"\xff"]), [""; 0], "a code point is no byte");
    assert_eq!(find(&["--regex", r"(?-u)\xff\xfe", "--snapshot", &first]).len(), 1);
    assert_eq!(find(&["--type", "symlink", "--snapshot", "latest"]), ["2:link", "2:dir/dangling"]);
    assert_eq!(find(&["--larger-than", "3MB", "--snapshot", "latest"]), ["2:sparse"]);
    assert_eq!(find(&["--type", "f", "--smaller-than", "1", "--snapshot", &first]), ["1:zero"]);
    assert_eq!(find(&["--newer-than", "2027-01-01"]), ["2:dir/sub/New.TXT"]);
    assert_eq!(find(&["dir/large", "--older-than", "2001-09-09T01:46:42Z"]).len(), 2);
    assert_eq!(find(&["dir/large", "--older-than", "2001-09-09T01:46:41Z"]), [""; 0]);
    let printed = program.run(&["find", "New.TXT"]).expect(0).stdout;
    assert!(printed.starts_with(&second) && printed.contains("dir/sub/New.TXT"), "{printed}");
    let nothing = program.run(&["find", "no such name"]).expect(0);
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("nothing was found"));
    for (arguments, part) in [
        (["find", "--regex", "a("], "malformed"),
        (["find", "a{b", "--json"], "a{b"),
        (["find", "--larger-than", "big"], "no size"),
        (["find", "--newer-than", "yesterday"], "no day"),
    ] {
        let ended = program.run(&arguments).expect(2);
        assert!(ended.stderr.contains(part), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_difference_names_what_changed_and_how() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    fs::write(tree.join("dir/touched"), b"same").unwrap();
    program.create_location();
    let first = program.archive(&tree);
    fs::write(tree.join("added"), b"12345").unwrap();
    fs::remove_file(tree.join("zero")).unwrap();
    fs::write(tree.join("dir/sub/deep/inner"), b"1").unwrap();
    // As long as before: only the chunks tell.
    fs::write(tree.join("dir/touched"), b"next").unwrap();
    set_mode(&tree.join("file"), 0o444);
    fs::remove_file(tree.join("link")).unwrap();
    fs::write(tree.join("link"), b"a file now").unwrap();
    let second = program.archive(&tree);
    let printed = program.run(&["diff", &first, &second]).expect(0).stdout;
    let lines: Vec<&str> = printed.lines().collect();
    let (summary, lines) = lines.split_last().unwrap();
    assert_eq!(lines, ["+ added", "T link", "- zero", "M dir/touched", "+ dir/sub/deep/inner"]);
    assert!(
        summary.starts_with("2 added (6 B), 1 removed (0 B), 1 with other content"),
        "{summary}"
    );
    let documents = program.json_lines(&["diff", &first, "latest", "--attributes"]);
    let of = |path: &str| documents.iter().find(|document| document["path"] == path).unwrap();
    assert_eq!(
        (text(of("file"), "change"), &of("file")["differences"]["mode"]),
        ("attributes", &true.into())
    );
    // The other name of the same file.
    assert_eq!(text(of("dir/sub/other name of file"), "change"), "attributes");
    assert_eq!((&of("added")["before"], &of("added")["after"]["size"]), (&Value::Null, &5.into()));
    let counts = &documents.last().unwrap()["counts"];
    assert_eq!(
        (&counts["added"], &counts["removed"], &counts["type"]),
        (&2.into(), &1.into(), &1.into())
    );
    let same = program.run(&["diff", &second, &second, "--attributes"]).expect(0).stdout;
    assert_eq!(same.lines().count(), 1, "{same}");
    program.run(&["diff", &first, "ffff"]).expect(20);
}

#[test]
fn bytes_of_a_file_come_out_as_they_went_in() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    fs::write(tree.join("long"), pattern(5_000_000)).unwrap();
    program.create_location();
    program.archive(&tree);
    let cat = |arguments: &[&str]| {
        let output = program.command(&[&["cat"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stderr, b"", "{arguments:?}");
        output.stdout
    };
    for name in ["file", "zero", "sparse", "dir/large", "long"] {
        assert!(cat(&[&format!("latest:{name}")]) == fs::read(tree.join(name)).unwrap(), "{name}");
    }
    let ranges: [(usize, usize); 7] = [
        (0, 1),
        (262_143, 3),
        (1_000_000, 2_500_000),
        (4_999_999, 1),
        (4_999_999, 100),
        (5_000_000, 1),
        (9_000_000, 1),
    ];
    let whole = fs::read(tree.join("long")).unwrap();
    for (offset, length) in ranges {
        let (from, to) = (offset.min(whole.len()), (offset + length).min(whole.len()));
        let (offset, length) = (offset.to_string(), length.to_string());
        let part = cat(&["latest:/long", "--offset", &offset, "--length", &length]);
        assert!(part == whole[from..to], "{offset} {length}: {} bytes", part.len());
    }
    // Across the edges of the data in a file with holes.
    let sparse = fs::read(tree.join("sparse")).unwrap();
    let at = 3 << 20;
    let part = cat(&["latest:sparse", "--offset", &(at - 10).to_string(), "--length", "6000"]);
    assert!(part == sparse[at - 10..at + 5990]);
    for (file, code, part) in [
        ("latest:dir", 20, "is a directory, not a file"),
        ("latest:link", 20, "is a symlink, not a file"),
        ("latest:no/such", 20, "no/such"),
        ("ffff:file", 20, "no snapshot ffff"),
        ("latest:../file", 2, "../file"),
        ("latest", 2, "no colon"),
    ] {
        let ended = program.run(&["cat", file]).expect(code);
        assert!(ended.stderr.contains(part) && ended.stdout.is_empty(), "{file}: {}", ended.stderr);
    }
    assert!(program.run(&["cat", "latest:file", "--json"]).expect(2).stderr.contains("no JSON"));
}

#[test]
fn figures_tell_logical_from_unique_from_stored() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    fs::create_dir(&tree).unwrap();
    for name in ["one", "two"] {
        fs::write(tree.join(name), pattern(400_000)).unwrap();
    }
    fs::write(tree.join("text"), "many words ".repeat(20_000)).unwrap();
    program.create_location();
    let first = program.archive(&tree);
    program.archive(&tree);
    let whole = program.json(&["stats"])["usage"].clone();
    assert_eq!((&whole["snapshots"], &whole["logical"]), (&2.into(), &2_040_000.into()));
    assert_eq!(whole["unique"], 620_000);
    let stored = whole["stored"].as_u64().unwrap();
    assert!((400_000..440_000).contains(&stored), "{stored}");
    assert_eq!(whole["objects"]["snapshot"]["count"], 2);
    let bytes: u64 = program.json(&["check"])["bytes"].as_u64().unwrap();
    let sum = whole["objects"].as_object().unwrap().values();
    assert_eq!(sum.map(|objects| objects["bytes"].as_u64().unwrap()).sum::<u64>(), bytes);
    let one = &program.json(&["stats", &first])["snapshots"][0]["usage"];
    assert_eq!(
        (&one["logical"], &one["unique"], &one["entries"]),
        (&1_020_000.into(), &620_000.into(), &4.into())
    );
    assert_eq!(program.json(&["stats", "--each"])["snapshots"].as_array().unwrap().len(), 2);
    let printed = program.run(&["stats"]).expect(0).stdout;
    assert!(printed.contains("2 snapshots") && printed.contains("unique"), "{printed}");
}
