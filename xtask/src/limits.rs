//! Kernel limits that shape the figures.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Resource, getrlimit};

/// The sysctls, as their names below `/proc/sys` with dots.
const SYSCTLS: &[&str] = &[
    "fs.pipe-max-size",
    "fs.pipe-user-pages-soft",
    "fs.pipe-user-pages-hard",
    "fs.mqueue.msg_max",
    "fs.mqueue.msgsize_max",
    "fs.mqueue.queues_max",
    "fs.file-max",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmmax",
    "kernel.shmall",
    "kernel.shmmni",
    "kernel.sched_autogroup_enabled",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.unix.max_dgram_qlen",
];

/// Every limit that could be read, by name.
pub(crate) fn read() -> BTreeMap<String, String> {
    let sysctls = SYSCTLS.iter().filter_map(|name| {
        let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
        let words: Vec<_> = text.split_whitespace().collect();
        Some(((*name).to_owned(), words.join(" ")))
    });
    let limits = [
        ("RLIMIT_NOFILE", Resource::Nofile),
        ("RLIMIT_NPROC", Resource::Nproc),
        ("RLIMIT_MEMLOCK", Resource::Memlock),
        ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
        ("RLIMIT_SIGPENDING", Resource::Sigpending),
        ("RLIMIT_RTPRIO", Resource::Rtprio),
    ];
    let limits = limits.into_iter().map(|(name, resource)| {
        let limit = getrlimit(resource).current;
        (name.to_owned(), limit.map_or_else(|| "unlimited".to_owned(), |it| it.to_string()))
    });
    sysctls.chain(limits).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_limits_of_this_kernel_can_be_read() {
        let limits = super::read();
        assert!(limits.contains_key("RLIMIT_NOFILE"));
        assert!(limits.get("fs.pipe-max-size").is_some_and(|it| it.parse::<u64>().is_ok()));
    }
}
