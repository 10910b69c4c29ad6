//! Programs that nobody here wrote: a C compiler's output, Python.

use std::process::Command;

use ipc_shm::{PosixShmOptions, RegionExt};
use ipc_testkit::{CProgram, Harness, need, run};

use crate::fixtures::fresh;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("programs/a_c_program_shares_our_memory", || c_program("ours"))
        .test("programs/we_share_a_c_programs_memory", || c_program("theirs"))
        .test("programs/python_shares_our_memory", python)
}

const SOURCE: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int create = !strcmp(argv[2], "create");
    int fd = shm_open(argv[1], create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);
    if (fd < 0) { perror("shm_open"); return 1; }
    if (create && ftruncate(fd, 4096)) { perror("ftruncate"); return 1; }
    char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) { perror("mmap"); return 1; }
    if (!create && strcmp(p, "from Rust")) { fprintf(stderr, "it says %s\n", p); return 1; }
    strcpy(p + 100, "from C");
    return 0;
}
"#;

fn c_program(whose: &str) {
    let program = CProgram::compile("shm", SOURCE, &["-lrt"]);
    let name = fresh();
    let c_name = format!("/{}", name.as_os_str().to_string_lossy());
    let memory = if whose == "ours" {
        let init = |memory: &dyn ipc_core::RegionMut| memory.write_at(0, b"from Rust\0");
        let memory = PosixShmOptions::new().create_with(&name, init).expect("create");
        run(program.command().args([&c_name, "open"]));
        memory
    } else {
        run(program.command().args([&c_name, "create"]));
        PosixShmOptions::new().open(&name).expect("open")
    };
    let mut text = [0; 6];
    memory.read_at(100, &mut text).expect("read");
    assert_eq!(&text, b"from C");
    memory.unlink().expect("unlink");
}

const PYTHON: &str = r"
import mmap, sys, _posixshmem, os
fd = _posixshmem.shm_open('/' + sys.argv[1], os.O_RDWR, mode=0o600)
memory = mmap.mmap(fd, 4096)
assert memory[:9] == b'from Rust', memory[:9]
memory[100:111] = b'from Python'
";

fn python() {
    need("python3", "python3");
    let name = fresh();
    let memory = PosixShmOptions::new().create(&name).expect("create");
    memory.write_at(0, b"from Rust").expect("write");
    run(Command::new("python3").args(["-c", PYTHON]).arg(name.as_os_str()));
    let mut text = [0; 11];
    memory.read_at(100, &mut text).expect("read");
    assert_eq!(&text, b"from Python");
}
