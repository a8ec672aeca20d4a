//! Which path of the admin API asks for what. Pure.

use http::Method;
use percent_encoding::percent_decode_str;

/// Every endpoint, for who looks for one that does not exist.
pub const ALL: &str = "GET /status, /metrics, /health/live and /health/ready, POST /reload, \
                       /stop, /upstreams/{upstream}/restart and \
                       /upstreams/{upstream}/workers/{worker}/drain, .../enable and .../restart";

/// What is asked for. Names are decoded, and need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    Status,
    Metrics,
    Live,
    Ready,
    Reload,
    Stop,
    /// Of one worker, or of all of them one after the other.
    Restart {
        upstream: String,
        worker: Option<String>,
    },
    Drain {
        upstream: String,
        worker: String,
    },
    Enable {
        upstream: String,
        worker: String,
    },
}

impl Endpoint {
    /// The endpoint at `path`, which is canonical (see `routing::path`).
    pub fn find(path: &str) -> Option<Self> {
        match path {
            "/status" => Some(Self::Status),
            "/metrics" => Some(Self::Metrics),
            "/health/live" => Some(Self::Live),
            "/health/ready" => Some(Self::Ready),
            "/reload" => Some(Self::Reload),
            "/stop" => Some(Self::Stop),
            _ => Self::of_upstream(path.strip_prefix("/upstreams/")?),
        }
    }

    /// `{upstream}/restart` or `{upstream}/workers/{worker}/{action}`.
    ///
    /// A canonical path has the slashes of a name raw, which the name of a fixed worker on a Unix socket has: what
    /// stands between the fixed words is the name.
    fn of_upstream(rest: &str) -> Option<Self> {
        let Some((upstream, rest)) = rest.split_once("/workers/") else {
            let upstream = decoded(rest.strip_suffix("/restart")?)?;
            return Some(Self::Restart { upstream, worker: None });
        };
        let (worker, action) = rest.rsplit_once('/')?;
        let (upstream, worker) = (decoded(upstream)?, decoded(worker)?);
        match action {
            "drain" => Some(Self::Drain { upstream, worker }),
            "enable" => Some(Self::Enable { upstream, worker }),
            "restart" => Some(Self::Restart { upstream, worker: Some(worker) }),
            _ => None,
        }
    }

    /// The method it takes; where that is GET, HEAD too.
    pub fn method(&self) -> Method {
        match self {
            Self::Status | Self::Metrics | Self::Live | Self::Ready => Method::GET,
            Self::Reload
            | Self::Stop
            | Self::Restart { .. }
            | Self::Drain { .. }
            | Self::Enable { .. } => Method::POST,
        }
    }
}

/// A name, percent-decoded once; `None` when it is empty or no text.
fn decoded(segment: &str) -> Option<String> {
    let name = percent_decode_str(segment).decode_utf8().ok()?;
    (!name.is_empty()).then(|| name.into_owned())
}
