//! What tee(1) does, without a byte passing through this program: `tee` duplicates the pipe's
//! pages, `splice` moves one copy to a file and the other one on.
//!
//! `seq 5 | cargo run -p ipc-pipe --example tee_to_file -- /tmp/copy | cat`
//!
//! Without a path it feeds itself.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;

use ipc_core::Wait;
use ipc_pipe::{PipeReader, PipeWriter, pipe};

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(path) = std::env::args_os().nth(1) {
        // Both must be pipes; another file comes back with an error that says what it is.
        let from = PipeReader::try_from(std::io::stdin().as_fd().try_clone_to_owned()?)?;
        let to = PipeWriter::try_from(std::io::stdout().as_fd().try_clone_to_owned()?)?;
        return tee(&from, &to, &File::create(path)?);
    }
    let (from, mut source) = pipe()?;
    let (mut sink, to) = pipe()?;
    let mut copy = tempfile::tempfile()?;
    source.write_all(b"seen by two\n")?;
    drop(source);
    tee(&from, &to, &copy)?;
    drop(to);

    let (mut passed_on, mut kept) = (String::new(), String::new());
    sink.read_to_string(&mut passed_on)?;
    copy.rewind()?;
    copy.read_to_string(&mut kept)?;
    assert_eq!(passed_on, kept);
    print!("{kept}");
    Ok(())
}

fn tee(from: &PipeReader, to: &PipeWriter, copy: &File) -> Result<(), Box<dyn Error>> {
    loop {
        let mut left = from.tee(to, 1 << 16, Wait::Forever)?;
        if left == 0 {
            return Ok(());
        }
        while left > 0 {
            left -= from.splice_to(copy, left, Wait::Forever)?;
        }
    }
}
