//! asgate: the edge server for Python ASGI apps.
//!
//! The modules lie on floors; one may use those below it, never those above (`docs/architecture.md`):
//!
//! | floor | modules |
//! |---|---|
//! | 5 | [`cli`] |
//! | 4 | [`edge`] |
//! | 3 | [`listener`], [`proxy`], [`admin`] |
//! | 2 | [`upstream`], [`supervisor`], [`telemetry`] |
//! | 1 | [`routing`], [`client`], [`access`], [`outcome`], [`http1`], [`http2`], [`proxy_protocol`], [`net`], [`config`], [`pki`] |

pub mod access;
pub mod admin;
pub mod cli;
pub mod client;
pub mod config;
pub mod edge;
pub mod http1;
pub mod http2;
pub mod listener;
pub mod net;
pub mod outcome;
pub mod pki;
pub mod proxy;
pub mod proxy_protocol;
pub mod routing;
pub mod supervisor;
pub mod telemetry;
pub mod upstream;
