//! Where the measured code comes from.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow};
use ipc_bench_schema::results::Build;

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    // At run time where Cargo runs us, so that a binary built by one checkout serves another.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where Cargo builds, by its own account.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let text = said("cargo", &["metadata", "--no-deps", "--offline", "--format-version=1"])
        .ok_or_else(|| anyhow!("`cargo metadata` failed in {}", workspace().display()))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let target = metadata["target_directory"].as_str();
    target.map(PathBuf::from).ok_or_else(|| anyhow!("`cargo metadata` names no target directory"))
}

/// The commit and the compiler.
pub(crate) fn build() -> Build {
    Build {
        commit: said("git", &["rev-parse", "HEAD"]),
        dirty: said("git", &["status", "--porcelain"]).map(|changes| !changes.is_empty()),
        rustc: said("rustc", &["--version"]),
        profile: "release".to_owned(),
    }
}

/// What a program prints in the workspace's root; `None` if it cannot or fails.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let done = Command::new(program).args(args).current_dir(workspace()).output().ok()?;
    let text = String::from_utf8(done.stdout).ok()?;
    done.status.success().then(|| text.trim().to_owned())
}
