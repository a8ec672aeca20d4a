use super::covers;

#[test]
fn a_listener_covers_its_own_address_and_wildcards_cover_more() {
    for (listener, address, expected) in [
        ("127.0.0.1:80", "127.0.0.1:80", true),
        ("127.0.0.1:80", "127.0.0.1:81", false),
        ("127.0.0.2:80", "127.0.0.1:80", false),
        ("0.0.0.0:80", "127.0.0.1:80", true),
        ("0.0.0.0:80", "[::1]:80", false),
        ("[::]:80", "127.0.0.1:80", true),
        ("[::]:80", "[::1]:80", true),
        ("[::]:80", "[::1]:81", false),
        ("[::1]:80", "127.0.0.1:80", false),
        ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
        ("[::ffff:0.0.0.0]:80", "127.0.0.1:80", true),
    ] {
        let [at, to] = [listener, address].map(|text| text.parse().expect("an address"));
        assert_eq!(covers(at, to), expected, "{listener} for {address}");
    }
}
