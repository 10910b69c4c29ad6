//! An HTTP server in the manner of the first ones: a parent that binds and never serves, and workers,
//! forked before there is anything to do, that serve one connection each at a time.
//!
//! In one terminal: `cargo run -p ipc-process --example prefork_http -- 127.0.0.1:8080`
//!
//! In another: `curl -i http://127.0.0.1:8080/`, or `ab -n 10000 -c 8 http://127.0.0.1:8080/`; kill
//! workers as you like. `/status` has the worker that answers; Ctrl-C or `kill` of the parent drains.
//!
//! Without an address it is its own client: 200 requests, in the middle of which it kills a worker.
#![expect(unsafe_code, reason = "forking is unsafe, and this process has one thread")]

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use ipc_process::{ForkOptions, Pid, PreforkOptions, Process, Worker};

const WORKERS: usize = 4;
const REQUESTS: usize = 200;
/// A client that says nothing does not keep a worker for longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest request line and headers.
const LONGEST: u64 = 16 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0"))?;
    // All workers wake for a connection, and those that were slower must not be stuck in `accept`.
    listener.set_nonblocking(true)?;
    let local = listener.local_addr()?;

    // SAFETY: this process has one thread, and owns nothing that a fork would make two owners of.
    let mut pool = unsafe { PreforkOptions::new(WORKERS).start(|worker| work(&listener, worker)) }?;
    println!("{} serves http://{local}/\n{}", Pid::this(), pool.report());
    let client = match address {
        Some(_) => None,
        None => {
            let parent = Pid::this();
            // SAFETY: as above.
            Some(unsafe { ForkOptions::new().fork(move || client(local, parent)) }?)
        }
    };
    let report = pool.run(|event| eprintln!("{event:?}"))?;
    println!("{report}");
    if let Some(mut client) = client {
        assert!(client.wait()?.success(), "the client has failed");
        assert!(report.restarts() >= 1, "the killed worker was not replaced");
        assert_eq!(report.killed, 0, "a worker did not drain");
    }
    Ok(())
}

/// A worker's whole life.
fn work(listener: &TcpListener, worker: &Worker<'_>) -> u8 {
    loop {
        match worker.accept(listener) {
            Ok(Some(connection)) => {
                // What a client does wrong is its own affair.
                let _ = serve(TcpStream::from(connection), worker);
            }
            Ok(None) => return 0,
            Err(error) => {
                eprintln!("worker {}: {error}", worker.slot());
                return 1;
            }
        }
    }
}

/// Answers one request, and closes the connection.
fn serve(connection: TcpStream, worker: &Worker<'_>) -> io::Result<()> {
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let mut request = BufReader::new((&connection).take(LONGEST));
    let mut line = String::new();
    request.read_line(&mut line)?;
    let mut header = String::new();
    while request.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (status, body) = match line.split(' ').collect::<Vec<_>>()[..] {
        ["GET", "/", _] => ("200 OK", "hello\n".to_owned()),
        ["GET", "/status", _] => {
            let (slot, starts) = (worker.slot(), worker.starts());
            ("200 OK", format!("worker {slot}, number {starts}, pid {}\n", Pid::this()))
        }
        ["GET", ..] => ("404 Not Found", "there is / and /status\n".to_owned()),
        _ => ("400 Bad Request", "only GET\n".to_owned()),
    };
    let len = body.len();
    let answer = format!(
        "HTTP/1.0 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    (&connection).write_all(answer.as_bytes())
}

/// Asks for both pages again and again, kills a worker half way, and asks the parent to end.
fn client(server: SocketAddr, parent: Pid) -> u8 {
    let ask_all = || -> Result<(), Box<dyn Error>> {
        for n in 0..REQUESTS {
            assert_eq!(get(server, "/")?, "hello\n");
            let status = get(server, "/status")?;
            if n == REQUESTS / 2 {
                let pid = status.trim_end().rsplit(' ').next().ok_or("no pid")?.parse()?;
                println!("killing a worker: {}", status.trim_end());
                Process::open(Pid::new(pid)?)?.kill()?;
            }
        }
        Ok(())
    };
    let asked = ask_all();
    if let Err(error) = &asked {
        eprintln!("client: {error}");
    }
    let told = Process::parent(parent).and_then(|parent| parent.terminate());
    u8::from(asked.is_err() || told.is_err())
}

/// The body of a page.
fn get(server: SocketAddr, path: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(server)?;
    write!(connection, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if head.starts_with("HTTP/1.0 200 ") {
        Ok(body.to_owned())
    } else {
        Err(io::Error::other(answer))
    }
}
