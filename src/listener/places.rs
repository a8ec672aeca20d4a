//! How many clients may be connected at once: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::{self, TrustedProxies};

/// The places of one listener.
#[derive(Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    each: Option<Arc<Each>>,
}

/// How many places each address has taken.
#[derive(Debug)]
struct Each {
    limit: usize,
    /// They stand for many clients.
    exempt: TrustedProxies,
    /// Only those that have a connection.
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place, free again when dropped.
#[derive(Debug)]
pub struct Place {
    each: Option<Arc<Each>>,
    address: Option<IpAddr>,
    _of_all: OwnedSemaphorePermit,
}

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Places {
    /// `all` places, of which one address may take `each`, unless it is `exempt`.
    pub fn new(all: usize, each: Option<usize>, exempt: &TrustedProxies) -> Self {
        let each = each
            .map(|limit| Arc::new(Each { limit, exempt: exempt.clone(), taken: Mutex::default() }));
        let all = Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS)));
        Self { all, each }
    }

    /// A place for a connection whose client may not be known yet.
    ///
    /// # Errors
    /// [`Full`]: all are taken.
    pub fn take(&self) -> Result<Place, Full> {
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full)?;
        Ok(Place { each: self.each.clone(), address: None, _of_all: permit })
    }
}

impl Place {
    /// Counts it among those of `client`; to be called once.
    ///
    /// # Errors
    /// [`Full`]: the client's address has as many as it may have.
    pub fn belong_to(&mut self, client: Option<IpAddr>) -> Result<(), Full> {
        let (Some(each), Some(client)) = (&self.each, client) else {
            return Ok(());
        };
        if each.exempt.contains(client) {
            return Ok(());
        }
        let address = client::network_of(client);
        let mut taken = each.taken.lock();
        let of_client = taken.entry(address).or_default();
        if *of_client >= each.limit {
            return Err(Full);
        }
        *of_client += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (Some(each), Some(address)) = (&self.each, self.address) else {
            return;
        };
        let mut taken = each.taken.lock();
        if let Some(of_client) = taken.get_mut(&address) {
            *of_client -= 1;
            if *of_client == 0 {
                taken.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: usize, each: Option<usize>) -> Places {
        let exempt = ["192.0.2.9/32".parse().expect("a network")];
        Places::new(all, each, &TrustedProxies::new(&exempt))
    }

    fn taken_by(places: &Places, client: &str) -> Result<Place, Full> {
        let mut place = places.take()?;
        place.belong_to(Some(client.parse().expect("an address")))?;
        Ok(place)
    }

    #[test]
    fn one_more_than_all_is_refused() {
        let places = places(2, None);
        let held = [places.take(), places.take()];
        assert!(held.iter().all(Result::is_ok), "two of two");
        assert!(places.take().is_err(), "one more");
        drop(held);
        assert!(places.take().is_ok(), "they are free again");
    }

    #[test]
    fn one_more_than_an_address_may_have_is_refused() {
        let places = places(100, Some(2));
        let held: Vec<_> = (0..2).map(|_| taken_by(&places, "192.0.2.1")).collect();
        assert!(held.iter().all(Result::is_ok), "two of two");
        assert!(taken_by(&places, "::ffff:192.0.2.1").is_err(), "the same address, one more");
        assert!(taken_by(&places, "192.0.2.2").is_ok(), "another address");
        drop(held);
        assert!(taken_by(&places, "192.0.2.1").is_ok(), "its places are free again");
        let each = places.each.as_ref().expect("a limit");
        assert!(each.taken.lock().is_empty(), "who has no connection is forgotten");
    }

    #[test]
    fn an_ipv6_client_has_its_network_for_an_address() {
        let places = places(100, Some(1));
        let held = taken_by(&places, "2001:db8:1:2::1");
        assert!(held.is_ok(), "the first");
        assert!(taken_by(&places, "2001:db8:1:2:ffff::9").is_err(), "the same /64");
        assert!(taken_by(&places, "2001:db8:1:3::1").is_ok(), "the next /64");
    }

    #[test]
    fn trusted_proxies_and_local_clients_are_not_counted() {
        let places = places(100, Some(1));
        let held: Vec<_> = (0..3).map(|_| taken_by(&places, "192.0.2.9")).collect();
        assert!(held.iter().all(Result::is_ok), "a proxy stands for many");
        let mut local: Vec<_> = (0..3).map(|_| places.take().expect("a place")).collect();
        assert!(local.iter_mut().all(|place| place.belong_to(None).is_ok()), "no address");
    }
}
