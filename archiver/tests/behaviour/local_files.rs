//! Trees of the local file system: captured, restored, compared.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::Path;

use rustix::fs::IFlags;
use strongroom::fs::compare::{Difference, compare};
use strongroom::fs::restore::{Overwrite, RestoreOptions};

use crate::support::{copy_tree, make_rich_tree, set_mode, set_time, set_xattr, temporary};

fn differences(left: &Path, right: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let compared =
        compare(left, right, None, |difference| all.push(difference.to_string())).unwrap();
    assert_eq!(compared.differences, all.len() as u64);
    all.sort();
    all
}

fn with(overwrite: Overwrite) -> RestoreOptions {
    RestoreOptions { overwrite, ..RestoreOptions::default() }
}

#[test]
fn a_restored_tree_is_equal_in_every_byte_and_attribute() {
    let (_dir, dir) = temporary();
    let (from, to) = (dir.join("from"), dir.join("to"));
    make_rich_tree(&from);
    assert_eq!(copy_tree(&from, &to, RestoreOptions::default()), [""; 0]);
    assert_eq!(differences(&from, &to), [""; 0]);
    let blocks = |path: &Path| fs::metadata(path.join("sparse")).unwrap().blocks();
    assert!(blocks(&to) <= blocks(&from).max(64), "the holes were filled");
}

#[test]
fn access_control_lists_come_back() {
    let (_dir, dir) = temporary();
    let (from, to) = (dir.join("from"), dir.join("to"));
    fs::create_dir_all(from.join("inherits")).unwrap();
    fs::write(from.join("file"), b"").unwrap();
    // acl(5) in the kernel's layout: version 2, then (tag, permissions, id) of owner rw, user 1234
    // r, group r, mask r, others nothing.
    let mut acl = vec![2, 0, 0, 0];
    for (tag, permissions, id) in [
        (1_u16, 6_u16, u32::MAX),
        (2, 4, 1234),
        (4, 4, u32::MAX),
        (16, 4, u32::MAX),
        (32, 0, u32::MAX),
    ] {
        acl.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()));
        acl.extend(id.to_le_bytes());
    }
    if !set_xattr(&from.join("file"), "system.posix_acl_access", &acl)
        || !set_xattr(&from.join("inherits"), "system.posix_acl_default", &acl)
    {
        return crate::support::skipped("POSIX ACLs", "the file system keeps none");
    }
    fs::write(from.join("inherits/child"), b"").unwrap();
    // The target's parent hands an ACL down to everything in it, which must not stay.
    fs::create_dir(&to).unwrap();
    assert!(set_xattr(&to, "system.posix_acl_default", &acl));
    assert_eq!(copy_tree(&from, &to, with(Overwrite::Always)), [""; 0]);
    assert_eq!(differences(&from, &to), [""; 0]);
}

#[test]
fn file_flags_come_back_when_all_else_is_done() {
    let (_dir, dir) = temporary();
    let (from, to) = (dir.join("from"), dir.join("to"));
    fs::create_dir_all(from.join("fixed")).unwrap();
    fs::write(from.join("fixed/file"), b"content").unwrap();
    fs::hard_link(from.join("fixed/file"), from.join("other name")).unwrap();
    fs::create_dir(from.join("undumped")).unwrap();
    let set = |path: &Path, flags| {
        let file = fs::File::open(path).unwrap();
        rustix::fs::ioctl_setflags(&file, flags)
    };
    if set(&from.join("undumped"), IFlags::NODUMP).is_err() {
        return crate::support::skipped("file flags", "the file system keeps none");
    }
    // What cannot be linked or given another name any more; only root can make it so.
    let fixed = ["fixed/file", "fixed"];
    let is_fixed =
        fixed.iter().all(|name| set(&from.join(name), IFlags::IMMUTABLE | IFlags::NODUMP).is_ok());
    if !is_fixed {
        crate::support::skipped("immutable files", "this process may not make any");
    }
    let failures = copy_tree(&from, &to, RestoreOptions::default());
    let seen = differences(&from, &to);
    let held: Vec<u32> = crate::support::entries_of(&to).iter().map(|entry| entry.flags).collect();
    for (root, name) in [&from, &to].iter().flat_map(|root| fixed.map(|name| (root, name))) {
        // As they were, or nobody could remove the folder.
        let _ = set(&root.join(name), IFlags::empty());
    }
    assert_eq!((failures, seen), (vec![], vec![]));
    assert!(held.contains(&0x40) && (!is_fixed || held.contains(&0x50)), "{held:x?}");
}

type Damage<'a> = &'a dyn Fn(&Path);

