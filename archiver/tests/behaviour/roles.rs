//! Roles by key policy: what each can do and cannot, and what is said to one that lacks a right.

use std::fs;

use strongroom::id::ObjectId;
use strongroom::location::role::{Right, Role, statements};
use strongroom::store::Kind;
use strongroom_peers::User;

use crate::program::Program;
use crate::support::{figure, make_rich_tree};

const WRITER: User = User { name: "writer", access_key: "AKIASTRONGROOMWRIT01" };
const COLLECTOR: User = User { name: "collector", access_key: "AKIASTRONGROOMCOLL02" };
const RESTORER: User = User { name: "restorer", access_key: "AKIASTRONGROOMREST03" };

#[test]
fn each_role_can_what_it_is_there_for_and_no_more() {
    let program =
        strongroom_peers::require!(Program::start_with_users(&[WRITER, COLLECTOR, RESTORER]));
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    let path = tree.to_str().unwrap();
    program.run_as(&WRITER, &["archive", path]).expect(12);
    let mut all = Vec::new();
    for (role, user) in [("writer", WRITER), ("collector", COLLECTOR), ("restorer", RESTORER)] {
        let made = program.json(&["location", "policy", role, "--principal", &user.arn()]);
        all.extend(made["policy"]["Statement"].as_array().unwrap().clone());
    }
    program.put_policy(all);
    let denied = |user: &User, arguments: &[&str], right: &str, kind: &str| {
        let ended = program.run_as(user, arguments).expect(12);
        let names = ended.stderr.contains(right) && ended.stderr.contains(&format!("\"{kind}\""));
        assert!(names, "{} {arguments:?}: {}", user.name, ended.stderr);
    };
    let target = program.at("target");
    let restore = ["restore", "latest", target.to_str().unwrap()];

    // A writer deduplicates against what others stored, and reads none of it.
    let first = program.archive(&tree);
    let again = program.run_as(&WRITER, &["archive", path, "--json"]).expect(0);
    let again: serde_json::Value =
        serde_json::from_str(again.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(again["statistics"]["bytes_new"], 0, "{again}");
    denied(&WRITER, &["ls", "latest"], "kms:Decrypt", "snapshot");
    denied(&WRITER, &restore, "kms:Decrypt", "snapshot");

    program.run_as(&COLLECTOR, &["check"]).expect(0);
    program.run_as(&COLLECTOR, &["ls", "latest"]).expect(0);
    program.run_as(&COLLECTOR, &["stats", "latest"]).expect(0);
    program.run_as(&COLLECTOR, &["forget", &first]).expect(0);
    denied(&COLLECTOR, &["cat", "latest:file"], "kms:Decrypt", "data");
    denied(&COLLECTOR, &restore, "kms:Decrypt", "data");
    fs::write(tree.join("new"), b"content that is not stored yet").unwrap();
    denied(&COLLECTOR, &["archive", path], "kms:GenerateDataKey", "data");

    program.run_as(&RESTORER, &["check", "--read-data"]).expect(0);
    let fresh = program.at("restored");
    program.run_as(&RESTORER, &["restore", "latest", fresh.to_str().unwrap()]).expect(0);
    denied(&RESTORER, &["archive", path], "kms:GenerateDataKey", "session");
}

#[test]
fn a_role_that_lacks_one_right_is_told_which() {
    let program =
        strongroom_peers::require!(Program::start_with_users(&[WRITER, COLLECTOR, RESTORER]));
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    program.archive(&tree);
    let shown = program.json(&["location", "show"]);
    let location = ObjectId::from_hex(shown["id"].as_str().unwrap()).unwrap();
    let path = tree.to_str().unwrap();
    let cases: [(Role, User, &[&str]); 3] = [
        (Role::Writer, WRITER, &["archive", path]),
        (Role::Collector, COLLECTOR, &["check"]),
        (Role::Restorer, RESTORER, &["check", "--read-data"]),
    ];
    let mut told = 0;
    for (role, user, arguments) in cases {
        for lacking in role.rights() {
            let (Right::Write(kind) | Right::Read(kind)) = lacking else { continue };
            let is_used = match lacking {
                Right::Write(_) => role == Role::Writer,
                _ => kind != Kind::Session || has_sessions(&program),
            };
            if !is_used {
                continue;
            }
            // A tree of its own, lest nothing be new that would have to be written.
            fs::write(tree.join("file of its own"), format!("{role:?} without {lacking:?}"))
                .unwrap();
            let rights: Vec<Right> = role.rights().into_iter().filter(|r| *r != lacking).collect();
            program.put_policy(statements("Test", &rights, location, &[user.arn()]));
            let ended = program.run_as(&user, arguments).expect(12);
            let right = format!("allow {} in the key's policy", lacking.action());
            let named = format!("strongroom-kind is \"{}\"", kind.as_str());
            assert!(ended.stderr.contains(&right), "{lacking:?}: {}", ended.stderr);
            assert!(ended.stderr.contains(&named), "{lacking:?}: {}", ended.stderr);
            told += 1;
        }
        program.put_policy(statements("Test", &role.rights(), location, &[user.arn()]));
        program.run_as(&user, arguments).expect(0);
    }
    assert!(told >= 16, "{told}");
    figure(&format!("roles: {told} rights taken away one at a time, each named to whom it lacked"));
}

/// Whether any writer's session is there to be read: those that ended well are gone.
fn has_sessions(program: &Program) -> bool {
    let sessions = fs::read_dir(program.at("store/x/session")).into_iter().flatten().flatten();
    // Signs of life, which have a dot in their names, are not encrypted.
    sessions.into_iter().any(|entry| !entry.file_name().to_string_lossy().contains('.'))
}
