//! Who is let in, by the address that a client really has, and how often.

mod addresses;
mod rates;
