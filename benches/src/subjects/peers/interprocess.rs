//! `interprocess`: its local sockets, which are Unix stream sockets here.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{GenericFilePath, Listener, ListenerOptions, Name, Stream};
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::Mechanism;
use ipc_sock::unix;

use crate::{Link, Setup, Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "interprocess",
    krate: "interprocess",
    summary: "interprocess: local sockets by path, Unix stream sockets here",
    caps: unix::Stream::CAPS,
    variants: &[VariantEntry::of::<LocalSocket>(Variant::Peer)
        .waits(&[WaitMode::Block])
        .no_fan_in("its streams have nothing to wait for several by")],
};

struct LocalSocket(Stream);

fn path(setup: &Setup) -> PathBuf {
    setup.dir.join(&setup.key)
}

fn name(path: &Path) -> Result<Name<'_>> {
    Ok(path.to_fs_name::<GenericFilePath>()?)
}

impl Link for LocalSocket {
    type Offer = Listener;

    fn offer(setup: &Setup, _: &mut Command) -> Result<Listener> {
        Ok(ListenerOptions::new().name(name(&path(setup))?).create_sync()?)
    }

    fn connect(listener: Listener) -> Result<Self> {
        Ok(Self(listener.accept()?))
    }

    fn join(setup: &Setup) -> Result<Self> {
        Ok(Self(Stream::connect(name(&path(setup))?)?))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], _: WaitMode) -> Result<()> {
        Ok(self.0.write_all(msg)?)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], _: WaitMode) -> Result<usize> {
        self.0.read_exact(buf)?;
        Ok(buf.len())
    }
}
