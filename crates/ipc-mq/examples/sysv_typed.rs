//! A System V queue between two processes: a struct as the message, and types that address it.
//!
//! A server answers clients through one queue. Requests are of type 1; an answer's type is the pid
//! of the client, which receives nothing else.
//!
//! ```text
//! cargo run -p ipc-mq --example sysv_typed
//! ```

use std::env;
use std::process::Command;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_mq::sysv::{Key, MessageType, QueueOptions, Select};

/// What a client asks for: `struct { int32_t client; int32_t a, b; }` in C.
#[derive(Debug, PartialEq)]
struct Request {
    client: i32,
    a: i32,
    b: i32,
}

impl Request {
    fn to_bytes(&self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (to, field) in bytes.chunks_exact_mut(4).zip([self.client, self.a, self.b]) {
            to.copy_from_slice(&field.to_ne_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (fields, rest) = bytes.as_chunks::<4>();
        match *fields {
            [client, a, b] if rest.is_empty() => {
                let [client, a, b] = [client, a, b].map(i32::from_ne_bytes);
                Ok(Self { client, a, b })
            }
            _ => Err(Error::new(ErrorKind::Corrupted, "read request")),
        }
    }
}

/// What the server takes; clients' types are pids, of which 1 is `init`.
const REQUEST: MessageType = MessageType::ONE;

const CLIENTS: usize = 3;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    if let Some(key) = env::args().nth(1) {
        return Ok(client(Key::new(key.parse()?)?)?);
    }
    // The key of a file that stays, as `ftok` makes it: this program's own.
    let key = Key::from_path_id(env::current_exe()?, b'q')?;
    let queue = QueueOptions::new().create(key)?;
    let (mut tx, mut rx) = (queue.sender()?, queue.receiver());
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Command::new(env::current_exe()?).arg(key.get().to_string()).spawn()?);
    }
    let wait = || Wait::timeout(Duration::from_secs(60));
    rx.set_select(Select::Type(REQUEST));
    for _ in 0..CLIENTS {
        let request = Request::from_bytes(&rx.recv_message(wait())?.body)?;
        println!("the server got {request:?}");
        let sum = request.a + request.b;
        tx.send_typed(&sum.to_ne_bytes(), MessageType::new(request.client.into())?, wait())?;
    }
    for mut client in clients {
        assert!(client.wait()?.success(), "a client failed");
    }
    Ok(()) // The queue is removed here.
}

/// Asks for a sum and waits for an answer of its own.
fn client(key: Key) -> Result<()> {
    let queue = QueueOptions::new().open(key)?;
    let pid = std::process::id().cast_signed();
    let request = Request { client: pid, a: pid, b: 1 };
    queue.sender()?.send_typed(&request.to_bytes(), REQUEST, Wait::Forever)?;

    let mut sum = [0; 4];
    let mine = Select::Type(MessageType::new(pid.into())?);
    queue.receiver().recv_select(mine, &mut sum, Wait::timeout(Duration::from_secs(60)))?;
    assert_eq!(i32::from_ne_bytes(sum), pid + 1);
    println!("client {pid} got its answer");
    Ok(())
}
