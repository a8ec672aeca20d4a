//! Workers that fail: at import, by never listening, by crashing again and again, by ignoring that they are to stop, by
//! printing without end. Each has the consequences that are documented, and none of them is an outage of its neighbours.

mod crashing;
mod printing;
mod starting;
mod stubborn;
