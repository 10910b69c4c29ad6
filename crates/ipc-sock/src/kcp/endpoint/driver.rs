//! The thread of a socket.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ipc_core::Wait;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::{AWAKE, Endpoint};

/// The thread.
pub(super) struct Driver {
    endpoint: Arc<Endpoint>,
}

impl Driver {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint }
    }

    pub(super) fn run(self) {
        let endpoint = &self.endpoint;
        let mut next = Some(Instant::now());
        loop {
            let now = Instant::now();
            if next.is_some_and(|next| next <= now) {
                endpoint.sleeps_until.store(AWAKE, Ordering::SeqCst);
                next = endpoint.tick(now);
                let until = next.map_or(AWAKE - 1, |next| endpoint.micros(next));
                endpoint.sleeps_until.store(until, Ordering::SeqCst);
                if endpoint.is_done() {
                    return;
                }
            }
            match self.poll(next) {
                Ok(true) => {
                    let _ = rustix::io::read(&endpoint.wake, &mut [0_u8; 8]);
                    next = Some(now);
                }
                Ok(false) => {}
                // Memory ran short; the sessions must go on.
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
            endpoint.take_datagrams(&mut |due| {
                next = [next, due].into_iter().flatten().min();
            });
        }
    }

    /// Sleeps until a datagram comes, a session is due, or somebody wakes it, which is `true`.
    fn poll(&self, until: Option<Instant>) -> Result<bool, Errno> {
        let wait = until.map_or(Wait::Forever, Wait::Until);
        let timeout = wait.remaining().and_then(|left| Timespec::try_from(left).ok());
        let endpoint = &self.endpoint;
        let mut fds = [
            PollFd::from_borrowed_fd(endpoint.socket.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(endpoint.wake.as_fd(), PollFlags::IN),
        ];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) => Ok(!fds[1].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// If the thread ends by a panic, nobody must wait for it.
impl Drop for Driver {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let links: Vec<_> = {
            let mut table = self.endpoint.table();
            table.dead = true;
            self.endpoint.show(&table);
            table.links.values().cloned().collect()
        };
        self.endpoint.arrived.notify_all();
        for link in links {
            let mut state = link.lock();
            state.session.abandon();
            link.notify(&state);
        }
    }
}

#[cfg(test)]
mod tests {
    use ipc_core::ErrorKind;

    use super::*;
    use crate::socket::Socket;

    #[test]
    fn who_accepts_learns_that_the_thread_has_panicked() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind");
        let endpoint = Endpoint::new(Socket::new(socket.into()), None).expect("endpoint");
        let theirs = Arc::clone(&endpoint);
        let acceptor = std::thread::spawn(move || theirs.accept(Wait::Forever).map(drop));
        let theirs = Arc::clone(&endpoint);
        let driver = std::thread::spawn(move || {
            let _driver = Driver::new(theirs);
            panic!("on purpose");
        });
        driver.join().expect_err("it panics");
        let error = acceptor.join().expect("join").expect_err("nobody comes");
        assert_eq!(error.kind(), ErrorKind::Disconnected);
    }
}
