//! Templates: what they become, what is refused, and what no value can bring in.

use http::header::HeaderValue;
use proptest::prelude::*;

use super::{Template, TemplateError, Variable};

/// Some variables of a request; the others are not known.
fn known(variable: Variable, value: &mut Vec<u8>) {
    match variable {
        Variable::ClientIp => value.extend_from_slice(b"192.0.2.7"),
        Variable::Host => value.extend_from_slice(b"www.example.com"),
        Variable::Path => value.extend_from_slice("/häuser".as_bytes()),
        Variable::Method => value.extend_from_slice(b" GET\t"),
        _ => {}
    }
}

fn template(text: &str) -> Template {
    text.parse().unwrap_or_else(|error| panic!("{text:?} {error}"))
}

#[test]
fn variables_give_way_to_their_values() {
    let cases = [
        ("", ""),
        ("nosniff", "nosniff"),
        ("max-age=60, public", "max-age=60, public"),
        ("tab\tinside", "tab\tinside"),
        ("Größe", "Größe"),
        ("{client_ip}", "192.0.2.7"),
        ("{client_ip}{host}", "192.0.2.7www.example.com"),
        ("for={client_ip};host={host}", "for=192.0.2.7;host=www.example.com"),
        ("{path}", "/häuser"),
        ("{{client_ip}}", "{client_ip}"),
        ("{{}}", "{}"),
        ("{{{client_ip}}}", "{192.0.2.7}"),
        ("{{{{ }}}}", "{{ }}"),
        ("{tls_version}", ""),
        ("<{tls_version}>", "<>"),
        ("over {tls_version}", "over"),
        ("{tls_version} {client_ip}", "192.0.2.7"),
        ("{method}", "GET"),
        ("-{method}-", "- GET\t-"),
    ];
    for (text, expected) in cases {
        let value = template(text).expand(known).expect("a value");
        assert_eq!(value.as_bytes(), expected.as_bytes(), "{text:?}");
    }
}

#[test]
fn every_variable_is_asked_for_by_its_name() {
    for variable in Variable::ALL {
        let asked = template(variable.written()).expand(|asked, value| {
            assert_eq!(asked, variable, "{}", variable.written());
            value.extend_from_slice(b"once");
        });
        assert_eq!(asked, Some(HeaderValue::from_static("once")), "{}", variable.written());
    }
}

#[test]
fn what_is_no_template_is_refused() {
    let unknown = |written: &str| TemplateError::UnknownVariable(written.to_owned());
    let cases = [
        ("{client}", unknown("{client}")),
        ("{}", unknown("{}")),
        ("{Host}", unknown("{Host}")),
        ("{ host }", unknown("{ host }")),
        ("{a{host}", unknown("{a{host}")),
        ("{host", TemplateError::LoneBrace),
        ("host}", TemplateError::LoneBrace),
        ("{", TemplateError::LoneBrace),
        ("{{}", TemplateError::LoneBrace),
        ("{host}}", TemplateError::LoneBrace),
        ("a\r\nSet-Cookie: b", TemplateError::ControlCharacter),
        ("a\n", TemplateError::ControlCharacter),
        ("a\0", TemplateError::ControlCharacter),
        ("{host}\u{7f}", TemplateError::ControlCharacter),
        ("\u{1b}[0m", TemplateError::ControlCharacter),
        (" a", TemplateError::OuterSpace),
        ("{host} ", TemplateError::OuterSpace),
        ("\ta", TemplateError::OuterSpace),
        (" ", TemplateError::OuterSpace),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Template>(), Err(expected), "{text:?}");
    }
}

#[test]
fn a_control_character_in_a_value_leaves_the_header_out() {
    for byte in 0..=u8::MAX {
        let is_control = (byte < b' ' && byte != b'\t') || byte == 0x7f;
        for place in ["{host}", "a{host}", "{host}a", "a{host}a"] {
            let value = template(place).expand(|_, value| value.push(byte));
            assert_eq!(value.is_none(), is_control, "the byte {byte:#04x} in {place:?}");
        }
    }
    let forged = template("{host}").expand(|_, value| value.extend_from_slice(b"a\r\nX-Admin: 1"));
    assert_eq!(forged, None, "a second header");
}

#[test]
fn values_are_not_looked_at_for_variables() {
    let value = template("{host}").expand(|_, value| value.extend_from_slice(b"{client_ip}}}{{"));
    assert_eq!(value, Some(HeaderValue::from_static("{client_ip}}}{{")), "as it came");
}

proptest! {
    #[test]
    fn what_is_accepted_expands_to_one_line(text in "[{}a-z_ é\\t]{0,24}|.{0,24}", value: Vec<u8>) {
        if let Ok(template) = text.parse::<Template>() {
            let expanded = template.expand(|_, to| to.extend_from_slice(&value));
            let bytes = expanded.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
            prop_assert!(!bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            prop_assert!(!bytes.starts_with(b" ") && !bytes.ends_with(b" "));
        }
    }
}
