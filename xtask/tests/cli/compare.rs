//! `cargo xtask compare`, with programs that are shell scripts and repositories of a few files.

use std::path::Path;
use std::process::Command;

use crate::harness::{Bench, finish, refuse};

/// One cell.
const ONE: &str =
    "--mechanism pipe --placement same-cpu --wait block --topology stream --rounds 3 --budget-ms 1";

/// The time of a message, in nanoseconds, of a peer whose runs differ a little.
fn peer_of(ns: u32) -> Bench {
    Bench::new(&format!(
        r#"jitter=$(($(od -An -N1 -tu1 /dev/urandom) % 20))
        ours="{{\"variant\":\"ours\",\"rtt_ns\":null,\"messages\":1000,\"elapsed_ns\":$((({ns} + jitter) * 1000)),\"cpu_ns\":1,\"ctx_switches\":0}}"
        answer "\"status\":\"ok\",\"samples\":[$ours]""#
    ))
}

fn in_turns(before: &Bench, after: &Bench, more: &str) -> Command {
    let mut command = before.xtask(&format!("compare {ONE} {more} --peers"));
    let peers = format!("{},{}", before.peer().display(), after.peer().display());
    // The lock of the directory for results is that of this test alone.
    command.arg(peers).env("CARGO_TARGET_DIR", before.out());
    command
}

#[test]
fn a_program_against_itself_is_silent() {
    let bench = peer_of(2000);
    let output = finish(&mut in_turns(&bench, &bench, ""));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains("1 of 1 cells show no difference") && said.contains("No regression."),
        "{said}"
    );
    bench.assert_nothing_left();
}

#[test]
fn five_per_cent_are_reported_and_the_other_way_round_they_are_not() {
    let (fast, slow) = (peer_of(2000), peer_of(2100));
    let output = finish(&mut in_turns(&fast, &slow, "--json"));
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&said["schema"], &said["regression"]),
        (&"ipc-bench-compare/1".into(), &true.into())
    );
    let row = &said["rows"][0];
    assert_eq!(row["verdict"], "slower");
    let ratio = row["ratio"]["value"].as_f64().unwrap();
    assert!((1.03..1.07).contains(&ratio), "{row}");
    let output = finish(&mut in_turns(&slow, &fast, ""));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("Faster:") && said.contains("No regression."), "{said}");
}

#[test]
fn a_side_is_slowed_down_on_purpose() {
    let bench = Bench::new(
        r#"ns=2000; if [ "$IPC_BENCH_SLOW" = pipe:5 ]; then ns=2100; fi
        ours="{\"variant\":\"ours\",\"rtt_ns\":null,\"messages\":1,\"elapsed_ns\":$ns,\"cpu_ns\":1,\"ctx_switches\":0}"
        answer "\"status\":\"ok\",\"samples\":[$ours]""#,
    );
    let output = finish(&mut in_turns(&bench, &bench, "--drag pipe:5"));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("slower on purpose: pipe:5 %") && said.contains("1.050"), "{said}");
}

#[test]
fn less_than_the_noise_is_nothing() {
    let (fast, slow) = (peer_of(2000), peer_of(2100));
    let output = finish(&mut in_turns(&fast, &slow, "--noise 10"));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn what_fails_now_is_a_regression() {
    let fast = peer_of(2000);
    let broken = Bench::new(r#"answer '"status":"void","reason":"message 7 came twice"'"#);
    let output = finish(&mut in_turns(&fast, &broken, ""));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Broken: pipe") && said.contains("message 7 came twice"), "{said}");
    let output = finish(&mut in_turns(&broken, &broken, ""));
    assert_eq!(output.status.code(), Some(2), "nothing to compare");
}

#[test]
fn saved_results_are_compared_and_agree() {
    let bench = Bench::new("");
    let args = "--rounds 3 --budget-ms 1 --size 64 --placement same-cpu --wait block";
    for _ in 0..2 {
        assert_eq!(finish(&mut bench.bench(args)).status.code(), Some(0));
    }
    let mut runs: Vec<_> =
        std::fs::read_dir(bench.out()).unwrap().flatten().map(|it| it.path()).collect();
    runs.retain(|it| it.is_dir() && !it.is_symlink());
    assert_eq!(runs.len(), 2);
    let with = |options: &str| finish(bench.xtask(&format!("compare {options}")).args(&runs));
    let output = with("");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("4 of 4 cells show no difference"), "{said}");
    let output = with("--agree");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("100.0 %: the two runs agree"), "{said}");
    // The crate, and not the bare calls, takes half as long again.
    let path = runs[1].join("results.json");
    let mut results: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for cell in results["cells"].as_array_mut().unwrap() {
        if cell["variant"] == "ours" {
            for ns in cell["per_round_ns"].as_array_mut().unwrap() {
                *ns = (ns.as_f64().unwrap() * 1.5).into();
            }
            for end in ["value", "lo", "hi"] {
                for it in ["rtt_p50_interval", "msgs_per_s_interval"] {
                    if let Some(number) = cell[it][end].as_f64() {
                        cell[it][end] = (number * 1.5).into();
                    }
                }
            }
        }
    }
    std::fs::write(&path, results.to_string()).unwrap();
    let output = with("");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Slower:") && said.contains("1.500"), "{said}");
    assert_eq!(with("--agree").status.code(), Some(1));
    assert_eq!(with("--mechanism nothing").status.code(), Some(2));
}

