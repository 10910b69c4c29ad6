//! A journal in a `redb` database.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use ipc_core::{Error, ErrorKind, Result};
use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};

use crate::journal::{CallId, Journal, Once, Verdict};

/// The replies, by client and number.
const REPLIES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("ipc-rpc replies");

/// Below which number each client has all its replies.
const LOWS: TableDefinition<'_, u64, u64> = TableDefinition::new("ipc-rpc acknowledged");

/// A [`Journal`] in a `redb` database, which is the service's own as well: a method makes its changes in
/// [`Call::transaction::<redb::WriteTransaction>`](crate::Call::transaction), and they are committed together with
/// the record of the call, or not at all.
///
/// # Durability
///
/// A commit is on the disk (`fsync`) before the reply goes out. A server that is killed, and a machine that loses
/// its power, leaves every call done with its record or not at all.
///
/// `redb` has one writer at a time, so that exactly-once calls are executed one after the other, however many workers
/// there are.
///
/// # Limits
///
/// For each client that ever made an exactly-once call there is its last acknowledged number, and the replies to
/// its calls that are not acknowledged. [`forget`](Self::forget) deletes those of a client that will not come back.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use ipc_rpc::{Call, CallOptions, ClientOptions, Host, HostOptions, RedbJournal, Semantics, serve};
/// use ipc_sock::unix::SocketOptions;
/// use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};
///
/// const ACCOUNTS: TableDefinition<'_, u32, u64> = TableDefinition::new("accounts");
///
/// ipc_rpc::service! {
///     #[service(name = "bank", version = 1, client = BankClient, server = BankServer)]
///     trait Bank {
///         fn deposit(&self, call: &Call<'_>, account: u32, amount: u64) -> Option<u64>;
///     }
/// }
///
/// struct Ledger;
/// impl Bank for Ledger {
///     fn deposit(&self, call: &Call<'_>, account: u32, amount: u64) -> Option<u64> {
///         let mut accounts = call.transaction::<WriteTransaction>()?.open_table(ACCOUNTS).ok()?;
///         let sum = accounts.get(account).ok()?.map_or(0, |it| it.value()) + amount;
///         accounts.insert(account, sum).ok()?;
///         Some(sum)
///     }
/// }
///
/// let dir = tempfile::tempdir()?;
/// let database = Arc::new(Database::create(dir.path().join("bank"))?);
/// let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
/// let server = std::thread::spawn(move || {
///     let journal = RedbJournal::new(database)?;
///     serve(theirs, &Host::new(BankServer(Ledger), &HostOptions::new())?.with_journal(journal))
/// });
/// let mut client = BankClient::connect(ours, &ClientOptions::new())?;
/// client.set_options(CallOptions::new().semantics(Semantics::ExactlyOnce));
/// assert_eq!(client.deposit(7, 100)?, Some(100));
/// drop(client);
/// server.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RedbJournal {
    database: Arc<Database>,
}

impl RedbJournal {
    /// A journal in this database, which gets two tables more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupted`] when the database is damaged, or has other tables of these names;
    /// [`ErrorKind::Other`] and others for what the file system says.
    pub fn new(database: Arc<Database>) -> Result<Self> {
        let transaction = database.begin_write().map_err(other("begin journal"))?;
        transaction.open_table(REPLIES).map_err(other("open journal"))?;
        transaction.open_table(LOWS).map_err(other("open journal"))?;
        transaction.commit().map_err(other("commit journal"))?;
        Ok(Self { database })
    }

    /// The database.
    #[must_use]
    pub const fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// Deletes what is recorded of a client. A call of it that comes yet would be executed again: only for one that
    /// is gone for good.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn forget(&self, client: crate::ClientId) -> Result<()> {
        const OP: &str = "forget client";
        let transaction = self.database.begin_write().map_err(other(OP))?;
        delete_below(&transaction, client.get(), u64::MAX)?;
        transaction.open_table(LOWS).map_err(other(OP))?.remove(client.get()).map_err(other(OP))?;
        transaction.commit().map_err(other(OP))
    }
}

impl Journal for RedbJournal {
    fn once(
        &self,
        call: CallId,
        low: u64,
        reply: &mut Vec<u8>,
        execute: &mut dyn FnMut(&dyn Any, &mut Vec<u8>) -> Verdict,
    ) -> Result<Once> {
        const OP: &str = "record call";
        let (client, seq) = (call.client.get(), call.seq);
        // There is one writer at a time: what is looked up in it stays as it is until the commit.
        let transaction = self.database.begin_write().map_err(other(OP))?;
        {
            let replies = transaction.open_table(REPLIES).map_err(other(OP))?;
            if let Some(record) = replies.get((client, seq)).map_err(other(OP))? {
                reply.clear();
                reply.extend_from_slice(record.value());
                return Ok(Once::Replayed);
            }
            let mut lows = transaction.open_table(LOWS).map_err(other(OP))?;
            let before = lows.get(client).map_err(other(OP))?.map_or(0, |it| it.value());
            if seq < before {
                return Ok(Once::Stale);
            }
            if low > before {
                lows.insert(client, low).map_err(other(OP))?;
            }
        }
        // The tables are closed: the method may open them, and does not get them twice.
        match execute(&transaction, reply) {
            Verdict::Commit => {}
            Verdict::RollBack => {
                transaction.abort().map_err(other(OP))?;
                return Ok(Once::RolledBack);
            }
        }
        delete_below(&transaction, client, low)?;
        {
            let mut replies = transaction.open_table(REPLIES).map_err(other(OP))?;
            replies.insert((client, seq), reply.as_slice()).map_err(other(OP))?;
        }
        transaction.commit().map_err(other(OP))?;
        Ok(Once::Executed)
    }

    fn find(&self, call: CallId, reply: &mut Vec<u8>) -> Result<bool> {
        const OP: &str = "find call";
        let transaction = self.database.begin_read().map_err(other(OP))?;
        let replies = transaction.open_table(REPLIES).map_err(other(OP))?;
        let record = replies.get((call.client.get(), call.seq)).map_err(other(OP))?;
        let Some(record) = record else { return Ok(false) };
        reply.clear();
        reply.extend_from_slice(record.value());
        Ok(true)
    }
}

/// Deletes the replies of a client below a number.
fn delete_below(transaction: &WriteTransaction, client: u64, low: u64) -> Result<()> {
    const OP: &str = "delete records";
    let mut replies = transaction.open_table(REPLIES).map_err(other(OP))?;
    replies.retain_in((client, 0)..(client, low), |_, _| false).map_err(other(OP))
}

/// What the store says, as one of our errors.
fn other<E: Into<redb::Error>>(op: &'static str) -> impl Fn(E) -> Error {
    move |error| match error.into() {
        redb::Error::Io(error) => match error.raw_os_error() {
            Some(errno) => Error::from_os(op, errno),
            None => Error::new(ErrorKind::Other, op).with_note("the database's file: i/o error"),
        },
        redb::Error::TableAlreadyOpen(..) => Error::new(ErrorKind::InvalidInput, op)
            .with_note("a method left a table of its transaction open"),
        redb::Error::Corrupted(_) | redb::Error::TableTypeMismatch { .. } => {
            Error::new(ErrorKind::Corrupted, op).with_note("the database is damaged, or not ours")
        }
        _ => Error::new(ErrorKind::Other, op).with_note("the database refuses"),
    }
}

impl fmt::Debug for RedbJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbJournal").finish_non_exhaustive()
    }
}