#[test]
fn every_kind_of_difference_is_seen() {
    let cases: [(&str, Damage<'_>); 11] = [
        ("dir/large: different content from byte 2999999 on", &|to| {
            let file = fs::File::options().write(true).open(to.join("dir/large")).unwrap();
            file.write_all_at(b"?", 2_999_999).unwrap();
            drop(file);
            set_time(&to.join("dir/large"), 1_000_000_001, 123_456_790);
        }),
        ("file: different mode", &|to| set_mode(&to.join("file"), 0o440)),
        ("file: different modification time", &|to| {
            set_time(&to.join("file"), 1_000_000_000, 123_456_788);
        }),
        ("link: different type or target", &|to| {
            replace(to, "link", &|path| symlink("elsewhere", path).unwrap());
        }),
        ("zero: different extended attributes", &|to| {
            set_xattr(&to.join("zero"), "user.new", b"");
        }),
        ("fifo: only in the first tree", &|to| fs::remove_file(to.join("fifo")).unwrap()),
        ("added: only in the second tree", &|to| fs::write(to.join("added"), b"").unwrap()),
        ("zero: different size", &|to| fs::write(to.join("zero"), b"more").unwrap()),
        ("empty: only in the first tree", &|to| fs::remove_dir(to.join("empty")).unwrap()),
        ("dir/sub/other name of file: different hard links", &|to| {
            replace(to, "dir/sub/other name of file", &|path| {
                fs::copy(to.join("file"), path).map(drop).unwrap();
            });
        }),
        ("dir/dangling: different type or target", &|to| {
            replace(to, "dir/dangling", &|path| fs::write(path, b"").unwrap());
        }),
    ];
    for (wanted, damage) in cases {
        let (_dir, dir) = temporary();
        let (from, to) = (dir.join("from"), dir.join("to"));
        make_rich_tree(&from);
        copy_tree(&from, &to, RestoreOptions::default());
        damage(&to);
        let seen = differences(&from, &to);
        assert!(seen.iter().any(|line| line == wanted), "wanted {wanted}, saw {seen:?}");
    }
}

fn replace(to: &Path, name: &str, make: &dyn Fn(&Path)) {
    fs::remove_file(to.join(name)).unwrap();
    make(&to.join(name));
}

#[test]
fn what_stands_there_is_treated_as_the_options_say() {
    let (_dir, dir) = temporary();
    let from = dir.join("from");
    make_rich_tree(&from);
    let occupied = |name: &str| {
        let to = dir.join(name);
        fs::create_dir_all(to.join("zero")).unwrap();
        fs::create_dir_all(to.join("dir")).unwrap();
        fs::write(to.join("file"), b"other content").unwrap();
        fs::write(to.join("link"), b"a file, not a link").unwrap();
        fs::write(to.join("dir/large"), b"short").unwrap();
        fs::write(to.join("mine"), b"nobody's business").unwrap();
        to
    };
    let never = occupied("never");
    copy_tree(&from, &never, with(Overwrite::Never));
    assert_eq!(fs::read(never.join("file")).unwrap(), b"other content");
    assert_eq!(fs::read(never.join("link")).unwrap(), b"a file, not a link");
    assert!(never.join("zero").is_dir());
    for overwrite in [Overwrite::Always, Overwrite::IfChanged] {
        let to = occupied(&format!("{overwrite:?}"));
        assert_eq!(copy_tree(&from, &to, with(overwrite)), [""; 0]);
        assert_eq!(differences(&from, &to), ["mine: only in the second tree"]);
        // Once more, over a tree that is equal already.
        let inode = fs::metadata(to.join("dir/large")).unwrap().ino();
        assert_eq!(copy_tree(&from, &to, with(overwrite)), [""; 0]);
        assert_eq!(differences(&from, &to), ["mine: only in the second tree"]);
        let replaced = fs::metadata(to.join("dir/large")).unwrap().ino() != inode;
        assert_eq!(replaced, overwrite == Overwrite::Always);
        let left: Vec<_> = fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".strongroom")));
    }
}

#[test]
fn a_directory_that_is_not_empty_is_not_replaced_by_a_file() {
    let (_dir, dir) = temporary();
    let (from, to) = (dir.join("from"), dir.join("to"));
    fs::create_dir_all(&from).unwrap();
    fs::write(from.join("name"), b"file").unwrap();
    fs::write(from.join("other"), b"file").unwrap();
    fs::create_dir_all(to.join("name/full")).unwrap();
    let failures = copy_tree(&from, &to, with(Overwrite::Always));
    assert!(matches!(failures.as_slice(), [one] if one.starts_with("name: ")), "{failures:?}");
    assert!(to.join("name/full").is_dir() && to.join("other").is_file());
}

#[test]
fn an_unreadable_side_is_a_difference() {
    let (_dir, dir) = temporary();
    let (from, to) = (dir.join("from"), dir.join("to"));
    for side in [&from, &to] {
        fs::create_dir(side).unwrap();
        fs::write(side.join("file"), b"same").unwrap();
        set_time(&side.join("file"), 5, 5);
        set_time(side, 5, 5);
    }
    assert_eq!(differences(&from, &to), [""; 0]);
    let seen = std::cell::Cell::new(0);
    // The file is swapped for another while the comparison has it listed, not yet opened.
    let other = to.join("file");
    compare(&from, &to, None, |difference| {
        assert!(matches!(difference, Difference::Attribute(..) | Difference::Content(..)));
        seen.set(seen.get() + 1);
    })
    .unwrap();
    fs::remove_file(&other).unwrap();
    assert_eq!((seen.get(), differences(&from, &to).len()), (0, 2));
}
