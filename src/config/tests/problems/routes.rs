//! Mistakes in routes: what they match and what they do.

use super::{ROUTE, check};

#[test]
fn routes() {
    check(
        ROUTE,
        &[
            (
                "  []\n",
                "asgate.yaml:11:3: routes: is empty (got an empty list, allowed at least one route)",
            ),
            (
                "  - {}\n",
                "asgate.yaml:11:5: routes[0]: has no action (got none, allowed exactly one of upstream, redirect and respond)",
            ),
            (
                "  - { upstrem: app }\n",
                "asgate.yaml:11:7: routes[0].upstrem: unknown key (got \"upstrem\", allowed name, match, upstream, redirect, respond, rewrite, preserve_host, headers, timeouts, limits, allow, deny or rate_limit; did you mean \"upstream\"?)",
            ),
            (
                "  - { upstream: backnd }\n",
                "asgate.yaml:11:17: routes[0].upstream: is not the name of an upstream (got \"backnd\", allowed app or backend; did you mean \"backend\"?)",
            ),
            (
                "  - { upstream: zzz }\n",
                "asgate.yaml:11:17: routes[0].upstream: is not the name of an upstream (got \"zzz\", allowed app or backend)",
            ),
            (
                "  - { upstream: app, respond: {} }\n",
                "asgate.yaml:11:5: routes[0]: has several actions (got upstream and respond, allowed exactly one of upstream, redirect and respond)",
            ),
            (
                "  - { respond: {}, preserve_host: true, rewrite: {} }\n",
                "asgate.yaml:11:35: routes[0].preserve_host: has no effect without an upstream (got true, allowed this key with upstream only)\nasgate.yaml:11:50: routes[0].rewrite: has no effect without an upstream (got a mapping, allowed this key with upstream only)",
            ),
            (
                "  - { upstream: app, name: \"\" }\n",
                "asgate.yaml:11:28: routes[0].name: is not a name (got \"\", allowed 1 to 64 characters on one line, without space around them)",
            ),
            (
                "  - { upstream: app, name: a }\n  - { match: { path: /a }, upstream: app, name: a }\n",
                "asgate.yaml:12:49: routes[1].name: is the name of routes[0] too (got \"a\", allowed a name of its own)",
            ),
            (
                "  - { upstream: app, name: route-2 }\n  - { match: { path: /a }, upstream: app }\n",
                "asgate.yaml:11:28: routes[0].name: is the name of routes[1] too (got \"route-2\", allowed a name of its own)",
            ),
            (
                "  - { upstream: app }\n  - { match: { path: / }, respond: {} }\n",
                "asgate.yaml:12:14: routes[1].match: matches the same requests as routes[0] (got the same conditions, allowed other conditions: the first of the two takes all requests)",
            ),
            (
                "  - { match: { host: [a, B.] }, upstream: app }\n  - { match: { host: [b, a] }, respond: {} }\n",
                "asgate.yaml:12:14: routes[1].match: matches the same requests as routes[0] (got the same conditions, allowed other conditions: the first of the two takes all requests)",
            ),
        ],
    );
}

#[test]
fn matches() {
    check(
        ROUTE,
        &[
            (
                "  - { upstream: app, match: { host: [] } }\n",
                "asgate.yaml:11:37: routes[0].match.host: is empty (got an empty list, allowed at least one, or no such key for all of them)",
            ),
            (
                "  - { upstream: app, match: { host: \"a.*.com\" } }\n",
                "asgate.yaml:11:37: routes[0].match.host: is not a host pattern (got \"a.*.com\", allowed a host name such as api.example.com or *.example.com, without a port)",
            ),
            (
                "  - { upstream: app, match: { host: [example.com:80, \"*\"] } }\n",
                "asgate.yaml:11:38: routes[0].match.host[0]: is not a host pattern (got \"example.com:80\", allowed a host name such as api.example.com or *.example.com, without a port)\nasgate.yaml:11:54: routes[0].match.host[1]: is not a host pattern (got \"*\", allowed a host name such as api.example.com or *.example.com, without a port)",
            ),
            (
                "  - { upstream: app, match: { host: 300.1.1.1 } }\n",
                "asgate.yaml:11:37: routes[0].match.host: is not a host pattern (got \"300.1.1.1\", allowed a host name such as api.example.com or *.example.com, without a port)",
            ),
            (
                "  - { upstream: app, match: { path: api } }\n",
                "asgate.yaml:11:37: routes[0].match.path: is not a path (got \"api\", allowed a path that starts with / and has no ?, #, space or letter beyond ASCII (percent-encode those), =path or ~regex)",
            ),
            (
                "  - { upstream: app, match: { path: =api } }\n",
                "asgate.yaml:11:37: routes[0].match.path: is not a path (got \"=api\", allowed a path that starts with / and has no ?, #, space or letter beyond ASCII (percent-encode those), =path or ~regex)",
            ),
            (
                "  - { upstream: app, match: { path: /a?b=c } }\n",
                "asgate.yaml:11:37: routes[0].match.path: is not a path (got \"/a?b=c\", allowed a path that starts with / and has no ?, #, space or letter beyond ASCII (percent-encode those), =path or ~regex)",
            ),
            (
                "  - { upstream: app, match: { path: \"~^/(\" } }\n",
                "asgate.yaml:11:37: routes[0].match.path: is not a regular expression: unclosed group (got \"~^/(\", allowed a regular expression in the syntax of Rust's regex crate)",
            ),
            (
                "  - { upstream: app, match: { method: [GET, get] } }\n",
                "asgate.yaml:11:45: routes[0].match.method[1]: is not in capitals (got \"get\", allowed GET (methods are case-sensitive))",
            ),
            (
                "  - { upstream: app, match: { method: \"G T\" } }\n",
                "asgate.yaml:11:39: routes[0].match.method: is not a method (got \"G T\", allowed a method such as GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS)",
            ),
            (
                "  - { upstream: app, match: { header: { \"a b\": c } } }\n",
                "asgate.yaml:11:41: routes[0].match.header.\"a b\": is not a header name (got \"a b\", allowed letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.1))",
            ),
            (
                "  - { upstream: app, match: { header: { a: \"b\\nc\" } } }\n",
                "asgate.yaml:11:44: routes[0].match.header.a: is not a header value (got \"b\\nc\", allowed printable ASCII)",
            ),
            (
                "  - { upstream: app, match: { header: { a: b, A: c } } }\n",
                "asgate.yaml:11:41: routes[0].match.header.a: is there twice (got \"a\", allowed each header once: letter case does not matter)",
            ),
        ],
    );
}

