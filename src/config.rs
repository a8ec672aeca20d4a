//! The configuration file as typed data: reading, checking, and the manual that is made from its types.
//!
//! A file passes three stages, each in its own module:
//! 1. [`yaml`] reads the text into a tree that knows where everything stands and fills in `${NAME}`;
//! 2. [`structure`] holds the tree against the JSON Schema of [`model`]: keys, types, units, words;
//! 3. [`check`] turns the model into [`checked`]: names that refer to each other, files, addresses.
//!
//! Each stage reports everything that it finds, so that one run shows all that is wrong. Nothing
//! here opens a socket, starts a process or knows another module of the crate, but for [`crate::pki`]:
//! it says what is wrong with the certificates that a file names.

mod check;
mod checked;
mod format;
mod load;
mod model;
mod pending;
mod place;
mod problem;
mod reference;
mod schema;
mod serve;
mod status;
mod structure;
mod units;
pub mod uvicorn;
mod yaml;

pub use checked::*;
pub use load::{LoadError, Loaded, admin_address, load, parse};
pub use model::{DEFAULT_HEAD, DEFAULT_LINES};
pub use problem::{Problem, Problems, Severity};
pub use reference::reference;
pub use schema::schema;

#[cfg(test)]
mod tests;
