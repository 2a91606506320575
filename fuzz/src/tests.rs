//! The seeds, without a fuzzer.

use std::fs;
use std::path::Path;

/// Runs every seed of a target. There must be some.
fn run(target: fn(&[u8]), name: &str) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(name);
    let mut count = 0;
    for seed in fs::read_dir(seeds).unwrap() {
        let path = seed.unwrap().path();
        println!("{}", path.display()); // shown if it fails
        target(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no seeds for {name}");
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(crate::$name, stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_here() {
            let there = |directory: &str| {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
                let names = fs::read_dir(path).unwrap().map(|entry| {
                    entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()
                });
                names.collect::<std::collections::BTreeSet<String>>()
            };
            let here = [$(stringify!($name).to_owned()),*].into();
            assert_eq!(there("fuzz_targets"), here);
            assert_eq!(there("seeds"), here);
        }
    };
}

targets! { queue_name dsn environment encode stored typed }
