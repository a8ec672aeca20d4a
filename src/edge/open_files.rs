//! How many files asgate may have open, connections included, and how many of them clients may take.
//!
//! Without a bound that is kept here too, clients could take all of them: no worker could be connected to or started then,
//! no certificate read, and the admin API would not answer.

use crate::config::Listener;
use crate::net;

/// Of four open files, so many may be clients' connections.
const OF_CLIENTS: u64 = 3;

/// Raises the limit of the process as far as it may be, and gives these listeners back with no more `max_connections`
/// than are to be had.
pub fn affordable(listeners: &[Listener]) -> Vec<Listener> {
    let mut listeners = listeners.to_vec();
    let Some(limit) = net::raise_open_files() else { return listeners };
    let wanted: Vec<_> = listeners.iter().map(|listener| listener.max_connections).collect();
    let shares = shares(limit, &wanted);
    if shares != wanted {
        let (wanted, allowed): (usize, usize) = (wanted.iter().sum(), shares.iter().sum());
        log::warn!(
            "Fewer connections than max_connections says, for want of open files: limit={limit} wanted={wanted} allowed={allowed}"
        );
    }
    for (listener, share) in listeners.iter_mut().zip(shares) {
        listener.max_connections = share;
    }
    listeners
}

/// Of `limit` open files, each in proportion to what it wants.
fn shares(limit: u64, wanted: &[usize]) -> Vec<usize> {
    let room = u128::from(limit / 4 * OF_CLIENTS);
    let all: u128 = wanted.iter().map(|&wanted| wanted as u128).sum();
    let share = |wanted: usize| {
        let share = (wanted as u128 * room).checked_div(all).unwrap_or_default();
        usize::try_from(share).map_or(wanted, |share| share.clamp(1, wanted))
    };
    match all <= room {
        true => wanted.to_vec(),
        false => wanted.iter().copied().map(share).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_they_may_have_and_three_of_four_at_most() {
        for (limit, wanted, expected) in [
            (1_024, &[][..], &[][..]),
            (1_024, &[700], &[700]),
            (1_024, &[768], &[768]),
            (1_024, &[769], &[768]),
            (1_024, &[10_000], &[768]),
            (1_024, &[10_000, 10_000], &[384, 384]),
            (1_024, &[10_000, 100, 1], &[760, 7, 1]),
            (0, &[10], &[1]),
            (u64::MAX, &[10_000], &[10_000]),
        ] {
            assert_eq!(shares(limit, wanted), expected, "{limit} for {wanted:?}");
        }
    }
}
