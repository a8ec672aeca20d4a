//! Extra fields of the binary header: type, length, value (§2.2). All must add up; two are looked at.

use super::crc32c::crc32c;
use super::{Fault, ProxiedTls};

const CRC32C: u8 = 0x03;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;

/// In the flags of the field for TLS: the client spoke TLS.
const CLIENT_SSL: u8 = 0x01;

/// Longer than any version's name.
const LONGEST_VERSION: usize = 32;

/// Reads `fields`, the end of the header `all`.
pub fn read(all: &[u8], fields: &[u8]) -> Result<Option<ProxiedTls>, Fault> {
    let (mut rest, mut tls, mut checked) = (fields, None, false);
    while let Some(field) = next(&mut rest)? {
        match field.kind {
            CRC32C if checked => return Err(Fault::Tlv),
            CRC32C => {
                check(all, field.value, rest)?;
                checked = true;
            }
            SSL if tls.is_some() => return Err(Fault::Tlv),
            SSL => tls = Some(read_tls(field.value)?),
            _ => {}
        }
    }
    Ok(tls.flatten())
}

struct Field<'a> {
    kind: u8,
    value: &'a [u8],
}

/// Takes the first field off `fields`.
fn next<'a>(fields: &mut &'a [u8]) -> Result<Option<Field<'a>>, Fault> {
    let (kind, length, rest) = match *fields {
        [] => return Ok(None),
        [kind, high, low, rest @ ..] => (*kind, u16::from_be_bytes([*high, *low]), rest),
        _ => return Err(Fault::Tlv),
    };
    let (value, rest) = rest.split_at_checked(length.into()).ok_or(Fault::Tlv)?;
    *fields = rest;
    Ok(Some(Field { kind, value }))
}

/// The checksum is that of the whole header with zeros in its own place, just before `after`.
fn check(all: &[u8], value: &[u8], after: &[u8]) -> Result<(), Fault> {
    let stored = <[u8; 4]>::try_from(value).map_err(|_| Fault::Tlv)?;
    let before = all.len().saturating_sub(after.len() + stored.len());
    let bytes = all.iter().take(before).chain(&[0; 4]).chain(after);
    if crc32c(bytes.copied()) == u32::from_be_bytes(stored) { Ok(()) } else { Err(Fault::Checksum) }
}

/// Flags, what became of a client certificate, and fields within the field.
fn read_tls(value: &[u8]) -> Result<Option<ProxiedTls>, Fault> {
    let [flags, _, _, _, _, fields @ ..] = value else { return Err(Fault::Tlv) };
    let (mut rest, mut tls) = (fields, ProxiedTls::default());
    while let Some(field) = next(&mut rest)? {
        match field.kind {
            SSL_VERSION if tls.version.is_some() => return Err(Fault::Tlv),
            SSL_VERSION => tls.version = Some(version(field.value).ok_or(Fault::Tlv)?),
            _ => {}
        }
    }
    Ok((flags & CLIENT_SSL != 0).then_some(tls))
}

fn version(name: &[u8]) -> Option<String> {
    let is_text = name.len() <= LONGEST_VERSION && name.iter().all(u8::is_ascii_graphic);
    let name = str::from_utf8(name).ok().filter(|_| is_text)?;
    Some(name.strip_prefix("TLSv").unwrap_or(name).to_owned())
}
