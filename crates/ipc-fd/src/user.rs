//! Whether something belongs to this process's user.

use std::sync::OnceLock;

/// Whether `uid`, which the kernel has told of a file or a peer, is `owner`, or this process's effective
/// user.
///
/// In a user namespace, users that have no number there are all told as one (`overflowuid`, 65534). A
/// process that has no number itself, or that one, cannot tell its own from them: then nothing is its own.
///
/// # Examples
///
/// ```
/// let meta = std::fs::metadata("/proc/self").unwrap();
/// let uid = std::os::unix::fs::MetadataExt::uid(&meta);
/// assert!(ipc_fd::user::is_owner(uid, None));
/// assert!(ipc_fd::user::is_owner(7, Some(7)) && !ipc_fd::user::is_owner(uid + 1, None));
/// ```
///
/// # References
///
/// `user_namespaces`(7), section *Unmapped user and group IDs*.
#[must_use]
pub fn is_owner(uid: u32, owner: Option<u32>) -> bool {
    match owner {
        Some(owner) => uid == owner,
        None => uid == rustix::process::geteuid().as_raw() && is_one_user(uid),
    }
}

/// Whether the kernel tells this number of one user alone.
#[must_use]
pub fn is_one_user(uid: u32) -> bool {
    static OVERFLOW: OnceLock<u32> = OnceLock::new();
    let overflow = *OVERFLOW.get_or_init(|| {
        let number = std::fs::read_to_string("/proc/sys/kernel/overflowuid");
        number.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65534)
    });
    uid != overflow || everybody_is_mapped()
}

/// Whether every user has a number of its own here, as outside of user namespaces.
fn everybody_is_mapped() -> bool {
    let Ok(map) = std::fs::read_to_string("/proc/self/uid_map") else { return false };
    map.split_whitespace().eq(["0", "0", "4294967295"])
}
