//! `schema`, `completions`, `choosing`, `advise`: what reads and writes beside the runs.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Bench, finish, refuse};

fn said(command: &mut Command) -> String {
    let output = finish(command);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/schema/results.schema.json");
    let text = said(&mut Bench::new("").xtask("schema"));
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        text == committed,
        "out of date: cargo xtask schema > benches/schema/results.schema.json"
    );
}

#[test]
fn results_have_what_the_schema_asks_for() {
    let bench = Bench::new("");
    let schema: serde_json::Value =
        serde_json::from_str(&said(&mut bench.xtask("schema"))).unwrap();
    said(
        &mut bench
            .bench("--rounds 1 --budget-ms 1 --size 64 --placement same-cpu --wait block pipe"),
    );
    let text = std::fs::read(bench.out().join("latest/results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let has = |value: &serde_json::Value, schema: &serde_json::Value, what: &str| {
        let properties = schema["properties"].as_object().unwrap();
        for name in value.as_object().unwrap().keys() {
            assert!(properties.contains_key(name), "{what}.{name} is in no schema");
        }
        for name in schema["required"].as_array().unwrap() {
            assert!(
                !value[name.as_str().unwrap()].is_null()
                    || value.get(name.as_str().unwrap()).is_some(),
                "{what}.{name}"
            );
        }
    };
    has(&results, &schema, "results");
    has(&results["host"], &schema["$defs"]["Host"], "host");
    has(&results["config"], &schema["$defs"]["Config"], "config");
    for cell in results["cells"].as_array().unwrap() {
        has(cell, &schema["$defs"]["Cell"], "cell");
    }
}

#[test]
fn the_committed_guide_is_what_the_sample_gives() {
    assert_eq!(said(&mut Bench::new("").xtask("choosing --check")), "");
}

/// What bash offers after these words, with the script sourced.
fn bash_offers(script: &str, line: &str) -> String {
    let words = line.split(' ').map(|it| format!("'{it}'")).collect::<Vec<_>>().join(" ");
    let count = line.split(' ').count() - 1;
    // What completed `cargo` before must be kept for everything else.
    let text = format!(
        "_before() {{ COMPREPLY=(build); }}\ncomplete -F _before cargo\n{script}\n\
         COMP_WORDS=({words}); COMP_CWORD={count}; COMPREPLY=()\n\
         \"$(complete -p cargo | sed 's/.*-F \\([^ ]*\\).*/\\1/')\" cargo \"${{COMP_WORDS[$COMP_CWORD]}}\" x\n\
         echo \"${{COMPREPLY[@]}}\""
    );
    let output =
        Command::new("bash").args(["--norc", "-c", &text]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes_cargo_xtask_and_leaves_cargo_alone() {
    if Command::new("bash").arg("--version").output().is_err() {
        eprintln!("SKIP: no bash; install it with apt-get install bash");
        return;
    }
    let script = said(&mut Bench::new("").xtask("completions bash"));
    let commands = bash_offers(&script, "cargo xtask ");
    for word in ["bench", "compare", "advise", "report", "list"] {
        assert!(commands.split_whitespace().any(|it| it == word), "{word} in {commands}");
    }
    assert!(bash_offers(&script, "cargo xtask bench --res").contains("--resume"));
    assert_eq!(bash_offers(&script, "cargo b").trim(), "build");
}

#[test]
fn zsh_and_fish_have_a_way_in() {
    let bench = Bench::new("");
    let zsh = said(&mut bench.xtask("completions zsh"));
    assert!(zsh.starts_with("#compdef xtask") && zsh.contains("_cargo-xtask()"), "{zsh}");
    let fish = said(&mut bench.xtask("completions fish"));
    assert!(fish.contains("complete -c cargo") && fish.contains("resume"), "{fish}");
    assert!(refuse(&mut bench.xtask("completions elvish"), 2).contains("bash, zsh or fish"));
    assert!(refuse(&mut bench.xtask("completions tcsh"), 2).contains("tcsh"));
}

#[test]
fn advice_cites_cells_and_names_reasons() {
    let bench = Bench::new("");
    said(&mut bench.bench("--rounds 3 --budget-ms 1 --size 64 --placement same-cpu --wait block"));
    let advise = |args: &str| {
        let mut command = bench.xtask(&format!("advise {args} --results"));
        command.arg(bench.out());
        command
    };
    let text = said(&mut advise("--size 64 --p99 1ms --rate 1k"));
    assert!(
        text.contains("1. ") && text.contains("[pipe/ping-pong/64B/same-cpu/block/touch]"),
        "{text}"
    );
    assert!(text.contains("cannot be told from the first"), "{text}");
    let json = said(&mut advise("--size 8KiB --json"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], "ipc-bench-advice/1");
    assert_eq!(json["excluded"][0]["reason"], "a message has at most 4 KiB");
    let none = finish(&mut advise("--priority"));
    assert_eq!(none.status.code(), Some(1), "nothing does it");
    assert!(
        refuse(&mut bench.xtask("advise --p99 20 --results x"), 2).contains("use ns, us, ms or s")
    );
    assert!(refuse(&mut bench.xtask("advise --results /nowhere"), 2).contains("no results.json"));
}
