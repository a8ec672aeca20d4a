//! TLS on a listener: certificates, client certificates, and the promise to browsers.

use std::path::PathBuf;
use std::time::Duration;

use http::header::HeaderValue;

use super::super::checked::{ClientAuth, Demand, ListenerTls, TlsVersion};
use super::super::model::{self, ClientAuthMode};
use super::super::place::Place;
use super::listeners::{is_unix, number};
use super::{Check, all};

/// What hstspreload.org asks for: a year.
const PRELOAD_MAX_AGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Check<'_> {
    /// `place` is that of the listener.
    pub(super) fn tls_of_listener(
        &mut self,
        model: &model::ListenerTls,
        listener: &model::Listener,
        place: &Place<'_>,
    ) -> Option<ListenerTls> {
        let place = place.key("tls");
        let is_on_tcp = !is_unix(listener);
        if !is_on_tcp {
            let allowed = "this key with ip:port or [v6]:port only";
            self.report(place.problem("is not spoken on a Unix socket", allowed));
        }
        let certificates = self.listed(&model.certificates, &place.key("certificates"));
        let client_auth = match &model.client_auth {
            Some(client_auth) => self.client_auth(client_auth, &place.key("client_auth")),
            None => Some(None),
        };
        let hsts = match &model.hsts {
            Some(hsts) => self.hsts(hsts, &place.key("hsts")).map(Some),
            None => Some(None),
        };
        let tls = ListenerTls {
            certificates: certificates?,
            min_version: match model.min_version {
                model::TlsVersion::V1_2 => TlsVersion::V1_2,
                model::TlsVersion::V1_3 => TlsVersion::V1_3,
            },
            client_auth: client_auth?,
            handshake_timeout: model.handshake_timeout.0,
            max_handshakes: number(model.max_handshakes),
            hsts: hsts?,
        };
        is_on_tcp.then_some(tls)
    }

    /// `Some(None)`: certificates are not asked for.
    fn client_auth(
        &mut self,
        model: &model::ClientAuth,
        place: &Place<'_>,
    ) -> Option<Option<ClientAuth>> {
        let demand = match model.mode {
            ClientAuthMode::Off => return Some(None),
            ClientAuthMode::Optional => Demand::Optional,
            ClientAuthMode::Required => Demand::Required,
        };
        let ca = self.client_ca(model, place);
        let place_of_crl = place.key("crl");
        let crl = model.crl.iter().enumerate();
        let crl = all(crl.map(|(i, crl)| self.revocations(crl, &place_of_crl.item(i))).collect());
        let (ca, crl) = (ca?, crl?);
        self.trust(&ca, &crl, place)?;
        Some(Some(ClientAuth { ca, crl, demand }))
    }

    fn client_ca(&mut self, model: &model::ClientAuth, place: &Place<'_>) -> Option<PathBuf> {
        let place_of_ca = place.key("ca");
        match &model.ca {
            Some(ca) => self.authorities(ca, &place_of_ca),
            None => {
                if !self.is_damaged(place) {
                    let allowed = "a file with certificates in PEM, or mode: off";
                    self.report(place_of_ca.problem("is missing", allowed));
                }
                None
            }
        }
    }

    /// The value of `Strict-Transport-Security` (RFC 6797 §6.1).
    fn hsts(&mut self, model: &model::Hsts, place: &Place<'_>) -> Option<HeaderValue> {
        let max_age = model.max_age.0.map_or(Duration::ZERO, |span| span.0);
        let is_counted = max_age.is_zero() || max_age >= Duration::from_secs(1);
        if !is_counted {
            let allowed = "1s to 8760h, or off";
            self.report(place.key("max_age").problem("is less than a second", allowed));
        }
        let is_preloadable = model.include_subdomains && max_age >= PRELOAD_MAX_AGE;
        if model.preload && !is_preloadable && !self.is_damaged(place) {
            let what = "is refused by hstspreload.org for subdomains left out or a short max_age";
            let allowed = "false, or include_subdomains: true with max_age: 8760h";
            self.report(place.key("preload").problem(what, allowed));
            return None;
        }
        let subdomains = if model.include_subdomains { "; includeSubDomains" } else { "" };
        let preload = if model.preload { "; preload" } else { "" };
        let text = format!("max-age={}{subdomains}{preload}", max_age.as_secs());
        HeaderValue::from_str(&text).ok().filter(|_| is_counted)
    }
}
