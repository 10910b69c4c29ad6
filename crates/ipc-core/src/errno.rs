//! The errno values this workspace meets, by number, name and general meaning.
//!
//! The numbers are those of `asm-generic/errno.h`, which x86, Arm, RISC-V, POWER and s390 share.

use crate::ErrorKind;

/// Open descriptors of this process.
const DESCRIPTORS: ErrorKind = ErrorKind::ResourceLimit {
    limit: "open file descriptors of this process",
    knob: "RLIMIT_NOFILE (ulimit -n)",
};

/// Open files of the whole machine.
const OPEN_FILES: ErrorKind = ErrorKind::ResourceLimit {
    limit: "open files of the whole system",
    knob: "/proc/sys/fs/file-max",
};

/// Memory that the kernel would not give.
const KERNEL_MEMORY: ErrorKind = ErrorKind::ResourceLimit {
    limit: "memory",
    knob: "the memory of the machine or the control group (memory.max)",
};

/// Blocks or inodes of a file system.
const DISK_SPACE: ErrorKind = ErrorKind::ResourceLimit {
    limit: "space or inodes of the file system",
    knob: "df and df -i; for tmpfs its size= mount option",
};

/// Blocks or inodes of a user.
const QUOTA: ErrorKind =
    ErrorKind::ResourceLimit { limit: "this user's disk quota", knob: "quota(1)" };

/// Number, name, and what the error means unless the caller knows better.
#[rustfmt::skip]
const TABLE: &[(i32, &str, ErrorKind)] = &[
    (1,   "EPERM",           ErrorKind::PermissionDenied),
    (2,   "ENOENT",          ErrorKind::NotFound),
    (3,   "ESRCH",           ErrorKind::NotFound),
    (4,   "EINTR",           ErrorKind::Other),
    (5,   "EIO",             ErrorKind::Other),
    (6,   "ENXIO",           ErrorKind::NotFound),
    (7,   "E2BIG",           ErrorKind::Other),
    (9,   "EBADF",           ErrorKind::Other),
    (10,  "ECHILD",          ErrorKind::NotFound),
    (11,  "EAGAIN",          ErrorKind::WouldBlock),
    (12,  "ENOMEM",          KERNEL_MEMORY),
    (13,  "EACCES",          ErrorKind::PermissionDenied),
    (14,  "EFAULT",          ErrorKind::Other),
    (16,  "EBUSY",           ErrorKind::Other),
    (17,  "EEXIST",          ErrorKind::AlreadyExists),
    (20,  "ENOTDIR",         ErrorKind::NotFound),
    (21,  "EISDIR",          ErrorKind::Other),
    (22,  "EINVAL",          ErrorKind::InvalidInput),
    (23,  "ENFILE",          OPEN_FILES),
    (24,  "EMFILE",          DESCRIPTORS),
    (27,  "EFBIG",           ErrorKind::Other),
    (28,  "ENOSPC",          DISK_SPACE),
    (29,  "ESPIPE",          ErrorKind::Unsupported),
    (30,  "EROFS",           ErrorKind::PermissionDenied),
    (32,  "EPIPE",           ErrorKind::Disconnected),
    (34,  "ERANGE",          ErrorKind::InvalidInput),
    (35,  "EDEADLK",         ErrorKind::Other),
    (36,  "ENAMETOOLONG",    ErrorKind::Other),
    (38,  "ENOSYS",          ErrorKind::Unsupported),
    (40,  "ELOOP",           ErrorKind::Other),
    (42,  "ENOMSG",          ErrorKind::WouldBlock),
    (43,  "EIDRM",           ErrorKind::Disconnected),
    (71,  "EPROTO",          ErrorKind::Other),
    (75,  "EOVERFLOW",       ErrorKind::Other),
    (88,  "ENOTSOCK",        ErrorKind::Other),
    (90,  "EMSGSIZE",        ErrorKind::Other),
    (92,  "ENOPROTOOPT",     ErrorKind::Unsupported),
    (93,  "EPROTONOSUPPORT", ErrorKind::Unsupported),
    (95,  "EOPNOTSUPP",      ErrorKind::Unsupported),
    (97,  "EAFNOSUPPORT",    ErrorKind::Unsupported),
    (98,  "EADDRINUSE",      ErrorKind::AlreadyExists),
    (99,  "EADDRNOTAVAIL",   ErrorKind::NotFound),
    (100, "ENETDOWN",        ErrorKind::Disconnected),
    (101, "ENETUNREACH",     ErrorKind::Disconnected),
    (103, "ECONNABORTED",    ErrorKind::Disconnected),
    (104, "ECONNRESET",      ErrorKind::Disconnected),
    (105, "ENOBUFS",         KERNEL_MEMORY),
    (106, "EISCONN",         ErrorKind::Other),
    (107, "ENOTCONN",        ErrorKind::Disconnected),
    (108, "ESHUTDOWN",       ErrorKind::Disconnected),
    (109, "ETOOMANYREFS",    ErrorKind::Other),
    (110, "ETIMEDOUT",       ErrorKind::TimedOut),
    (111, "ECONNREFUSED",    ErrorKind::ConnectionRefused),
    (113, "EHOSTUNREACH",    ErrorKind::Disconnected),
    (114, "EALREADY",        ErrorKind::Other),
    (115, "EINPROGRESS",     ErrorKind::WouldBlock),
    (122, "EDQUOT",          QUOTA),
    (130, "EOWNERDEAD",      ErrorKind::OwnerDied),
    (131, "ENOTRECOVERABLE", ErrorKind::Corrupted),
];

/// The name of an errno, such as `EMFILE`.
pub(crate) fn name(errno: i32) -> Option<&'static str> {
    TABLE.iter().find(|(number, ..)| *number == errno).map(|(_, name, _)| *name)
}

/// What an errno means unless the caller knows better.
pub(crate) fn kind(errno: i32) -> ErrorKind {
    TABLE.iter().find(|(number, ..)| *number == errno).map_or(ErrorKind::Other, |(.., kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_agrees_with_std() {
        assert!(TABLE.is_sorted_by_key(|(number, ..)| *number));
        for (number, name, kind) in TABLE {
            let std_kind = std::io::Error::from_raw_os_error(*number).kind();
            let agrees = match kind {
                ErrorKind::NotFound => std_kind == std::io::ErrorKind::NotFound,
                ErrorKind::AlreadyExists => std_kind == std::io::ErrorKind::AlreadyExists,
                ErrorKind::TimedOut => std_kind == std::io::ErrorKind::TimedOut,
                _ => continue,
            };
            let ours_is_wider = matches!(
                *name,
                "ESRCH" | "ENXIO" | "ECHILD" | "ENOTDIR" | "EADDRINUSE" | "EADDRNOTAVAIL"
            );
            assert!(agrees || ours_is_wider, "{name} is {std_kind:?} in std");
        }
    }
}