#[test]
fn what_cannot_be_compared_is_a_usage_error() {
    let bench = Bench::new("");
    for (args, says) in [
        ("", "say what to compare"),
        ("--peers /bin/true", "--peers takes two programs"),
        ("/nowhere /nowhere", "no results.json in /nowhere"),
        ("a b --against HEAD", "cannot be used with"),
        ("--candidate HEAD", "--against"),
        ("a b c", "unexpected argument"),
    ] {
        let said =
            refuse(bench.xtask(&format!("compare {args}")).env("CARGO_TARGET_DIR", bench.out()), 2);
        assert!(said.contains(says), "{says} in {said}");
    }
}

/// A repository whose `cargo build` is a script that takes `peer` for the program that it has built.
struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let it = Self { dir };
        it.git("init --quiet");
        it.write("Cargo.toml", "[workspace]\nmembers = []\nresolver = \"3\"\n");
        it.write(".gitignore", "/target\n");
        it.write(
            "../cargo",
            "#!/bin/sh\necho built >> \"$(dirname \"$0\")/builds\"\nchmod 755 peer\n\
             echo '{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"ipc-peer\"},\"executable\":\"'$PWD/peer'\"}'\n",
        );
        assert!(
            Command::new("chmod")
                .arg("755")
                .arg(it.root().join("../cargo"))
                .status()
                .unwrap()
                .success()
        );
        it
    }

    fn root(&self) -> std::path::PathBuf {
        let root = self.dir.path().join("repository");
        std::fs::create_dir_all(&root).unwrap();
        root
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.root().join(name), text).unwrap();
    }

    fn take_peer(&self, bench: &Bench) {
        std::fs::copy(bench.peer(), self.root().join("peer")).unwrap();
    }

    fn git(&self, args: &str) {
        let mut git = Command::new("git");
        git.current_dir(self.root()).args(["-c", "user.name=t", "-c", "user.email=t@localhost"]);
        assert!(git.args(args.split_whitespace()).status().unwrap().success(), "{args}");
    }

    fn commit(&self) {
        self.git("add --all");
        self.git("commit --quiet -m state");
    }

    fn compare(&self, bench: &Bench, args: &str) -> Command {
        let mut command = bench.xtask(&format!("compare {ONE} {args}"));
        command.env("CARGO_MANIFEST_DIR", self.root().join("xtask"));
        command.env("CARGO", self.root().join("../cargo")).env_remove("CARGO_TARGET_DIR");
        command
    }

    fn builds(&self) -> usize {
        std::fs::read_to_string(self.dir.path().join("builds")).unwrap_or_default().lines().count()
    }
}

#[test]
fn a_revision_is_built_and_compared_with_the_working_tree() {
    let repository = Repository::new();
    let (fast, slow) = (peer_of(2000), peer_of(2200));
    repository.take_peer(&fast);
    repository.commit();
    let index = || {
        let mut git = Command::new("git");
        git.args(["ls-files", "--stage"]).current_dir(repository.root()).output().unwrap().stdout
    };
    let output = finish(&mut repository.compare(&fast, "--against HEAD"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("HEAD ("), "{said}");
    assert_eq!(repository.builds(), 1, "the same source is built once");
    // A change that is not committed.
    repository.take_peer(&slow);
    let before = index();
    let output = finish(&mut repository.compare(&fast, "--against HEAD"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("with changes") && said.contains("Slower:"), "{said}");
    assert_eq!(before, index(), "the index is left alone");
    assert_eq!(repository.builds(), 2);
    // Two commits.
    repository.commit();
    let output = finish(&mut repository.compare(&fast, "--against HEAD~1 --candidate HEAD"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(repository.builds(), 2, "both were there");
}

#[test]
fn a_revision_that_is_not_there_or_does_not_build() {
    let repository = Repository::new();
    let bench = peer_of(2000);
    repository.take_peer(&bench);
    repository.commit();
    let said = refuse(&mut repository.compare(&bench, "--against nowhere"), 2);
    assert!(said.contains("\"nowhere\" is no revision"), "{said}");
    assert_eq!(repository.builds(), 0);
    std::fs::write(Path::new(&repository.root()).join("../cargo"), "#!/bin/sh\nexit 1\n").unwrap();
    let output = finish(&mut repository.compare(&bench, "--against HEAD"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("does not build"), "{said}");
}
