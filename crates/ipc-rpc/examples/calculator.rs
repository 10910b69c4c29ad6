//! A calculator: a server process, a client process, and calls of each kind between them.
//!
//! `cargo run -p ipc-rpc --example calculator`
//!
//! The two talk over rings in shared memory: a call makes no system call unless somebody sleeps.

use std::env;
use std::error::Error;
use std::process::Command;
use std::time::Duration;

use ipc_core::Handoff;
use ipc_rpc::{Call, CallOptions, ClientOptions, Ends, Host, HostOptions, Semantics, serve};
use ipc_shm::ring::RingOptions;
use ipc_shm::ring::spsc::{Receiver, Sender};
use serde::{Deserialize, Serialize};

ipc_rpc::service! {
    #[service(name = "calculator", version = 1, client = CalculatorClient, server = CalculatorServer)]
    /// What the calculator can do.
    trait Calculator {
        fn add(&self, call: &Call<'_>, a: i64, b: i64) -> i64;
        fn divide(&self, call: &Call<'_>, a: i64, b: i64) -> Result<i64, NoQuotient>;
        fn mean(&self, call: &Call<'_>, numbers: Vec<f64>) -> Option<f64>;
    }
}

/// An error of the calculator's own, which arrives as what it is.
#[derive(Debug, Serialize, Deserialize)]
enum NoQuotient {
    DivisionByZero,
    Overflow,
}

struct Exact;

impl Calculator for Exact {
    fn add(&self, _: &Call<'_>, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn divide(&self, _: &Call<'_>, a: i64, b: i64) -> Result<i64, NoQuotient> {
        if b == 0 {
            return Err(NoQuotient::DivisionByZero);
        }
        a.checked_div(b).ok_or(NoQuotient::Overflow)
    }

    fn mean(&self, call: &Call<'_>, numbers: Vec<f64>) -> Option<f64> {
        println!("server: call {} of {:?}", call.number(), call.client());
        (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("server") {
        let link = Ends::new(Sender::adopt("replies")?, Receiver::adopt("requests")?);
        serve(link, &Host::new(CalculatorServer(Exact), &HostOptions::new())?)?;
        println!("server: the client is gone");
        return Ok(());
    }

    let (requests, their_requests) = RingOptions::new().pair()?;
    let (their_replies, replies) = RingOptions::new().pair()?;
    let mut command = Command::new(env::current_exe()?);
    command.arg("server");
    their_requests.give(&mut command, "requests")?;
    their_replies.give(&mut command, "replies")?;
    let mut server = command.spawn()?;
    drop(command);

    let link = Ends::new(requests, replies);
    let mut client = CalculatorClient::connect(link, &ClientOptions::new())?;
    println!("1 + 2 = {}", client.add(1, 2)?);
    println!("7 / 2 = {:?}", client.divide(7, 2)?);
    println!("7 / 0 = {:?}", client.divide(7, 0)?);
    println!("mean  = {:?}", client.mean(vec![1.0, 2.0, 6.0])?);

    // To add twice does no harm, and nobody waits longer than this.
    let quickly =
        CallOptions::new().semantics(Semantics::AtLeastOnce).timeout(Duration::from_secs(5));
    println!("3 + 4 = {}", client.with(quickly).add(3, 4)?);

    // Many at a time.
    let mut client = client.pipelined();
    let tickets = (0..20).map(|n| client.add(n, n)).collect::<Result<Vec<_>, _>>()?;
    let mut sum = 0;
    for ticket in tickets {
        sum += client.finish(ticket)?;
    }
    println!("twice the numbers to 19 are {sum}");

    drop(client);
    server.wait()?;
    Ok(())
}
