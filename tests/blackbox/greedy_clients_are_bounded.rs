//! Clients that want too much, or give too little, get as much as the configuration says, and nobody else has to wait for
//! them.

mod attack;
mod connections;
mod idle;
mod rates;
mod sizes;
