//! What a fork copies: nothing, until one of the two writes. Counted in pages through
//! `/proc/self/smaps`.
//!
//! `cargo run -p ipc-process --example fork_copies_pages`
#![expect(unsafe_code, reason = "forking is unsafe, and this process has one thread")]

use std::fs;
use std::io::{Read, Write};

use ipc_process::ForkOptions;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How much memory the parent has, and how much of it the child writes to.
const PAGES: usize = 2048;
const WRITTEN: usize = 300;
const PAGE: usize = 4096;

fn main() -> Result<()> {
    let mut memory = vec![1_u8; PAGES * PAGE];
    let before = Pages::around(&memory)?;
    println!("parent, alone:                 {before}");

    let (mut counts, mut tell) = std::io::pipe()?;
    let child = || {
        let mut say = |text: &str, pages: Pages| writeln!(tell, "{text}{pages}");
        let count = || -> Result<()> {
            say("child, after the fork:         ", Pages::around(&memory)?)?;
            for page in memory.chunks_mut(PAGE).take(WRITTEN) {
                page[0] = 2;
            }
            Ok(say("child, having written to some: ", Pages::around(&memory)?)?)
        };
        let mut count = count;
        u8::from(count().is_err())
    };
    // SAFETY: this process has one thread, and owns nothing that a fork would make two owners of.
    let mut child = unsafe { ForkOptions::new().fork(child) }?;
    assert!(child.wait()?.success());
    drop(tell);
    let mut text = String::new();
    counts.read_to_string(&mut text)?;
    print!("{text}");
    let after = Pages::around(&memory)?;
    println!("parent, alone again:           {after}");

    let said: Vec<_> = text.lines().filter_map(Pages::parse).collect();
    let [forked, written] = said[..] else { return Err("the child has not counted".into()) };
    // The allocation begins and ends inside a page; the allocator has a few more of the mapping.
    let near = |pages: usize, expected: usize| pages.abs_diff(expected) <= 8;
    assert!(near(before.private, PAGES) && before.shared <= 8, "{before}");
    assert!(near(forked.shared, PAGES) && near(forked.private, 0), "{forked}");
    assert!(near(written.private, WRITTEN) && near(written.shared, PAGES - WRITTEN), "{written}");
    assert!(near(after.private, PAGES) && after.shared <= 8, "{after}");
    assert!(memory.iter().all(|byte| *byte == 1), "the child has written to the parent's memory");
    Ok(())
}

/// Pages of one mapping that another process has too, and those that it has not.
#[derive(Debug, Clone, Copy)]
struct Pages {
    shared: usize,
    private: usize,
}

impl Pages {
    /// Counts those of the mapping in which `memory` lies.
    fn around(memory: &[u8]) -> Result<Self> {
        let address = memory.as_ptr().addr();
        let mut pages = Self { shared: 0, private: 0 };
        let mut inside = false;
        for line in fs::read_to_string("/proc/self/smaps")?.lines() {
            if let Some((start, end)) = range(line) {
                inside = (start..end).contains(&address);
            } else if inside && let Some((field, value)) = line.split_once(':') {
                let kib = || value.trim().trim_end_matches(" kB").parse::<usize>();
                match field {
                    "Shared_Clean" | "Shared_Dirty" => pages.shared += kib()? * 1024 / PAGE,
                    "Private_Clean" | "Private_Dirty" => pages.private += kib()? * 1024 / PAGE,
                    _ => {}
                }
            }
        }
        Ok(pages)
    }

    /// Reads what `Display` has written.
    fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
        Some(Self { shared: numbers.next()?, private: numbers.next()? })
    }
}

impl std::fmt::Display for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:5} pages shared, {:5} private", self.shared, self.private)
    }
}

/// The addresses with which the lines of a mapping begin: `55d0c0a000-55d0c0b000 r--p …`.
fn range(line: &str) -> Option<(usize, usize)> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}
