//! Users without privileges, limits, and private namespaces.

use ipc_core::{Error, ErrorKind, Name, Semaphore};
use ipc_sem::posix::{SemOptions, UnnamedSem};
use ipc_sem::sysv::{Key, Op, SetOptions};
use ipc_sem::{Event, Mutex, Reset, Shared, SharedOptions};
use ipc_testkit::{Harness, Peer, become_nobody, in_namespaces, need_root, with_free_descriptors};

use crate::fixtures::{fresh_key, fresh_name};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("privileges/sysv_limits_are_each_named", || {
            // SEMMSL, SEMMNS, SEMOPM, SEMMNI.
            let setup = "echo 10 25 5 3 > /proc/sys/kernel/sem";
            in_namespaces("meets_sysv_limits", &["--ipc", "--mount"], setup);
        })
        .role("meets_sysv_limits", sysv_limits)
        .test("privileges/a_full_dev_shm_is_a_resource_limit_and_leaves_nothing", || {
            let setup = "mount -t tmpfs -o size=8k,mode=1777 none /dev/shm";
            in_namespaces("meets_a_full_dev_shm", &["--mount"], setup);
        })
        .role("meets_a_full_dev_shm", full_dev_shm)
        .test("privileges/a_missing_dev_shm_is_not_found", || {
            in_namespaces("misses_dev_shm", &["--mount"], "mount -t tmpfs none /dev");
        })
        .role("misses_dev_shm", no_dev_shm)
        .test("privileges/a_lock_of_another_pid_namespace_is_refused", || {
            let name = fresh_name();
            let lock =
                SharedOptions::<Both>::new().create(&name, (0, Reset::Manual)).expect("create");
            let event = fresh_name();
            let flag = SharedOptions::<Event>::new().create(&event, Reset::Manual).expect("create");
            let setup = format!("export NAME={name} EVENT={event}");
            in_namespaces("meets_a_lock_of_others", &["--pid", "--fork", "--kill-child"], &setup);
            assert!(flag.is_set());
            drop(lock.0.lock().expect("nobody has touched it"));
        })
        .role("meets_a_lock_of_others", lock_of_others)
        .test("privileges/what_belongs_to_others_is_refused", foreign)
        .role("nobody_opens", nobody_opens)
        .test("privileges/a_mode_lets_others_in_who_say_so", shared_with_others)
        .role("nobody_uses", nobody_uses)
}

#[track_caller]
fn names(result: Result<impl Sized, Error>, part: &str) {
    let error = result.map(drop).expect_err("it is beyond a limit");
    let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
    assert!(knob.contains(part), "{error} does not name {part}");
}

fn sysv_limits() {
    become_nobody();
    let create = |len: usize| SetOptions::new().values(&vec![1; len]).private();
    names(create(11), "SEMMSL");
    let first = create(10).expect("create");
    names(first.operate(&[Op::wait(0, 1); 6], ipc_core::Wait::Never), "SEMOPM");
    assert_eq!(first.values().expect("values"), [1; 10]);
    let second = create(10).expect("create");
    names(create(6), "SEMMNS");
    let third = create(2).expect("create");
    names(create(1), "SEMMNI");
    drop((first, second, third));
    assert!(ipc_sem::sysv::sets().expect("list").is_empty(), "a create that failed left a set");
}

fn full_dev_shm() {
    become_nobody();
    let mut made = Vec::new();
    let error = loop {
        let name = Name::new(format!("s{}", made.len())).expect("a name");
        match SemOptions::new().create(&name) {
            Ok(sem) => made.push(sem),
            Err(error) => break error,
        }
    };
    names(Err::<(), _>(error), "df");
    assert!(!made.is_empty());
    let name = Name::new("lock").expect("a name");
    names(SharedOptions::<Mutex<u64>>::new().create(&name, 0), "df");
    let there = std::fs::read_dir("/dev/shm").expect("read").count();
    assert_eq!(there, made.len(), "a create that failed left something");
    names(with_free_descriptors(0, || Shared::<Mutex<u64>>::new(0)), "RLIMIT_NOFILE");
}

fn no_dev_shm() {
    let name = Name::new("sem").expect("a name");
    let kind = SemOptions::new().create(&name).map(drop).expect_err("no place").kind();
    assert_eq!(kind, ErrorKind::NotFound);
    let sem = Shared::<UnnamedSem>::new(1).expect("this one needs no place");
    sem.wait().expect("wait");
}

type Both = (Mutex<u32>, Event);

