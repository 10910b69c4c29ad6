//! The one call here that Rust cannot check.
#![expect(unsafe_code, reason = "only a forked process has a copy of a value")]

/// Runs `body` in a forked copy of this process, which ends with it, and waits for that.
///
/// # Panics
///
/// If this process has another thread, which would be missing in the copy, or the copy fails.
pub(super) fn in_a_forked_copy(body: impl FnOnce()) {
    let threads = std::fs::read_dir("/proc/self/task").expect("list the threads").count();
    assert_eq!(threads, 1, "the copy of a process has one thread");
    // SAFETY: there is no other thread, which could hold a lock that the copy needs.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1, "fork");
    if pid == 0 {
        body();
        // SAFETY: it ends the process, and nothing of its parent's is flushed or run twice.
        unsafe { libc::_exit(0) };
    }
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    let (_, status) = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
        .expect("wait")
        .expect("it has ended");
    assert_eq!(status.exit_status(), Some(0), "the copy failed");
}
