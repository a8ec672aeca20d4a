//! Which route a request takes, and what becomes of its path there.
//!
//! Pure: no I/O, no clock, nothing of the HTTP engine. The order of use for one request is
//! [`path::split`] → [`path::canonical`] and [`path::query`] → [`host::parse`] → [`Table::find`] →
//! [`rewrite()`] or [`redirect::location`]. What [`path::canonical`] returns is both what is matched
//! and what is forwarded, so the app cannot see another path than the one that chose the route.

mod conditions;
pub mod host;
pub mod path;
pub mod redirect;
mod rewrite;
mod table;

pub use conditions::parameter;
pub use rewrite::rewrite;
pub use table::Table;

use http::{HeaderMap, Method};

/// What routing looks at in a request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// [`host::Host::name`]; empty when the request named no host.
    pub host: &'a str,
    /// Canonical, see [`path::canonical`].
    pub path: &'a str,
    /// Without the `?`, see [`path::query`].
    pub query: Option<&'a str>,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
}
