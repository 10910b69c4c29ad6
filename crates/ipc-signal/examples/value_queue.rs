//! Realtime signals as a queue of values, against standard signals, which become one: counted.
//!
//! Three children queue 2000 values each for their parent, as fast as they can, and wait while the
//! queue is full. Each has sent as many standard signals besides.
//!
//! ```text
//! cargo run -p ipc-signal --example value_queue
//! ```

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

use ipc_core::{ErrorKind, Handoff, Notify, Result, Wait};
use ipc_signal::{
    Origin, RtReceiver, RtSender, Signal, SignalReceiver, SignalSender, SignalSet, Value,
};

const CHILDREN: usize = 3;
const EACH: usize = 2000;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    if let Some(id) = env::args().nth(1) {
        return Ok(child(id.parse()?)?);
    }
    let values = RtReceiver::new(Signal::realtime(0)?)?;
    let signals = SignalReceiver::new(Signal::USR1)?;
    let mut children = Vec::new();
    for id in 0..CHILDREN {
        let mut command = Command::new(env::current_exe()?);
        command.arg(id.to_string());
        values.sender()?.give(&mut command, "values")?;
        signals.sender()?.give(&mut command, "signals")?;
        children.push(command.spawn()?);
    }

    let both = SignalSet::from([values.signal(), signals.signal()]);
    let (mut next, mut received, mut standard) = (BTreeMap::new(), 0, 0);
    while received < CHILDREN * EACH {
        let origin = both.wait(Wait::Forever)?;
        match origin.value().map(Value::as_usize) {
            Some(value) => {
                let expected = next.entry(value / EACH).or_insert(0);
                assert_eq!(value % EACH, *expected, "a value was lost or overtaken");
                *expected += 1;
                received += 1;
            }
            None => standard += 1,
        }
    }
    for mut child in children {
        assert!(child.wait()?.success(), "a child failed");
    }
    standard += std::iter::from_fn(|| taken(signals.recv(Wait::Never))).count();
    println!("sent {}: {received} values, each once and in order", CHILDREN * EACH);
    println!("sent {}: {standard} standard signals, since those coalesce", CHILDREN * EACH);
    Ok(())
}

fn taken(result: Result<Origin>) -> Option<Origin> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        result => Some(result.expect("receive")),
    }
}

fn child(id: usize) -> Result<()> {
    let values = RtSender::adopt("values")?;
    let signals = SignalSender::adopt("signals")?;
    for n in 0..EACH {
        signals.notify()?;
        values.send(Value::from(id * EACH + n), Wait::Forever)?;
    }
    Ok(())
}
