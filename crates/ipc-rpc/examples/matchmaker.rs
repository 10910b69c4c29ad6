//! A matchmaker, a server on a port that the system chose, and a client that finds it, each a process.
//!
//! `cargo run -p ipc-rpc --example matchmaker`
//!
//! The server is killed in the end, and nobody finds it any more.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use ipc_core::{Framed, Wait};
use ipc_rpc::matchmaker::{Address, Locate, Matchmaker, Register};
use ipc_rpc::{Call, ClientOptions, Host, HostOptions, Pool, PoolOptions};
use ipc_sock::tcp;

ipc_rpc::service! {
    #[service(name = "greeter", version = 1, client = GreeterClient, server = GreeterServer)]
    trait Greeter {
        fn greet(&self, call: &Call<'_>, name: &str) -> String;
    }
}

struct Polite;

impl Greeter for Polite {
    fn greet(&self, _: &Call<'_>, name: &str) -> String {
        format!("good day, {name}, from process {}", std::process::id())
    }
}

const LEASE: Duration = Duration::from_secs(5);

fn server(matchmaker: PathBuf) -> Result<(), Box<dyn Error>> {
    let listener = tcp::SocketOptions::new().listen(([127, 0, 0, 1], 0).into())?;
    let address = Address::Tcp(listener.local_address()?);
    let register = Register::connect(matchmaker, Wait::timeout(LEASE))?;
    let _registered = register.register("greeter", 1, &address, LEASE)?;

    let pool =
        Pool::new(Host::new(GreeterServer(Polite), &HostOptions::new())?, &PoolOptions::new())?;
    pool.listen(&listener, |stream| {
        let framed = |stream| Framed::new(stream, Address::MAX_FRAME);
        Ok((framed(stream.try_clone()?), framed(stream)))
    })?;
    Ok(())
}

fn client(matchmaker: PathBuf) -> Result<(), Box<dyn Error>> {
    let mut register = Register::connect(matchmaker, Wait::timeout(LEASE))?;
    let address = register.wait_for("greeter", 1, Wait::timeout(LEASE))?;
    println!(
        "the greeter is at a port that the system chose: {}",
        matches!(address, Address::Tcp(_))
    );
    let link = address.connect(Wait::timeout(LEASE))?;
    let mut greeter = GreeterClient::connect(link, &ClientOptions::new())?;
    println!("{}", greeter.greet("world")?);
    Ok(())
}

fn start(role: &str, matchmaker: &PathBuf) -> std::io::Result<Child> {
    Command::new(env::current_exe()?).arg(role).arg(matchmaker).spawn()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    match (arguments.next().as_ref().and_then(|it| it.to_str()), arguments.next()) {
        (Some("server"), Some(path)) => return server(path.into()),
        (Some("client"), Some(path)) => return client(path.into()),
        _ => {}
    }

    let dir = tempfile::tempdir()?;
    let path = dir.path().join("matchmaker");
    let matchmaker = Matchmaker::listen(&path)?;
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| matchmaker.run());
        let mut greeter = start("server", &path)?;
        let done = start("client", &path)?.wait()?;

        greeter.kill()?;
        greeter.wait()?;
        let found = Register::connect(&path, Wait::Forever)?.locate("greeter", 1);
        println!(
            "after it was killed: {}",
            found.map_or_else(|error| error.to_string(), |it| it.to_string())
        );
        matchmaker.stop();
        serving.join().expect("the matchmaker does not panic")?;
        if done.success() { Ok(()) } else { Err("the client failed".into()) }
    })
}
