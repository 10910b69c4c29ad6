//! The register itself: no input or output, and time is told to it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Address, Refused};

/// One registered service.
///
/// # Examples
///
/// See [`Register::list`](super::Register::list).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Where it is.
    pub address: Address,
}

/// Who offers what.
#[derive(Debug)]
pub(super) struct Registry {
    entries: HashMap<(String, u32), Leased>,
    max_entries: usize,
    next_lease: u64,
}

#[derive(Debug)]
struct Leased {
    address: Address,
    lease: u64,
    /// The connection that registered it, with which it goes.
    connection: u64,
    length: Duration,
    until: Instant,
}

/// `sun_path` without its zero byte.
const LONGEST_PATH: usize = 107;

/// The shortest and the longest lease.
const LEASES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3600));

impl Registry {
    pub(super) fn new(max_entries: usize) -> Self {
        Self { entries: HashMap::new(), max_entries, next_lease: 1 }
    }

    /// Deletes what is over.
    fn expire(&mut self, now: Instant) {
        self.entries.retain(|_, entry| now < entry.until);
    }

    pub(super) fn register(
        &mut self,
        entry: Entry,
        connection: u64,
        length: Duration,
        now: Instant,
    ) -> Result<u64, Refused> {
        if entry.name.is_empty() || entry.name.len() > crate::wire::MAX_NAME {
            return Err(Refused::InvalidName);
        }
        // No more is kept on somebody's word than an address has.
        if let Address::Unix(path) = &entry.address
            && !(1..=LONGEST_PATH).contains(&path.as_os_str().len())
        {
            return Err(Refused::InvalidAddress);
        }
        self.expire(now);
        let key = (entry.name, entry.version);
        if self.entries.contains_key(&key) {
            return Err(Refused::Taken);
        }
        if self.entries.len() >= self.max_entries {
            return Err(Refused::Full);
        }
        let lease = self.next_lease;
        self.next_lease += 1;
        let length = length.clamp(LEASES.0, LEASES.1);
        let until = now + length;
        let leased = Leased { address: entry.address, lease, connection, length, until };
        self.entries.insert(key, leased);
        Ok(lease)
    }

    /// Only the connection that has a lease can do something about it.
    fn leased(&mut self, lease: u64, connection: u64) -> Option<&mut Leased> {
        let mut entries = self.entries.values_mut();
        entries.find(|it| it.lease == lease && it.connection == connection)
    }

    pub(super) fn renew(
        &mut self,
        lease: u64,
        connection: u64,
        now: Instant,
    ) -> Result<(), Refused> {
        self.expire(now);
        let leased = self.leased(lease, connection).ok_or(Refused::NotFound)?;
        leased.until = now + leased.length;
        Ok(())
    }

    pub(super) fn withdraw(&mut self, lease: u64, connection: u64) -> Result<(), Refused> {
        self.leased(lease, connection).ok_or(Refused::NotFound)?;
        self.entries.retain(|_, entry| entry.lease != lease);
        Ok(())
    }

    /// Where a service is, and by which connection it was registered.
    pub(super) fn find(
        &mut self,
        name: &str,
        version: u32,
        now: Instant,
    ) -> Result<(Address, u64), Refused> {
        self.expire(now);
        let found = self.entries.get(&(name.to_owned(), version)).ok_or(Refused::NotFound)?;
        Ok((found.address.clone(), found.connection))
    }

    /// Deletes what a connection has registered, which is gone.
    pub(super) fn gone(&mut self, connection: u64) {
        self.entries.retain(|_, entry| entry.connection != connection);
    }

    pub(super) fn list(&mut self, now: Instant) -> Vec<Entry> {
        self.expire(now);
        let mut list: Vec<_> = self
            .entries
            .iter()
            .map(|((name, version), entry)| Entry {
                name: name.clone(),
                version: *version,
                address: entry.address.clone(),
            })
            .collect();
        list.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        Entry { name: name.to_owned(), version: 1, address: Address::Unix("/socket".into()) }
    }

    #[test]
    fn an_entry_goes_when_its_lease_is_over_and_not_before() -> Result<(), Refused> {
        let (mut registry, start) = (Registry::new(10), Instant::now());
        let second = Duration::from_secs(1);
        let lease = registry.register(entry("a"), 1, 3 * second, start)?;
        assert_eq!(registry.register(entry("a"), 2, second, start), Err(Refused::Taken));
        registry.renew(lease, 1, start + 2 * second)?;
        assert!(registry.find("a", 1, start + 4 * second).is_ok());
        assert_eq!(registry.find("a", 1, start + 5 * second), Err(Refused::NotFound));
        assert_eq!(registry.renew(lease, 1, start + 5 * second), Err(Refused::NotFound));
        assert!(registry.register(entry("a"), 2, second, start + 5 * second).is_ok());
        Ok(())
    }

    #[test]
    fn an_entry_goes_with_its_connection_and_belongs_to_it_alone() -> Result<(), Refused> {
        let (mut registry, now) = (Registry::new(2), Instant::now());
        let second = Duration::from_secs(1);
        let lease = registry.register(entry("a"), 1, second, now)?;
        registry.register(entry("b"), 2, second, now)?;
        assert_eq!(registry.register(entry("c"), 1, second, now), Err(Refused::Full));
        assert_eq!(registry.withdraw(lease, 2), Err(Refused::NotFound), "it is another's");
        registry.gone(1);
        assert_eq!(registry.list(now), [entry("b")]);
        assert_eq!(registry.register(entry(""), 1, second, now), Err(Refused::InvalidName));
        let long = Entry { address: Address::Unix("/x".repeat(54).into()), ..entry("d") };
        assert_eq!(registry.register(long, 1, second, now), Err(Refused::InvalidAddress));
        Ok(())
    }
}
