//! Processes and threads as `/proc` shows them: whether they sleep, and in what.

use std::fs;
use std::path::Path;

use rustix::process::Pid;

/// One look at a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The state's letter: `R`, `S`, `D`, `Z`, …
    pub(crate) state: char,
    /// How often it has gone to sleep so far.
    pub(crate) sleeps: u64,
}

/// Looks at a thread; `None` when there is no such thread any more.
pub(crate) fn sample(pid: Pid, tid: Pid) -> Option<Sample> {
    let path = format!("/proc/{}/task/{}/status", pid.as_raw_nonzero(), tid.as_raw_nonzero());
    let status = fs::read_to_string(path).ok()?;
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    Some(Sample {
        state: field("State:")?.chars().next()?,
        sleeps: field("voluntary_ctxt_switches:")?.parse().ok()?,
    })
}

/// The processes of a process group that have not ended (zombies have).
pub(crate) fn members(group: Pid) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Pid::from_raw).filter(|pid| is_live_member(*pid, group)).collect()
}

fn is_live_member(pid: Pid, group: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let stat = stat.unwrap_or_default();
    // The command's name is in parentheses and may contain anything.
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next();
    let pgrp = fields.nth(1).and_then(|pgrp| pgrp.parse().ok());
    !matches!(state, Some("Z" | "X")) && pgrp == Some(group.as_raw_nonzero().get())
}

/// What the threads of a process are doing, one line a thread.
pub(crate) fn describe(pid: Pid) -> String {
    let dir = format!("/proc/{}", pid.as_raw_nonzero());
    let cmdline = fs::read(format!("{dir}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&cmdline).replace('\0', " ");
    let mut text = format!("  process {} ({}):\n", pid.as_raw_nonzero(), command.trim_end());
    let tasks = fs::read_dir(format!("{dir}/task")).into_iter().flatten().flatten();
    for task in tasks {
        text += &describe_thread(Path::new(&dir), &task.path());
    }
    text
}

fn describe_thread(process: &Path, task: &Path) -> String {
    let read = |file: &str| fs::read_to_string(task.join(file)).unwrap_or_default();
    let status = read("status");
    let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("\t?");
    let state = state.trim();
    let name = read("comm");
    let wchan = read("wchan");
    let wchan = match wchan.trim() {
        "" | "0" => String::new(),
        wchan => format!(", kernel function {wchan}"),
    };
    let call = read("syscall");
    let call = blocked_in(call.trim(), process);
    let stack = read("stack");
    let function = |line: &str| Some(line.split(' ').nth(1)?.split('+').next()?.to_owned());
    let stack: Vec<_> = stack.lines().filter_map(function).take(4).collect();
    let stack = match stack.as_slice() {
        [] => String::new(),
        frames => format!("\n      {}", frames.join(" < ")),
    };
    let name = if process.file_name() == task.file_name() { "main" } else { name.trim() };
    format!("    thread {name}: {state}, {call}{wchan}{stack}\n")
}

/// Puts a line of `/proc/PID/syscall` into words: `in read of fd 3 (pipe:[17])`.
fn blocked_in(line: &str, process: &Path) -> String {
    let mut words = line.split_ascii_whitespace();
    let number: i64 = match words.next().map(|word| (word, word.parse())) {
        None => return "system call unknown".into(),
        Some((_, Ok(number))) if number >= 0 => number,
        Some(("running", _)) => return "not in a system call".into(),
        Some((word, _)) => return format!("not in a system call ({word})"),
    };
    let Some((_, name, takes_fd)) = CALLS.iter().find(|(it, ..)| *it == number) else {
        return format!("in system call {number}");
    };
    let fd = words.next().and_then(|word| u32::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    match fd.filter(|_| *takes_fd) {
        None => format!("in {name}"),
        Some(fd) => match fs::read_link(process.join(format!("fd/{fd}"))) {
            Ok(target) => format!("in {name} of fd {fd} ({})", target.display()),
            Err(_) => format!("in {name} of fd {fd}"),
        },
    }
}

/// The calls in which IPC blocks: number, name, and whether the first argument is a descriptor.
#[rustfmt::skip]
const CALLS: &[(i64, &str, bool)] = &[
    (libc::SYS_read, "read", true),
    (libc::SYS_readv, "readv", true),
    (libc::SYS_preadv2, "preadv2", true),
    (libc::SYS_write, "write", true),
    (libc::SYS_writev, "writev", true),
    (libc::SYS_pwritev2, "pwritev2", true),
    (libc::SYS_splice, "splice", true),
    (libc::SYS_recvfrom, "recvfrom", true),
    (libc::SYS_recvmsg, "recvmsg", true),
    (libc::SYS_sendto, "sendto", true),
    (libc::SYS_sendmsg, "sendmsg", true),
    (libc::SYS_accept4, "accept4", true),
    (libc::SYS_connect, "connect", true),
    (libc::SYS_flock, "flock", true),
    (libc::SYS_fcntl, "fcntl", true),
    (libc::SYS_mq_timedsend, "mq_timedsend", false),
    (libc::SYS_mq_timedreceive, "mq_timedreceive", false),
    (libc::SYS_msgsnd, "msgsnd", false),
    (libc::SYS_msgrcv, "msgrcv", false),
    (libc::SYS_semtimedop, "semtimedop", false),
    (libc::SYS_futex, "futex", false),
    (libc::SYS_ppoll, "ppoll", false),
    (libc::SYS_pselect6, "pselect6", false),
    (libc::SYS_epoll_pwait, "epoll_pwait", false),
    (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait", false),
    (libc::SYS_rt_sigsuspend, "rt_sigsuspend", false),
    (libc::SYS_wait4, "wait4", false),
    (libc::SYS_waitid, "waitid", false),
    (libc::SYS_clock_nanosleep, "clock_nanosleep", false),
    (libc::SYS_openat, "openat", false),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll", false),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait", false),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pause, "pause", false),
];
