//! The machine that is measured: what it says about itself, and what a reader must know about it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ipc_bench_schema::results::Host;

use crate::cpus::{Cpus, ranges};
use crate::limits;

/// Reads the host's record. What cannot be read is left out.
pub(crate) fn read(cpus: &Cpus) -> Host {
    let cpuinfo = text("/proc/cpuinfo").unwrap_or_default();
    let uname = rustix::system::uname();
    let words = [uname.sysname(), uname.release(), uname.machine()]
        .map(|it| it.to_string_lossy().into_owned());
    let system = "/sys/devices/system";
    Host {
        cpu: field(&cpuinfo, "model name").or_else(|| field(&cpuinfo, "Processor")),
        cpus: cpus.allowed.clone(),
        topology: topology(cpus),
        kernel: Some(words.join(" ")),
        virtualisation: Some(virtualisation(&cpuinfo)),
        clocksource: text(&format!("{system}/clocksource/clocksource0/current_clocksource")),
        governor: text(&format!("{system}/cpu/cpu{}/cpufreq/scaling_governor", cpus.pair[0])),
        mitigations: mitigations(),
        limits: limits::read(),
        load_1m: text("/proc/loadavg").and_then(|it| it.split(' ').next()?.parse().ok()),
        memory_bytes: memory(),
        warnings: Vec::new(),
    }
}

/// What disturbs figures on this machine, in plain words.
pub(crate) fn warnings(host: &Host, cpus: &Cpus, rounds: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    let virtualised = host.virtualisation.as_deref().filter(|it| !it.starts_with("none"));
    if let Some(what) = virtualised {
        warnings.push(format!(
            "this is a virtual machine ({what}): waking a sleeper on another CPU costs more than \
             on hardware, and other guests may take CPU time"
        ));
    }
    let per_cpu = host.load_1m.unwrap_or(0.0) / cpus.allowed.len().max(1) as f64;
    if per_cpu > 0.3 {
        warnings.push(format!(
            "the machine was busy when the run began (load {per_cpu:.2} per CPU): latencies, above \
             all p99, are worse than it can do"
        ));
    }
    if let Some(governor) = host.governor.as_deref().filter(|it| *it != "performance") {
        warnings.push(format!(
            "the frequency governor is {governor}, not performance: a CPU that slept wakes up slow"
        ));
    }
    if let Ok(slow) = std::env::var("IPC_BENCH_SLOW") {
        warnings.push(format!(
            "IPC_BENCH_SLOW={slow} was set: what it names was slowed down on purpose, and its figures mean \
             nothing"
        ));
    }
    if !cpus.two() {
        warnings.push("only one CPU is used: nothing was measured across CPUs".to_owned());
    }
    if rounds < 5 {
        warnings.push(format!(
            "{rounds} rounds are too few: the intervals are narrower than the truth; 5 or more \
             make them mean something"
        ));
    }
    warnings
}

fn topology(cpus: &Cpus) -> Vec<String> {
    let list = |files: &str| {
        let mut lists: Vec<_> = cpus
            .allowed
            .iter()
            .filter_map(|cpu| text(&format!("/sys/devices/system/cpu/cpu{cpu}/{files}")))
            .collect();
        lists.sort();
        lists.dedup();
        lists
    };
    let groups = [
        ("threads of one core", list("topology/thread_siblings_list")),
        ("CPUs of one socket", list("topology/package_cpus_list")),
        ("CPUs that share an L2 cache", list("cache/index2/shared_cpu_list")),
        ("CPUs that share an L3 cache", list("cache/index3/shared_cpu_list")),
    ];
    let mut lines = vec![format!("CPUs in use: {}", ranges(&cpus.allowed))];
    let known = groups.into_iter().filter(|(_, lists)| !lists.is_empty());
    lines.extend(known.map(|(what, lists)| format!("{what}: {}", lists.join(" | "))));
    if let Some(nodes) = text("/sys/devices/system/node/online") {
        lines.push(format!("NUMA nodes: {nodes}"));
    }
    lines
}

/// What kind of machine the kernel believes to run on.
fn virtualisation(cpuinfo: &str) -> String {
    let flags = field(cpuinfo, "flags").unwrap_or_default();
    let xen = text("/sys/hypervisor/type");
    let dmi = ["sys_vendor", "product_name"].map(|file| text(&format!("/sys/class/dmi/id/{file}")));
    let dmi = dmi.into_iter().flatten().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
    let guest = flags.split(' ').any(|flag| flag == "hypervisor");
    let machine = match (xen, guest, dmi.is_empty()) {
        (Some(kind), ..) => kind,
        (None, true, false) => format!("a hypervisor, {dmi}"),
        (None, true, true) => "a hypervisor that does not say which".to_owned(),
        (None, false, _) => "none that shows itself".to_owned(),
    };
    let container = ["/.dockerenv", "/run/.containerenv"].iter().any(|it| Path::new(it).exists());
    if container { format!("{machine}; in a container") } else { machine }
}

fn mitigations() -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir("/sys/devices/system/cpu/vulnerabilities") else {
        return BTreeMap::new();
    };
    let named = entries.flatten().filter_map(|entry| {
        let state = fs::read_to_string(entry.path()).ok()?;
        Some((entry.file_name().into_string().ok()?, state.trim().to_owned()))
    });
    named.collect()
}

fn memory() -> Option<u64> {
    let meminfo = text("/proc/meminfo")?;
    let total = field(&meminfo, "MemTotal")?;
    let kib: u64 = total.split(' ').next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The value of the first `name: value` line.
fn field(lines: &str, name: &str) -> Option<String> {
    lines.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn text(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus() -> Cpus {
        Cpus { allowed: vec![0, 1], pair: [0, 1], places: Vec::new() }
    }

    #[test]
    fn this_host_says_what_it_is() {
        let host = read(&cpus());
        assert!(host.kernel.is_some_and(|it| it.starts_with("Linux ")));
        assert!(host.memory_bytes.is_some_and(|it| it > 0));
        assert!(host.load_1m.is_some() && !host.topology.is_empty());
    }

    #[test]
    fn a_quiet_machine_needs_no_warning() {
        let host = Host {
            virtualisation: Some("none that shows itself".to_owned()),
            governor: Some("performance".to_owned()),
            load_1m: Some(0.1),
            ..Host::default()
        };
        assert_eq!(warnings(&host, &cpus(), 5), Vec::<String>::new());
    }

    #[test]
    fn everything_that_disturbs_is_named() {
        let host = Host {
            virtualisation: Some("kvm".to_owned()),
            governor: Some("powersave".to_owned()),
            load_1m: Some(1.0),
            ..Host::default()
        };
        let one = Cpus { allowed: vec![0], pair: [0, 0], places: Vec::new() };
        assert_eq!(warnings(&host, &one, 2).len(), 5);
    }
}
