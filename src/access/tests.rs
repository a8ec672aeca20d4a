use super::*;

/// `allow`, `deny`, the client or nothing, whether it gets in, why.
type Case = (&'static [&'static str], &'static [&'static str], &'static str, bool, &'static str);

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().expect("a network")).collect()
}

#[test]
fn deny_wins_and_allow_is_needed_where_it_is_given() {
    let cases: [Case; 16] = [
        (&[], &[], "192.0.2.1", true, "no rules"),
        (&[], &[], "", true, "no rules and no address"),
        (&["192.0.2.0/24"], &[], "192.0.2.1", true, "allowed"),
        (&["192.0.2.0/24"], &[], "192.0.3.1", false, "not allowed"),
        (&["192.0.2.0/24"], &[], "", false, "no address to allow"),
        (&["192.0.2.0/24", "2001:db8::/32"], &[], "2001:db8::1", true, "in the second network"),
        (&["192.0.2.0/24"], &[], "::ffff:192.0.2.1", true, "IPv4 in IPv6 clothes"),
        (&[], &["192.0.2.0/24"], "192.0.2.255", false, "denied"),
        (&[], &["192.0.2.0/24"], "::ffff:192.0.2.255", false, "denied in IPv6 clothes"),
        (&[], &["192.0.2.0/24"], "192.0.3.0", true, "not denied"),
        (&[], &["192.0.2.0/24"], "", true, "no address to deny"),
        (&["192.0.2.0/24"], &["192.0.2.7/32"], "192.0.2.7", false, "allowed and denied"),
        (&["192.0.2.0/24"], &["192.0.2.7/32"], "192.0.2.8", true, "allowed beside the denied"),
        (&["192.0.2.7/32"], &["192.0.2.0/24"], "192.0.2.7", false, "denied with its network"),
        (&["0.0.0.0/0"], &[], "2001:db8::1", false, "the other family"),
        (&["0.0.0.0/0", "::/0"], &[], "2001:db8::1", true, "everybody with an address"),
    ];
    for (allow, deny, client, admitted, why) in cases {
        let access = config::Access { allow: networks(allow), deny: networks(deny) };
        let client = (!client.is_empty()).then(|| client.parse().expect("an address"));
        assert_eq!(admits(&access, client), admitted, "{why}: {client:?}");
    }
}
