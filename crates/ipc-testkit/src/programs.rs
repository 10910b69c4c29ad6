//! Programs that are no part of this workspace: installed ones, C compiled by a case, scripts.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use rustix::process::Pid;

use crate::{dir, skip};

/// Skips the case where a program is not installed; `package` is Debian's.
pub fn need(program: &str, package: &str) {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    if !found.is_ok_and(|found| found.status.success()) {
        skip(format!("{program} is not installed: apt-get install {package}"));
    }
}

/// Skips the case where Python has no such module.
///
/// # Panics
///
/// If Python does not run.
pub fn need_python(module: &str) {
    need("python3", "python3");
    let found = Command::new("python3").args(["-c", &format!("import {module}")]).output();
    if !found.expect("run python3").status.success() {
        skip(format!("Python has no {module}: pip install {module}"));
    }
}

/// Runs a program to its end, and returns what it printed.
///
/// # Panics
///
/// If it does not start or fails, with what it printed to its standard error.
pub fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?} failed: {text}");
    out
}

/// One of the examples of the crate under test, as cargo built it. Skips the case where it did not.
///
/// # Panics
///
/// If this process has no path.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("own path");
    let program = this.ancestors().nth(2).expect("target directory").join("examples").join(name);
    if !program.exists() {
        skip(format!("no {}: cargo build --examples", program.display()));
    }
    program
}

/// Runs examples of the crate under test, each of which must succeed and print what stands beside it.
///
/// # Panics
///
/// If one does not.
pub fn run_examples(examples: &[(&str, &str)]) {
    for (name, says) in examples {
        let out = run(&mut Command::new(example(name)));
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(!text.trim().is_empty() && text.contains(says), "{name} printed {text}");
    }
}

/// A C program, compiled in the directory of the case and removed when it is dropped.
#[derive(Debug)]
pub struct CProgram {
    source: PathBuf,
    program: PathBuf,
}

impl CProgram {
    /// Compiles it with `cc`, with options such as `-lrt`. Skips the case where there is no compiler.
    ///
    /// # Panics
    ///
    /// If it does not compile.
    #[must_use]
    pub fn compile(name: &str, source: &str, options: &[&str]) -> Self {
        need("cc", "gcc");
        let this = Self { source: dir().join(format!("{name}.c")), program: dir().join(name) };
        fs::write(&this.source, source).expect("write the source");
        run(Command::new("cc").arg("-o").args([&this.program, &this.source]).args(options));
        this
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.program
    }

    /// To run it.
    #[must_use]
    pub fn command(&self) -> Command {
        Command::new(&self.program)
    }
}

impl Drop for CProgram {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.source);
        let _ = fs::remove_file(&self.program);
    }
}

/// A program that talks in lines.
#[derive(Debug)]
pub struct Talker {
    child: Child,
    from: BufReader<ChildStdout>,
}

impl Talker {
    /// Starts it, with its standard input and output piped.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let from = BufReader::new(child.stdout.take().expect("it is a pipe"));
        Self { child, from }
    }

    /// A Python script.
    ///
    /// # Panics
    ///
    /// If Python does not start.
    #[must_use]
    pub fn python(script: &str, arguments: &[&str]) -> Self {
        Self::start(Command::new("python3").args(["-u", "-c", script]).args(arguments))
    }

    /// Its process, to be signalled.
    #[must_use]
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Returns once its first thread is blocked in the kernel.
    ///
    /// # Panics
    ///
    /// If it ends instead.
    pub fn until_blocked(&self) {
        let pid = Pid::from_child(&self.child);
        assert!(crate::blocked::settle(pid, pid, || false), "it ended instead of blocking");
    }

    /// Writes it a line, in one write, which it may take for one message.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    pub fn tell(&mut self, line: &str) {
        let to = self.child.stdin.as_mut().expect("it is a pipe");
        to.write_all(format!("{line}\n").as_bytes()).expect("the program listens");
    }

    /// The next line that it says.
    ///
    /// # Panics
    ///
    /// If it has ended.
    #[track_caller]
    pub fn listen(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("read");
        assert!(!line.is_empty(), "the program ended early");
        line.trim_end_matches('\n').to_owned()
    }

    /// Hears the very line.
    ///
    /// # Panics
    ///
    /// If it says something else, or has ended.
    #[track_caller]
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.listen(), line);
    }

    /// Whether it says no more: waits until it has closed its standard output.
    ///
    /// # Panics
    ///
    /// If that cannot be read.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        let mut rest = String::new();
        self.from.read_line(&mut rest).expect("read");
        assert_eq!(rest, "", "it said more");
    }

    /// Kills it by `SIGKILL`, and waits for it.
    ///
    /// # Panics
    ///
    /// If it cannot be waited for.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Ends its standard input, and waits for it.
    ///
    /// # Panics
    ///
    /// If it cannot be waited for.
    #[must_use]
    pub fn wait(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().expect("wait")
    }

    /// Ends its standard input, and waits for its success.
    ///
    /// # Panics
    ///
    /// If it fails.
    #[track_caller]
    pub fn join(self) {
        let status = self.wait();
        assert!(status.success(), "the program says {status}");
    }
}
