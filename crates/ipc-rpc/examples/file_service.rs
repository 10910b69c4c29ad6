//! A service that opens files for clients: what they get is an open descriptor, and bytes of any length.
//!
//! `cargo run -p ipc-rpc --example file_service`
//!
//! The server decides what may be opened. The client, which might be a process without any rights of its own, reads
//! through the descriptor without asking again.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Mutex;

use ipc_rpc::serde_bytes::{ByteBuf, Bytes};
use ipc_rpc::{Call, ClientOptions, Fd, Host, HostOptions, WithFds, serve};
use ipc_sock::unix::SocketOptions;
use serde::{Deserialize, Serialize};

ipc_rpc::service! {
    #[service(name = "files", version = 1, client = FilesClient, server = FilesServer)]
    /// Files by name.
    trait Files {
        /// Stores a file. Contents that are too long for a message go in sealed memory.
        fn store(&self, call: &Call<'_>, name: &str, contents: &Bytes) -> Result<u64, NoFile>;
        /// The contents, as a result.
        fn load(&self, call: &Call<'_>, name: &str) -> Result<ByteBuf, NoFile>;
        /// The file, as a descriptor.
        fn open(&self, call: &Call<'_>, name: &str) -> Result<Fd, NoFile>;
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum NoFile {
    NotFound,
    Io(i32),
}

impl From<std::io::Error> for NoFile {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.raw_os_error().unwrap_or(0))
    }
}

#[derive(Default)]
struct Store(Mutex<HashMap<String, File>>);

impl Store {
    fn copy_of(&self, name: &str) -> Result<File, NoFile> {
        let files = self.0.lock().expect("no method panics with it");
        let mut file = files.get(name).ok_or(NoFile::NotFound)?.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

impl Files for Store {
    fn store(&self, _: &Call<'_>, name: &str, contents: &Bytes) -> Result<u64, NoFile> {
        let mut file = tempfile::tempfile()?;
        file.write_all(contents)?;
        let mut files = self.0.lock().expect("no method panics with it");
        files.insert(name.to_owned(), file);
        Ok(contents.len() as u64)
    }

    fn load(&self, _: &Call<'_>, name: &str) -> Result<ByteBuf, NoFile> {
        let mut contents = Vec::new();
        self.copy_of(name)?.read_to_end(&mut contents)?;
        Ok(ByteBuf::from(contents))
    }

    fn open(&self, _: &Call<'_>, name: &str) -> Result<Fd, NoFile> {
        Ok(Fd::from(self.copy_of(name)?))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let server = std::thread::spawn(move || {
        let host = Host::new(FilesServer(Store::default()), &HostOptions::new())?;
        serve(WithFds::new(theirs), &host)
    });

    let mut client = FilesClient::connect(WithFds::new(ours), &ClientOptions::new())?;
    let verse = b"Tell me, O Muse, of the man of many devices.\n";
    println!("stored {:?} bytes", client.store("odyssey", Bytes::new(verse))?);

    let file = client.open("odyssey")?.map_err(|error| format!("{error:?}"))?;
    let text = std::io::read_to_string(File::from(file.into_inner()))?;
    print!("read through the descriptor: {text}");

    let long = verse.repeat(50_000);
    println!("stored {:?} bytes", client.store("long", Bytes::new(&long))?);
    let back = client.load("long")?.map_err(|error| format!("{error:?}"))?;
    println!("loaded {} bytes, the same: {}", back.len(), back == long);

    println!("a name that there is not: {:?}", client.open("iliad")?.map(drop));
    drop(client);
    server.join().expect("the server does not panic")?;
    Ok(())
}
