//! RELIABILITY.md names tests that there are, in the suites that it says.

use std::fs;
use std::path::Path;

/// Where the cases of the conformance suite are listed.
const CONFORMANCE: &str = "crates/pgqrs-testing/src";

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The text of all source files below a directory.
fn text_below(dir: &Path, text: &mut String) {
    let entries = fs::read_dir(dir);
    for entry in entries.unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text_below(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// The text of a suite: a directory, and the file that it belongs to.
fn text_of(suite: &str) -> String {
    let dir = Path::new(ROOT).join(suite);
    let mut text = fs::read_to_string(dir.with_extension("rs")).unwrap_or_default();
    text_below(&dir, &mut text);
    text
}

/// The words in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The words in a table's second column that look like tests, each behind its suite. The suite is
/// said once for all tests up to the next semicolon, and is `tests/chaos` unless it is said.
fn tests_in(page: &str) -> Vec<(&str, &str)> {
    let is_test = |word: &&str| {
        let mut chars = word.chars();
        word.contains('_')
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(2));
    let parts = cells.flat_map(|cell| cell.split(';'));
    let named = parts.flat_map(|part| {
        let suite = match part.contains("the conformance suite") {
            true => CONFORMANCE,
            false => quoted(part)
                .find(|word| word.contains('/'))
                .unwrap_or("tests/chaos"),
        };
        quoted(part).filter(is_test).map(move |test| (suite, test))
    });
    named.collect()
}

/// Those that are no tests, or no cases, of their suites.
fn missing<'a>(named: &[(&'a str, &'a str)], text_of: impl Fn(&str) -> String) -> Vec<&'a str> {
    let is_there = |suite: &str, test: &str| {
        let text = text_of(suite);
        let mut starts = ["", "    "].into_iter();
        match suite {
            CONFORMANCE => text.contains(&format!("                {test},\n")),
            _ => starts.any(|indent| text.contains(&format!("#[test]\n{indent}fn {test}()"))),
        }
    };
    let gone = named.iter().filter(|(suite, test)| !is_there(suite, test));
    gone.map(|(_, test)| *test).collect()
}

#[test]
fn every_test_that_is_named_is_in_its_suite() {
    let page = fs::read_to_string(Path::new(ROOT).join("RELIABILITY.md")).unwrap();
    let named = tests_in(&page);
    assert!(named.len() > 40, "{named:?}");
    assert_eq!(missing(&named, text_of), [""; 0]);
}

#[test]
fn a_test_of_another_suite_is_missing() {
    let page = "
`not_in` a table
| promise | shown by |
|---|---|
| `not_in` the second column | `a_1` `a_2`; `b_1` `b_2` in `tests/it` (`Ab_c`); `c_1` and its like in the conformance suite |
| **more** | all of `tests/chaos`; `b_3` in `src/pool/tests`, every order |
";
    let named = [
        ("tests/chaos", "a_1"),
        ("tests/chaos", "a_2"),
        ("tests/it", "b_1"),
        ("tests/it", "b_2"),
        (CONFORMANCE, "c_1"),
        ("src/pool/tests", "b_3"),
    ];
    assert_eq!(tests_in(page), named);
    let test = |name: &str| format!("#[test]\nfn {name}() {{}}\n");
    let good = |suite: &str| match suite {
        "tests/chaos" => test("a_1") + &test("a_2"),
        "tests/it" => format!(
            "mod more {{\n    #[test]\n    fn b_1() {{}}\n}}\n{}",
            test("b_2")
        ),
        "src/pool/tests" => test("b_3"),
        CONFORMANCE => "                c_1,\n".to_owned(),
        other => panic!("{other}"),
    };
    assert_eq!(missing(&named, good), [""; 0]);
    // Each is somewhere, and most are not where they should be.
    let all = named.map(|(suite, _)| good(suite)).concat();
    let one_on = |suite: &str| match suite {
        "tests/chaos" => good("tests/it"),
        "tests/it" => good(CONFORMANCE) + "#[test]\nfn b_10() {}\nfn b_2() {}\n",
        CONFORMANCE => all.replace("                c_1", "c_1"),
        _ => all.clone(),
    };
    assert_eq!(missing(&named, one_on), ["a_1", "a_2", "b_1", "b_2", "c_1"]);
}
