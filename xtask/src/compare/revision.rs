//! Two revisions as two programs, built so that the same source gives the same program.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::error::Usage;
use crate::interrupt::Interrupts;
use crate::peer::Peer;
use crate::provenance::{target_directory, workspace};

/// Two programs and what they are called.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) before: Peer,
    pub(super) after: Peer,
    pub(super) names: [String; 2],
}

/// Builds `before` and `after`; what is in the working tree, where `after` is not given.
pub(super) fn build(before: &str, after: Option<&str>, interrupts: &Interrupts) -> Result<Built> {
    // Both are looked up before either is built.
    let old = Revision::named(before)?;
    let new = match after {
        Some(after) => Revision::named(after)?,
        None => Revision::working_tree()?,
    };
    let forge = Forge::open()?;
    Ok(Built {
        before: forge.peer(&old, interrupts)?,
        after: forge.peer(&new, interrupts)?,
        names: [old.name, new.name],
    })
}

/// A commit to build.
#[derive(Debug)]
struct Revision {
    name: String,
    commit: String,
    tree: String,
}

impl Revision {
    fn named(word: &str) -> Result<Self> {
        let commit = format!("{word}^{{commit}}");
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let commit = git(&workspace(), &args).map_err(|_| {
            Usage::error(format!(
                "{word:?} is no revision of {}: name a commit, a branch or a tag",
                workspace().display()
            ))
        })?;
        Self::of(format!("{word} ({})", short(&commit)), commit)
    }

    /// What is in the working tree, with its changes and new files, as a commit that no branch names. The
    /// index is left alone.
    fn working_tree() -> Result<Self> {
        let root = workspace();
        let head = git(&root, &["rev-parse", "HEAD"])?;
        if git(&root, &["status", "--porcelain"])?.is_empty() {
            return Self::of(format!("the working tree ({})", short(&head)), head);
        }
        let index = tempfile::Builder::new().prefix("ipc-index-").tempdir()?;
        let index = index.path().join("index");
        let with_index = |args: &[&str]| {
            let mut command = git_command(&root, args);
            said(command.env("GIT_INDEX_FILE", &index))
        };
        with_index(&["read-tree", "HEAD"])?;
        with_index(&["add", "--all", "."])?;
        let tree = with_index(&["write-tree"])?;
        let who = ["-c", "user.name=xtask", "-c", "user.email=xtask@localhost"];
        let words = ["commit-tree", "-p", &head, "-m", "the working tree, to be compared", &tree];
        let commit = git(&root, &[who.as_slice(), words.as_slice()].concat())?;
        Self::of(format!("the working tree ({} with changes)", short(&head)), commit)
    }

    fn of(name: String, commit: String) -> Result<Self> {
        let tree = git(&workspace(), &["rev-parse", &format!("{commit}^{{tree}}")])?;
        Ok(Self { name, commit, tree })
    }
}

/// Where revisions are built: one checkout for all of them. With a path of its own for each, the compiler would
/// lay out the same functions in another order, and that alone can make a short loop some per cent slower.
#[derive(Debug)]
struct Forge {
    dir: PathBuf,
}

impl Forge {
    fn open() -> Result<Self> {
        let dir = target_directory()?.join("ipc-compare");
        std::fs::create_dir_all(dir.join("peers"))
            .with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self { dir })
    }

    /// The peer of a revision; built once for each source and compiler.
    fn peer(&self, revision: &Revision, interrupts: &Interrupts) -> Result<Peer> {
        let name = format!("{}-{:016x}", short(&revision.tree), compiler());
        let kept = self.dir.join("peers").join(name);
        if kept.is_file() {
            return Peer::new(Some(&kept), interrupts);
        }
        let tree = self.check_out(&revision.commit)?;
        eprintln!("building ipc-peer of {}", revision.name);
        let built = Peer::build(&tree, Some(&self.dir.join("target")), interrupts)
            .with_context(|| format!("of {}", revision.name))?;
        // Under its name it is always whole.
        let half = kept.with_extension("new");
        std::fs::copy(built.path(), &half)
            .and_then(|_| std::fs::rename(&half, &kept))
            .with_context(|| format!("cannot keep {}", kept.display()))?;
        Peer::new(Some(&kept), interrupts)
    }

    fn check_out(&self, commit: &str) -> Result<PathBuf> {
        let tree = self.dir.join("tree");
        let path = tree.to_str().ok_or_else(|| anyhow!("{} is not UTF-8", tree.display()))?;
        if tree.join(".git").is_file()
            && git(&tree, &["checkout", "--force", "--detach", "--quiet", commit]).is_ok()
        {
            git(&tree, &["clean", "-ffdxq"])?;
            return Ok(tree);
        }
        // Not there, or of another clone that is no more.
        if tree.exists() {
            std::fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {path}"))?;
        }
        git(&workspace(), &["worktree", "prune"])?;
        git(&workspace(), &["worktree", "add", "--force", "--detach", "--quiet", path, commit])?;
        Ok(tree)
    }
}

/// What makes another program of the same source.
fn compiler() -> u64 {
    let mut hasher = DefaultHasher::new();
    let rustc = Command::new("rustc").arg("-vV").current_dir(workspace()).output();
    rustc.map(|it| it.stdout).unwrap_or_default().hash(&mut hasher);
    std::env::var_os("RUSTFLAGS").hash(&mut hasher);
    hasher.finish()
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn git_command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    // A hook that runs this command has set these for its own repository and index.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command.arg("--no-optional-locks").arg("-C").arg(dir).args(args);
    command
}

fn git(dir: &Path, args: &[&str]) -> Result<String> {
    said(&mut git_command(dir, args))
}

/// What a command prints.
fn said(command: &mut Command) -> Result<String> {
    let done =
        command.output().context("cannot run git: it is needed to build another revision")?;
    if !done.status.success() {
        bail!("git failed: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}