/// As process 1 of a namespace, whose number may be that of anybody outside.
fn lock_of_others() {
    let name = |key| Name::new(std::env::var_os(key).expect("it is told")).expect("a name");
    let error = SharedOptions::<Both>::new().open(&name("NAME")).map(drop).expect_err("outside");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("PID namespace"), "{error}");
    // What has no holder knows no numbers.
    SharedOptions::<Event>::new().open(&name("EVENT")).expect("open").set();
    // Its own is its own.
    let ours = Shared::<Mutex<u32>>::new(7).expect("new");
    assert_eq!(*crate::fixtures::again(&ours).expect("attach").lock().expect("lock"), 7);
}

fn start(role: &str, name: &Name, key: Key) -> Peer {
    let mut peer = Peer::cast(role);
    peer.command().env("NAME", name.as_os_str()).env("KEY", key.get().to_string());
    peer.start()
}

fn address() -> (Name, Key) {
    let name = std::env::var_os("NAME").expect("NAME");
    let key = std::env::var("KEY").expect("KEY").parse().expect("a number");
    (Name::new(name).expect("a name"), Key::new(key).expect("a key"))
}

fn foreign() {
    need_root("become another user");
    let (name, key) = (fresh_name(), fresh_key());
    let sem = SemOptions::new().value(1).create(&name).expect("create");
    let set = SetOptions::new().values(&[1]).create(key).expect("create");
    let lock = SharedOptions::<Mutex<u32>>::new().create(&name, 0).expect("create");
    start("nobody_opens", &name, key).join();
    assert_eq!((sem.value(), set.values().expect("values")), (1, vec![1]));
    drop(lock.lock().expect("lock"));
}

fn nobody_opens() {
    become_nobody();
    let (name, key) = address();
    let kind = |result: Result<(), Error>| result.expect_err("it is root's").kind();
    let denied = ErrorKind::PermissionDenied;
    for options in [SemOptions::new(), SemOptions::new().owner(0)] {
        assert_eq!(kind(options.open(&name).map(drop)), denied);
        assert_eq!(kind(options.open_or_create(&name).map(drop)), denied);
    }
    assert_eq!(kind(SharedOptions::<Mutex<u32>>::new().open(&name).map(drop)), denied);
    let foreign = ErrorKind::ForeignOwner { uid: 0 };
    assert_eq!(kind(SetOptions::new().open(key).map(drop)), foreign);
    let set = SetOptions::new().owner(0).open(key).expect("it can be looked at in /proc");
    assert_eq!(kind(set.sem(0).expect("sem").try_wait()), denied);
    assert_eq!(kind(set.sem(0).expect("sem").post()), denied);
    assert_eq!(kind(set.values().map(drop)), denied);
    assert_eq!(kind(set.set_values(&[9])), denied);
    assert_eq!(kind(set.unlink()), denied);
}

fn shared_with_others() {
    need_root("become another user");
    let (name, key) = (fresh_name(), fresh_key());
    let sem = SemOptions::new().mode(0o666).create(&name).expect("create");
    let set = SetOptions::new().mode(0o666).create(key).expect("create");
    let lock = SharedOptions::<Mutex<u32>>::new().mode(0o666).create(&name, 0).expect("create");
    start("nobody_uses", &name, key).join();
    sem.try_wait().expect("it was posted");
    set.sem(0).expect("sem").try_wait().expect("it was posted");
    assert_eq!(*lock.lock().expect("lock"), 1);
}

fn nobody_uses() {
    become_nobody();
    let (name, key) = address();
    let foreign = ErrorKind::ForeignOwner { uid: 0 };
    let error = SemOptions::new().open(&name).map(drop).expect_err("root's");
    assert_eq!(error.kind(), foreign);
    let error = SharedOptions::<Mutex<u32>>::new().open(&name).map(drop).expect_err("root's");
    assert_eq!(error.kind(), foreign);
    let error = SetOptions::new().open(key).map(drop).expect_err("root's");
    assert_eq!(error.kind(), foreign);
    let sem = SemOptions::new().owner(0).open(&name).expect("open");
    sem.post().expect("post");
    SetOptions::new().owner(0).open(key).expect("open").sem(0).expect("sem").post().expect("post");
    *SharedOptions::<Mutex<u32>>::new()
        .owner(0)
        .open(&name)
        .expect("open")
        .lock()
        .expect("lock") += 1;
    // Neither can be removed by who does not own it: the directory is sticky.
    assert_eq!(sem.unlink().expect_err("root's").kind(), ErrorKind::PermissionDenied);
}
