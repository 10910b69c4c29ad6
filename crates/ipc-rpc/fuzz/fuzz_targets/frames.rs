//! Frames that are anything, for a server and for a client: the input is cut at its line feeds.
//!
//! The token of a request and the nonce of an answer are put right, or none would be more than unknown.
#![no_main]

use std::sync::OnceLock;

use ipc_rpc::serde_bytes::{ByteBuf, Bytes};
use ipc_rpc::session::{Event, Session};
use ipc_rpc::{Call, ClientId, Host, HostOptions, Semantics};
use libfuzzer_sys::fuzz_target;

ipc_rpc::service! {
    #[service(name = "fuzz", version = 1, client = FuzzClient, server = FuzzServer)]
    trait Fuzz {
        fn numbers(&self, call: &Call<'_>, numbers: Vec<u64>, flag: Option<bool>) -> u64;
        fn echo(&self, call: &Call<'_>, text: &str, bytes: &Bytes) -> (String, ByteBuf);
    }
}

struct Any;

impl Fuzz for Any {
    fn numbers(&self, _: &Call<'_>, numbers: Vec<u64>, _: Option<bool>) -> u64 {
        numbers.iter().fold(0, |sum, n| sum ^ n)
    }

    fn echo(&self, _: &Call<'_>, text: &str, bytes: &Bytes) -> (String, ByteBuf) {
        (text.to_owned(), ByteBuf::from(bytes.to_vec()))
    }
}

fn host() -> &'static Host<FuzzServer<Any>> {
    static HOST: OnceLock<Host<FuzzServer<Any>>> = OnceLock::new();
    HOST.get_or_init(|| {
        let options = HostOptions::new().max_clients(1 << 20).saved_bytes(1 << 12);
        Host::new(FuzzServer(Any), &options).expect("random numbers")
    })
}

fuzz_target!(|input: &[u8]| {
    let mut connection = host().connection();
    let client = ClientId::new(1).expect("not 0");
    let mut session = Session::new(FuzzClient::<()>::SERVICE, client, 1, 1 << 12);
    let mut hello = Vec::new();
    session.hello(&mut hello);
    let welcome = host().handle(&mut connection, &hello, &mut Vec::new()).expect("an answer");
    let token: [u8; 8] = welcome.bytes[16..24].try_into().expect("eight bytes");
    let _ = session.on_frame(welcome.bytes);
    session.hello(&mut hello);
    let seq = session.begin(Semantics::AtMostOnce, 1, None).expect("room");
    let _ = session.outgoing(seq, None);

    for frame in input.split(|byte| *byte == b'\n') {
        let mut frame = frame.to_vec();
        match frame.first() {
            Some(4..=7) if frame.len() >= 16 => frame[8..16].copy_from_slice(&token),
            _ => {}
        }
        if let Some(answer) = host().handle(&mut connection, &frame, &mut Vec::new()) {
            let answer = answer.bytes.to_vec();
            let _ = session.on_frame(&answer);
        }
        if let Event::Reply(head, result) = session.on_frame(&frame) {
            session.keep(head, result, Vec::new());
        }
    }
});
