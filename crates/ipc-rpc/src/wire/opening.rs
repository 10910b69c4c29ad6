//! How a client and a server come to know each other.

use super::{PROTOCOL, get, put};
use crate::ClientId;

/// Before the service's name in a `Hello`.
const HELLO: usize = 40;
const WELCOME: usize = 40;
const REFUSED: usize = 32;

/// The longest name of a service in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// A client says who it is and which service it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello<'a> {
    /// The version of the protocol.
    pub protocol: u8,
    /// The version of the service.
    pub version: u32,
    /// A hash of the service's methods and their types.
    pub signature: u64,
    /// Who it is.
    pub client: ClientId,
    /// The first number that it will use, or use again.
    pub low: u64,
    /// The longest frame that it receives, in bytes.
    pub max_frame: u32,
    /// Comes back in the answer, so that an old one is known.
    pub nonce: u32,
    /// The service's name.
    pub name: &'a str,
}

impl<'a> Hello<'a> {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; HELLO];
        bytes[0] = 1;
        bytes[1] = self.protocol;
        put(&mut bytes, 4, self.version.to_le_bytes());
        put(&mut bytes, 8, self.signature.to_le_bytes());
        put(&mut bytes, 16, self.client.get().to_le_bytes());
        put(&mut bytes, 24, self.low.to_le_bytes());
        put(&mut bytes, 32, self.max_frame.to_le_bytes());
        put(&mut bytes, 36, self.nonce.to_le_bytes());
        out.clear();
        out.extend_from_slice(&bytes);
        out.extend_from_slice(self.name.as_bytes());
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (head, name) = bytes.split_first_chunk::<HELLO>()?;
        if name.len() > MAX_NAME {
            return None;
        }
        Some(Self {
            protocol: head[1],
            version: u32::from_le_bytes(get(head, 4)),
            signature: u64::from_le_bytes(get(head, 8)),
            client: ClientId::new(u64::from_le_bytes(get(head, 16)))?,
            low: u64::from_le_bytes(get(head, 24)),
            max_frame: u32::from_le_bytes(get(head, 32)),
            nonce: u32::from_le_bytes(get(head, 36)),
            name: std::str::from_utf8(name).ok()?,
        })
    }
}

/// The server lets a client in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Welcome {
    /// How many calls may be under way.
    pub window: u16,
    /// The longest frame that the server receives, in bytes.
    pub max_frame: u32,
    /// Which life of the server this is.
    pub epoch: u64,
    /// What it knows the client by. It is the same as long as it remembers the client's calls.
    pub token: u64,
    /// Who it is for.
    pub client: ClientId,
    /// That of the `Hello`.
    pub nonce: u32,
}

impl Welcome {
    pub(crate) fn encode(&self) -> [u8; WELCOME] {
        let mut bytes = [0; WELCOME];
        bytes[0] = 2;
        bytes[1] = PROTOCOL;
        put(&mut bytes, 2, self.window.to_le_bytes());
        put(&mut bytes, 4, self.max_frame.to_le_bytes());
        put(&mut bytes, 8, self.epoch.to_le_bytes());
        put(&mut bytes, 16, self.token.to_le_bytes());
        put(&mut bytes, 24, self.client.get().to_le_bytes());
        put(&mut bytes, 32, self.nonce.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<WELCOME>()?;
        if bytes[1] != PROTOCOL {
            return None;
        }
        Some(Self {
            window: u16::from_le_bytes(get(bytes, 2)),
            max_frame: u32::from_le_bytes(get(bytes, 4)),
            epoch: u64::from_le_bytes(get(bytes, 8)),
            token: u64::from_le_bytes(get(bytes, 16)),
            client: ClientId::new(u64::from_le_bytes(get(bytes, 24)))?,
            nonce: u32::from_le_bytes(get(bytes, 32)),
        })
    }
}

/// The server does not let a client in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// 0: another protocol. 1: another service. 2: another version. 3: other methods. 4: no room.
    pub reason: u8,
    /// The server's version of the service.
    pub version: u32,
    /// The server's hash of its methods.
    pub signature: u64,
    /// Who it is for.
    pub client: ClientId,
    /// That of the `Hello`.
    pub nonce: u32,
}

impl Refused {
    pub(crate) fn encode(&self) -> [u8; REFUSED] {
        let mut bytes = [0; REFUSED];
        bytes[0] = 3;
        bytes[1] = self.reason;
        put(&mut bytes, 4, self.version.to_le_bytes());
        put(&mut bytes, 8, self.signature.to_le_bytes());
        put(&mut bytes, 16, self.client.get().to_le_bytes());
        put(&mut bytes, 24, self.nonce.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<REFUSED>()?;
        Some(Self {
            reason: bytes[1],
            version: u32::from_le_bytes(get(bytes, 4)),
            signature: u64::from_le_bytes(get(bytes, 8)),
            client: ClientId::new(u64::from_le_bytes(get(bytes, 16)))?,
            nonce: u32::from_le_bytes(get(bytes, 24)),
        })
    }
}
