//! The text header (§2.1): one line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Fault, Header, Progress};

pub const SIGNATURE: &[u8] = b"PROXY ";

/// `PROXY UNKNOWN` and CRLF; a binary header is longer.
const SHORTEST: usize = 15;
/// UNKNOWN with two IPv6 addresses and two ports.
const LONGEST: usize = 107;

/// What a line relays.
#[derive(Clone, Copy)]
enum Kind {
    Tcp4,
    Tcp6,
    Unknown,
}

/// Reads what begins as a text header.
pub fn read(bytes: &[u8]) -> Result<Progress, Fault> {
    let Some(lacking @ 1..) = SHORTEST.checked_sub(bytes.len()) else { return read_line(bytes) };
    Ok(Progress::Need(lacking))
}

fn read_line(bytes: &[u8]) -> Result<Progress, Fault> {
    let (line, end_lacking) = match bytes {
        [line @ .., b'\r', b'\n'] => (line, 0),
        [line @ .., b'\r'] => (line, 1),
        line => (line, 2),
    };
    if line.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(Fault::Line);
    }
    let (kind, fields) = split(line)?;
    let fields_lacking = fields_lacking(kind, fields)?;
    // After a CR it is too late for more fields; the end will show what is wrong with those that are there.
    let lacking = if end_lacking == 2 { fields_lacking + 2 } else { end_lacking };
    match lacking {
        _ if bytes.len() + lacking > LONGEST => Err(Fault::Line),
        0 => header(kind, fields).map(Progress::Done),
        _ => Ok(Progress::Need(lacking)),
    }
}

/// What is relayed, and the addresses and ports; of UNKNOWN, whatever may stand there.
fn split(line: &[u8]) -> Result<(Kind, &[u8]), Fault> {
    let line = line.strip_prefix(SIGNATURE).ok_or(Fault::Line)?;
    if line == b"UNKNOWN" {
        return Ok((Kind::Unknown, &[]));
    }
    [(&b"TCP4 "[..], Kind::Tcp4), (b"TCP6 ", Kind::Tcp6), (b"UNKNOWN ", Kind::Unknown)]
        .into_iter()
        .find_map(|(word, kind)| Some((kind, line.strip_prefix(word)?)))
        .ok_or(Fault::Line)
}

/// How many bytes the addresses and ports still need, if they are as short as can be. There are no more than four.
fn fields_lacking(kind: Kind, fields: &[u8]) -> Result<usize, Fault> {
    let address = match kind {
        Kind::Tcp4 => "0.0.0.0".len(),
        Kind::Tcp6 => "::".len(),
        Kind::Unknown => return Ok(0),
    };
    let mut fields = fields.split(|byte| *byte == b' ');
    let lacking = [address, address, 1, 1].into_iter().map(|shortest| match fields.next() {
        Some(field) => shortest.saturating_sub(field.len()),
        None => 1 + shortest,
    });
    let lacking = lacking.sum();
    if fields.next().is_some() { Err(Fault::Line) } else { Ok(lacking) }
}

fn header(kind: Kind, fields: &[u8]) -> Result<Header, Fault> {
    match kind {
        Kind::Tcp4 => addresses::<Ipv4Addr>(fields),
        // The form with an IPv4 address at its end is not in the text, but what inet_ntop writes for a mapped one.
        Kind::Tcp6 => addresses::<Ipv6Addr>(fields),
        Kind::Unknown => Ok(Header::default()),
    }
}

fn addresses<A: FromStr + Into<IpAddr>>(fields: &[u8]) -> Result<Header, Fault> {
    let mut fields = fields.split(|byte| *byte == b' ');
    let mut field = || fields.next().ok_or(Fault::Line);
    let (source, destination) = (address::<A>(field()?)?, address::<A>(field()?)?);
    let (source_port, destination_port) = (port(field()?)?, port(field()?)?);
    Ok(Header {
        source: Some(SocketAddr::new(source, source_port)),
        destination: Some(SocketAddr::new(destination, destination_port)),
        ..Header::default()
    })
}

fn address<A: FromStr + Into<IpAddr>>(field: &[u8]) -> Result<IpAddr, Fault> {
    let text = str::from_utf8(field).map_err(|_| Fault::Address)?;
    text.parse::<A>().map(Into::into).map_err(|_| Fault::Address)
}

fn port(field: &[u8]) -> Result<u16, Fault> {
    match field {
        [b'0'] => return Ok(0),
        // A sign would pass the parser below.
        [b'1'..=b'9', ..] => {}
        _ => return Err(Fault::Port),
    }
    str::from_utf8(field).ok().and_then(|text| text.parse().ok()).ok_or(Fault::Port)
}
