//! The sharp edges of the HTTP engine (Pingora 0.9.1) that asgate has to file off: one test for each, by its number in the
//! project's list. Those about Pingora's own proxy, pool, listeners and Windows do not apply to what asgate takes from it.

mod http1;
mod http2;
mod upstream;
