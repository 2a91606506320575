//! RELIABILITY.md names tests that there are.

use std::fs;
use std::path::Path;

/// The text of all source files below a directory.
fn text_of(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text_of(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// The words in backquotes of a table's second column that look like tests.
fn tests_in(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(2));
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let is_name = |name: &&str| {
        name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    quoted.filter(is_name).collect()
}

/// Those that are neither a test nor a case of the conformance suite.
fn missing<'a>(named: &[&'a str], text: &str) -> Vec<&'a str> {
    let is_there = |name: &str| {
        let mut starts = ["", "    "].into_iter();
        starts.any(|indent| text.contains(&format!("#[test]\n{indent}fn {name}()")))
            || text.contains(&format!("                {name},\n"))
    };
    let gone = named.iter().filter(|name| !is_there(name));
    gone.copied().collect()
}

#[test]
fn every_test_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("RELIABILITY.md")).unwrap();
    let named = tests_in(&page);
    assert!(named.len() > 40, "{named:?}");
    let mut text = String::new();
    text_of(&root.join("tests"), &mut text);
    text_of(&root.join("src"), &mut text);
    let none: [&str; 0] = [];
    assert_eq!(missing(&named, &text), none);
    assert_eq!(
        missing(&["no_test_of_ours"], "fn another("),
        ["no_test_of_ours"]
    );
}