#[test]
fn actions() {
    check(
        ROUTE,
        &[
            (
                "  - { upstream: app, rewrite: { strip_prefix: api } }\n",
                "asgate.yaml:11:47: routes[0].rewrite.strip_prefix: is not a path (got \"api\", allowed a path that starts with / and has no ?, #, space or letter beyond ASCII (percent-encode those))",
            ),
            (
                "  - { upstream: app, rewrite: { regex: a } }\n",
                "asgate.yaml:11:31: routes[0].rewrite.replace: is missing (got nothing, allowed regex and replace together)",
            ),
            (
                "  - { upstream: app, rewrite: { replace: a } }\n",
                "asgate.yaml:11:31: routes[0].rewrite.regex: is missing (got nothing, allowed regex and replace together)",
            ),
            (
                "  - { upstream: app, rewrite: { regex: \"[\", replace: a } }\n",
                "asgate.yaml:11:40: routes[0].rewrite.regex: is not a regular expression: unclosed character class (got \"[\", allowed a regular expression in the syntax of Rust's regex crate)",
            ),
            (
                "  - { upstream: app, rewrite: { regex: \"(a)\", replace: \"/$1b\" } }\n",
                "asgate.yaml:11:56: routes[0].rewrite.replace: refers to a group that regex does not have (got \"/$1b\", allowed groups $0 to $1, as ${1} before a letter or digit)",
            ),
            ("  - { upstream: app, rewrite: { regex: \"(a)\", replace: \"/${1}b$1\" } }\n", ""),
            (
                "  - { redirect: {} }\n",
                "asgate.yaml:11:17: routes[0].redirect.to: is missing (got nothing, allowed text such as \"https://new.example.com{path}\")",
            ),
            (
                "  - { redirect: { to: example.com } }\n",
                "asgate.yaml:11:23: routes[0].redirect.to: is not a redirect target (got \"example.com\", allowed https://…, http://…, {scheme}://… or a path, in printable ASCII)",
            ),
            (
                "  - { redirect: { to: \"https://example.com{pth}\" } }\n",
                "asgate.yaml:11:23: routes[0].redirect.to: has an unknown placeholder (got \"https://example.com{pth}\", allowed {scheme}, {host}, {path} or {query}; did you mean \"{path}\"?)",
            ),
            (
                "  - { redirect: { to: /new, status: 305 } }\n",
                "asgate.yaml:11:37: routes[0].redirect.status: is not a redirect (got 305, allowed 301, 302, 303, 307 or 308)",
            ),
            (
                "  - { redirect: { to: /new, status: 200 } }\n",
                "asgate.yaml:11:37: routes[0].redirect.status: is out of range (got 200, allowed a whole number from 301 to 308)",
            ),
            (
                "  - { respond: { status: 100 } }\n",
                "asgate.yaml:11:26: routes[0].respond.status: is out of range (got 100, allowed a whole number from 200 to 599)",
            ),
            (
                "  - { respond: { status: 204, body: text } }\n",
                "asgate.yaml:11:37: routes[0].respond.body: is never sent (got \"text\", allowed no body with status 204)",
            ),
            (
                "  - { respond: { body: 1 } }\n",
                "asgate.yaml:11:24: routes[0].respond.body: has the wrong type (got 1, allowed text in quotes)",
            ),
        ],
    );
}
