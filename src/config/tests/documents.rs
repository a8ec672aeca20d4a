//! Schema and reference: complete, and in step with `docs/configuration.md`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::super::schema::View;
use super::super::{pending, reference, schema};
use super::certificates::directory_with;

/// Set to write the reference instead of comparing it.
const BLESS: &str = "ASGATE_BLESS";

#[test]
fn the_reference_in_docs_is_the_one_made_from_the_model() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    if std::env::var_os(BLESS).is_some() {
        fs::write(&file, reference()).expect("docs/configuration.md is written");
    }
    let written = fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        written == reference(),
        "docs/configuration.md is stale: run `{BLESS}=1 cargo test --lib config`"
    );
}

/// The examples in the guides are as valid as those in `conf`. One that is no whole file shows a section of one. Those of
/// `front-door.md` are tried where its commands are.
#[test]
fn the_examples_in_the_guides_are_valid() {
    let guides = [
        (include_str!("../../../README.md"), 2),
        (include_str!("../../../docs/guides/workers.md"), 1),
        (include_str!("../../../docs/guides/upstreams.md"), 7),
        (include_str!("../../../docs/guides/windows-workers.md"), 1),
        (include_str!("../../../docs/guides/operations.md"), 1),
    ];
    for (guide, count) in guides {
        let examples: Vec<_> = guide.split("```yaml\n").skip(1).collect();
        assert_eq!(examples.len(), count, "examples");
        for rest in examples {
            let (example, _) = rest.split_once("```").expect("its end");
            is_valid(&whole(example).replace("${AFFINITY_SECRET}", "sixteen bytes and more"));
        }
    }
}

/// `example` with the sections that a file must have.
fn whole(example: &str) -> String {
    let mut text = example.to_owned();
    if !example.contains("listeners:") {
        text.push_str("listeners: [{ address: \"127.0.0.1:8080\" }]\n");
    }
    if !example.contains("routes:") {
        text.push_str(&format!("routes: [{{ {} }}]\n", action(example)));
    }
    text
}

/// What a route can do with nothing but `example`.
fn action(example: &str) -> String {
    let upstreams = example.split_once("upstreams:\n  ");
    match upstreams.and_then(|(_, upstreams)| upstreams.split_once(':')) {
        Some((name, _)) => format!("upstream: {name}"),
        None => "respond: { body: x }".to_owned(),
    }
}

fn is_valid(text: &str) {
    let directory = directory_with(&[("chain.pem", "site.pem"), ("ec-pkcs8.key", "site.key")]);
    let file = directory.path().join("asgate.yaml");
    fs::write(&file, text.replace("certs/", "")).expect("a file");
    let loaded = super::super::load(&file).unwrap_or_else(|error| panic!("{error:?} in\n{text}"));
    let warnings = loaded.warnings.to_string();
    // The guide says why.
    let is_meant = warnings.is_empty() || text.contains("idle_timeout: 60s");
    assert!(is_meant, "{warnings} in\n{text}");
}

/// Call `visit` with the path of every key.
fn each_key(path: &str, section: View<'_>, visit: &mut dyn FnMut(&str, View<'_>)) {
    for (key, property) in section.properties().into_iter().flatten() {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        visit(&path, property);
        match (property.items(), property.values()) {
            (Some(items), _) => each_key(&format!("{path}[]"), items, visit),
            (_, Some(values)) => each_key(&format!("{path}.*"), values, visit),
            _ => {
                if let Some(section) = property.section() {
                    each_key(&path, section, visit);
                }
            }
        }
    }
}

#[test]
fn every_key_is_documented() {
    let schema = schema();
    let mut keys = 0;
    each_key("", View::root(&schema), &mut |path, property| {
        keys += 1;
        let meaning = property.text("description").unwrap_or_default();
        assert!(meaning.len() > 20, "{path} says what it means: {meaning:?}");
    });
    assert!(keys > 100, "all sections are visited: {keys} keys");
}

/// A section that may be a word as well has its place in the reference like any other.
#[test]
fn the_reference_has_what_the_model_says() {
    let reference = reference();
    for text in [
        "\n**`passive`**: `off` or section\n",
        "\n## `upstreams.NAME.health.passive`\n",
        "\n**`max_ejected`**: percentage, default `50%`\n",
        "\n**`attempts`**: whole number from 1 to 10, default `3`\n",
        "\n**`on`**: list of `connect`, `stale`, `closed`, `refused_503`, `502`, `503` or `504`, default \
         `[\"connect\",\"stale\",\"closed\",\"refused_503\"]`\n",
        "\n**`body_buffer`**: size, default `64KiB`\n",
        "\n**`max_connections_per_address`**: `off` or whole number from 1, default `off`\n",
        "\n## `listeners[].tls.certificates[]`\n",
        "\n**`min_version`**: `1.2` or `1.3`, default `1.2`\n",
        "\n**`set`**: mapping of text to text\n",
    ] {
        assert!(reference.contains(text), "{text:?} is in the reference");
    }
}

#[test]
fn what_is_pending_belongs_to_a_key_that_is_implemented() {
    let schema = schema();
    for (key, values) in pending::VALUES {
        let mut is_there = false;
        each_key("", View::root(&schema), &mut |path, property| {
            let words = property.words().filter(|_| path == *key).unwrap_or_default();
            is_there |= !words.is_empty();
            let both = words.iter().find(|(word, _)| values.contains(word));
            assert!(both.is_none(), "{key}: {both:?} is implemented and pending");
        });
        assert!(is_there, "{key} has words");
    }
}

#[test]
fn the_schema_says_what_editors_need() {
    let schema = schema();
    let dialect = schema.get("$schema").and_then(Value::as_str);
    assert_eq!(dialect, Some("https://json-schema.org/draft/2020-12/schema"), "the dialect");
    let root = View::root(&schema);
    assert_eq!(root.required().collect::<Vec<_>>(), ["listeners", "routes"], "required keys");
    let listener = root.property("listeners").and_then(View::items).expect("a listener");
    assert_eq!(listener.required().collect::<Vec<_>>(), ["address"], "required keys");
    let unknown = listener.get("additionalProperties");
    assert_eq!(unknown, Some(&Value::Bool(false)), "unknown keys are errors");
    let timeout = listener.property("idle_timeout").expect("a duration");
    assert_eq!(timeout.text("default"), Some("1m"), "the default");
    let pattern = regex::Regex::new(timeout.text("pattern").expect("a pattern"));
    let pattern = pattern.expect("a regular expression");
    for (text, fits) in [("30s", true), ("${T:-30s}", true), ("30", false), ("30s!", false)] {
        assert_eq!(pattern.is_match(text), fits, "{text:?} in an editor");
    }
    let percent = schema.pointer("/$defs/Percent/pattern").and_then(Value::as_str);
    assert_eq!(percent, Some(r"^([0-9]+%)$|\$\{"), "percentages");
    let causes = schema.pointer("/$defs/RetryCause/enum").and_then(Value::as_array);
    let has = |cause: Value| causes.is_some_and(|causes| causes.contains(&cause));
    assert!(has("502".into()) && has(502.into()), "a status with and without quotes: {causes:?}");
    let versions = schema.pointer("/$defs/TlsVersion/enum").and_then(Value::as_array);
    let has = |version: Value| versions.is_some_and(|versions| versions.contains(&version));
    assert!(has("1.2".into()) && has(1.2.into()), "a version with and without quotes");
    let text = schema.to_string();
    assert!(!text.contains("\"null\""), "a key without a value is an error");
    assert!(!text.contains("x-required"), "own marks are not published");
}
