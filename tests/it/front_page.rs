//! The front page of the docs is the README, and shows its picture.
//!
//! On GitHub the README refers to `docs/pacing.svg`. Rustdoc has no such file beside its pages, so `src/lib.rs` defines the
//! same link first, with the picture itself as a data URI: of two definitions the first counts.

use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters that are escaped: all that could end the URI in Markdown or in HTML.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'/').remove(b':').remove(b',').remove(b'=');

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

#[test]
fn the_data_uri_is_the_picture() {
    let uri = format!("data:image/svg+xml,{}", utf8_percent_encode(read("docs/pacing.svg").trim_end(), ESCAPED));
    if std::env::var_os("SERVICEBAY_BLESS").is_some() {
        fs::write(path("docs/pacing.uri"), format!("{uri}\n")).unwrap();
    }
    let message =
        "docs/pacing.svg has changed: SERVICEBAY_BLESS=1 cargo test --test it front_page writes docs/pacing.uri";
    assert!(read("docs/pacing.uri").trim_end() == uri, "{message}");
}

#[test]
fn the_readme_refers_to_the_picture_by_a_link_that_the_docs_can_define_anew() {
    let readme = read("README.md");
    assert!(readme.contains("][pacing]"), "the picture is written as ![description][pacing]");
    assert!(readme.lines().any(|line| line == "[pacing]: docs/pacing.svg"), "GitHub needs the definition");
    assert!(!readme.contains("](docs/pacing.svg)"), "rustdoc cannot replace an inline link");
    let lib = read("src/lib.rs");
    let (uri, included) = (lib.find("../docs/pacing.uri").unwrap(), lib.find("../README.md").unwrap());
    assert!(uri < included, "the first definition of a link counts");
}

#[test]
fn every_file_that_the_readme_links_to_has_an_address_in_the_docs() {
    let (readme, lib) = (read("README.md"), read("src/lib.rs"));
    let links = readme.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    let files: Vec<_> = links.filter(|(_, target)| !target.contains("://") && !target.ends_with(".svg")).collect();
    assert!(files.len() > 3, "{files:?}");
    for (name, file) in files {
        let address = format!("//! [{name}]: https://docs.rs/crate/servicebay/latest/source/{file}");
        assert!(path(file).exists() && lib.lines().any(|line| line == address), "src/lib.rs lacks {address}");
    }
    assert!(!readme.contains("](docs/") && !readme.contains("](ARCH"), "rustdoc cannot replace an inline link");
}
