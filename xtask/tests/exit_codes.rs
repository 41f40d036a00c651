//! 0 for success, 1 for failure, 2 for wrong usage.

#![allow(clippy::unwrap_used)]

use std::process::Command;

/// Exit code, stdout and stderr.
fn xtask(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_list_names_every_recipe_and_what_can_be_set() {
    let (code, stdout, _) = xtask(&["reproduce", "--list"]);
    assert_eq!(code, 0);
    for word in [
        "quickstart",
        "conll2002-small",
        "spanberta-conll2002",
        "mbert-conll2002",
        "train.learning_rate",
    ] {
        assert!(stdout.contains(word), "{word} in: {stdout}");
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &["reproduce", "--no-such-option"][..],
        &["reproduce", "slowstart"],
        &["reproduce", "--set", "train.epoch=1"],
    ] {
        let (code, _, stderr) = xtask(args);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
    }
}

#[test]
fn failure_ends_with_1() {
    let (code, _, stderr) = xtask(&[
        "reproduce",
        "spanberta-conll2002",
        "--model",
        "no/such/folder",
    ]);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("no/such/folder: no such directory"),
        "{stderr}"
    );
}
