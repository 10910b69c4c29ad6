//! Processes, created and asked one message over a socket.
#![expect(unsafe_code, reason = "a fork is unsafe, and the raw variant calls the system bare")]

use std::ffi::{CString, OsString};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::{io, ptr};

use anyhow::{Context, Result, ensure};
use ipc_bench_schema::Variant;
use ipc_core::{Caps, Shape};
use ipc_process::{Child, ForkOptions};

use crate::create::{Create, answer_once, other_cpu};
use crate::{Setup, Subject, VariantEntry};

/// What a process is asked over.
const CAPS: Caps =
    Caps::new(Shape::ByteStream).anonymous().duplex().pollable().reports_peer_death();

/// The row of the matrix for a fork.
pub(super) const FORK: Subject = Subject {
    id: "process-fork",
    krate: "ipc-process",
    summary: "a forked process, asked once over a socket and waited for",
    caps: CAPS,
    variants: &[
        VariantEntry::creating::<OursForked>(Variant::Ours),
        VariantEntry::creating::<BareForked>(Variant::Raw),
    ],
};

/// The row of the matrix for a program.
pub(super) const SPAWN: Subject = Subject {
    id: "process-spawn",
    krate: "ipc-process",
    summary: "a program that is started, asked once over a socket and waited for",
    caps: CAPS,
    variants: &[
        VariantEntry::creating::<OursSpawned>(Variant::Ours),
        VariantEntry::creating::<BareSpawned>(Variant::Raw),
    ],
};

/// What the new process needs to know.
#[derive(Debug, Clone, Copy)]
struct Task {
    size: usize,
    /// Where it is to run, if that is not where it is forked.
    cpu: Option<usize>,
}

impl Task {
    fn of(setup: &Setup) -> Self {
        Self { size: setup.size, cpu: other_cpu(setup) }
    }

    /// The new process's life, and its exit status.
    fn run(self, socket: &UnixStream) -> u8 {
        u8::from(answer_once(socket, self.size, self.cpu).is_err())
    }

    /// The arguments for the program that does the same.
    fn args(self) -> [String; 3] {
        let cpu = self.cpu.map_or_else(|| "-".to_owned(), |cpu| cpu.to_string());
        ["answer".to_owned(), self.size.to_string(), cpu]
    }
}

/// Asks over a socket; all variants do it so.
fn ask(mut socket: &UnixStream, buf: &mut [u8]) -> Result<usize> {
    socket.write_all(buf).context("the first message")?;
    socket.read_exact(buf).context("the answer")?;
    Ok(buf.len())
}

/// Our crate's fork.
struct OursForked(Task);

impl Create for OursForked {
    type Created = (Child, UnixStream);

    fn new(setup: &Setup) -> Result<Self> {
        Ok(Self(Task::of(setup)))
    }

    fn create(&mut self) -> Result<Self::Created> {
        let (ours, theirs) = UnixStream::pair()?;
        let task = self.0;
        // SAFETY: a measuring process has one thread, and what it owns the child does not touch.
        let child = unsafe { ForkOptions::new().fork(move || task.run(&theirs)) }?;
        Ok((child, ours))
    }

    fn ask(&mut self, (_, socket): &mut Self::Created, buf: &mut [u8]) -> Result<usize> {
        ask(socket, buf)
    }

    fn end(&mut self, (mut child, _): Self::Created) -> Result<()> {
        let status = child.wait()?;
        ensure!(status.success(), "the new process has failed: {status}");
        Ok(())
    }
}

/// `fork`, `pidfd_open` and `waitid`.
struct BareForked(Task);

impl Create for BareForked {
    type Created = (OwnedFd, UnixStream);

    fn new(setup: &Setup) -> Result<Self> {
        Ok(Self(Task::of(setup)))
    }

    fn create(&mut self) -> Result<Self::Created> {
        let (ours, theirs) = UnixStream::pair()?;
        // SAFETY: a measuring process has one thread, and what it owns the child does not touch.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()).context("fork"),
            0 => {
                let code = self.0.run(&theirs);
                // SAFETY: the call takes any number and ends the process.
                unsafe { libc::_exit(code.into()) }
            }
            pid => Ok((pidfd(pid)?, ours)),
        }
    }

    fn ask(&mut self, (_, socket): &mut Self::Created, buf: &mut [u8]) -> Result<usize> {
        ask(socket, buf)
    }

    fn end(&mut self, (pidfd, _): Self::Created) -> Result<()> {
        wait_for(&pidfd)
    }
}

/// Our crate's start of a program.
struct OursSpawned(Command);

