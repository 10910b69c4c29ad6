//! What the cases share: places, users, programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Wait};
use ipc_sock::unix::{Address, SocketOptions};
use ipc_testkit::{Harness, Peer, Talker, become_nobody, dir, need, need_root, unique_name};

/// The default options.
pub(super) const NEW: SocketOptions = SocketOptions::new();

/// A deadline that only something that hangs reaches.
pub(crate) fn soon() -> Wait {
    Wait::timeout(Duration::from_secs(30))
}

/// A deadline that passes.
pub(super) fn a_moment() -> Wait {
    Wait::timeout(Duration::from_millis(30))
}

/// The path of a socket, the same in all processes of the case.
pub(super) fn path() -> PathBuf {
    dir().join("socket")
}

/// An abstract name that no other test uses.
pub(super) fn abstract_name() -> Address {
    Address::abstract_name(unique_name()).expect("a name")
}

#[track_caller]
pub(super) fn kind_of<T>(result: Result<T, Error>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it must fail"),
        Err(error) => error.kind(),
    }
}

#[track_caller]
pub(super) fn is_limit(error: &Error, knob_part: &str) {
    let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
    assert!(knob.contains(knob_part), "{error} does not name {knob_part}");
}

/// Lets everybody into the directory of the case, or only write to what is there.
pub(super) fn open_directory(mode: u32) {
    fs::set_permissions(dir(), PermissionsExt::from_mode(mode)).expect("chmod");
}

/// A Python script, with `socket`, `os`, `sys` and `array` imported and a socket's name, if it is
/// one, in `name`.
pub(super) fn python(script: &str, address: &Address) -> Talker {
    need("python3", "python3");
    Talker::python(&format!("{PRELUDE}{script}"), &[&hex(address)])
}

const PRELUDE: &str = "
import array, os, socket, struct, sys
name = bytes.fromhex(sys.argv[1])
UNIX, STREAM, SEQPACKET, DGRAM = (
    socket.AF_UNIX, socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM)
";

/// A name as `sun_path` has it, in hexadecimal digits.
fn hex(address: &Address) -> String {
    use std::os::unix::ffi::OsStrExt;
    let bytes = match (address.as_path(), address.as_abstract_name()) {
        (Some(path), _) => path.as_os_str().as_bytes().to_vec(),
        (None, name) => [b"\0", name.unwrap_or_default()].concat(),
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds a case that is one role, played by a user without privileges.
pub(super) fn as_nobody<R: ipc_testkit::Verdict>(
    harness: Harness,
    name: &'static str,
    role: impl Fn() -> R + 'static,
) -> Harness {
    harness
        .test(name, move || {
            need_root("become another user");
            open_directory(0o777);
            Peer::start(name).join();
        })
        .role(name, move || {
            become_nobody();
            role()
        })
}