impl Create for OursSpawned {
    type Created = (Child, UnixStream);

    fn new(setup: &Setup) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("own path")?);
        command.args(Task::of(setup).args());
        Ok(Self(command))
    }

    fn create(&mut self) -> Result<Self::Created> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Child::spawn(self.0.stdin(OwnedFd::from(theirs)));
        // The command holds this process's copy: the new one's death must be seen.
        self.0.stdin(Stdio::null());
        Ok((child?, ours))
    }

    fn ask(&mut self, (_, socket): &mut Self::Created, buf: &mut [u8]) -> Result<usize> {
        ask(socket, buf)
    }

    fn end(&mut self, (mut child, _): Self::Created) -> Result<()> {
        let status = child.wait()?;
        ensure!(status.success(), "the program has failed: {status}");
        Ok(())
    }
}

/// `posix_spawn`, `pidfd_open` and `waitid`.
struct BareSpawned {
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Create for BareSpawned {
    type Created = (OwnedFd, UnixStream);

    fn new(setup: &Setup) -> Result<Self> {
        let program = std::env::current_exe().context("own path")?;
        let mut argv = vec![CString::new(program.as_os_str().as_bytes())?];
        for arg in Task::of(setup).args() {
            argv.push(CString::new(arg)?);
        }
        let variable = |(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            CString::new(name.into_vec())
        };
        Ok(Self { argv, env: std::env::vars_os().map(variable).collect::<Result<_, _>>()? })
    }

    fn create(&mut self) -> Result<Self::Created> {
        let (ours, theirs) = UnixStream::pair()?;
        let pid = spawn(&self.argv, &self.env, &theirs).context("posix_spawn")?;
        Ok((pidfd(pid)?, ours))
    }

    fn ask(&mut self, (_, socket): &mut Self::Created, buf: &mut [u8]) -> Result<usize> {
        ask(socket, buf)
    }

    fn end(&mut self, (pidfd, _): Self::Created) -> Result<()> {
        wait_for(&pidfd)
    }
}

/// `posix_spawn` with a socket for standard input.
fn spawn(argv: &[CString], env: &[CString], stdin: &UnixStream) -> io::Result<libc::pid_t> {
    let pointers = |words: &[CString]| {
        let words = words.iter().map(|word| word.as_ptr().cast_mut());
        words.chain([ptr::null_mut()]).collect::<Vec<_>>()
    };
    let program = argv.first().map_or(ptr::null(), |word| word.as_ptr());
    let (argv, env) = (pointers(argv), pointers(env));
    let mut actions = MaybeUninit::uninit();
    let mut pid = 0;
    // SAFETY: the call fills the structure.
    done(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
    // SAFETY: the structure was filled by the call before.
    let added = done(unsafe {
        libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), stdin.as_raw_fd(), 0)
    });
    let to = &raw mut pid;
    let spawned = added.and_then(|()| {
        let (argv, env) = (argv.as_ptr(), env.as_ptr());
        // SAFETY: path, arguments and environment are strings that end in NULs, in lists that end in
        // null pointers, and outlive the call; the actions were filled, and there are no attributes.
        done(unsafe { libc::posix_spawn(to, program, actions.as_ptr(), ptr::null(), argv, env) })
    });
    // SAFETY: the structure was filled, and is not used any more.
    unsafe { libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr()) };
    spawned.map(|()| pid)
}

/// The error of a call that returns an errno.
fn done(errno: libc::c_int) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// `pidfd_open`
fn pidfd(pid: libc::pid_t) -> Result<OwnedFd> {
    // SAFETY: the call takes numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0);
    let fd = fd.ok_or_else(io::Error::last_os_error).context("pidfd_open")?;
    // SAFETY: the call has just returned this descriptor, so that nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `waitid`
fn wait_for(pidfd: &OwnedFd) -> Result<()> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let fd = libc::id_t::try_from(pidfd.as_raw_fd())?;
    // SAFETY: the call fills the structure, or fails.
    let failed = unsafe { libc::waitid(libc::P_PIDFD, fd, info.as_mut_ptr(), libc::WEXITED) };
    ensure!(failed == 0, "waitid: {}", io::Error::last_os_error());
    // SAFETY: all its bytes are set, and it consists of numbers.
    let info = unsafe { info.assume_init() };
    // SAFETY: what `waitid` tells is of the kind that has a status.
    let status = unsafe { info.si_status() };
    ensure!(info.si_code == libc::CLD_EXITED && status == 0, "the new process has failed");
    Ok(())
}
