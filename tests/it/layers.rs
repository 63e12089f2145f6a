//! Which way imports run: the rule of ARCHITECTURE.md, held.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::vendors;

/// Modules from the lowest layer to the highest. A module may use its own layer and those below.
const LAYERS: [&[&str]; 10] = [
    &["base_url", "clock", "error", "operation", "vendor"],
    &["amount", "envelope", "json_repair", "lenient", "open"],
    &["observer", "options", "priority", "retry"],
    &["auth", "limit", "telemetry", "transport"],
    &["pipeline"],
    &["id", "page", "raw", "reconcile", "response", "request", "client_inner", "decode"],
    &["builder", "client", "observability"],
    &["tenants"],
    &[VENDOR],
    &["testing"],
];
/// Stands for the module of each vendor.
const VENDOR: &str = "<vendor>";
/// Who may speak to the HTTP client.
const HTTP: [&str; 3] = ["builder", "tenants", "transport"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file with its text, docs and tests left out, under the name of its top module.
fn sources() -> Vec<(String, PathBuf, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&root(), &mut files);
    files
        .into_iter()
        .filter(|path| !path.ends_with("lib.rs"))
        .map(|path| {
            let relative = path.strip_prefix(root()).unwrap();
            let top = relative.components().next().unwrap().as_os_str().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            (top.trim_end_matches(".rs").to_owned(), path, code)
        })
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    let module = if vendors().iter().any(|vendor| vendor == module) { VENDOR } else { module };
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The modules of the crate that a text names.
fn used(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

/// Names at the root of the crate, with the modules that they come from.
fn exports() -> BTreeMap<String, String> {
    let lib = fs::read_to_string(root().join("lib.rs")).unwrap();
    let mut exports = BTreeMap::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("pub use self::")) {
        let (module, names) = line.split_once("::").unwrap();
        for name in names.trim_matches(|c| "{};".contains(c)).split(", ") {
            exports.insert(name.to_owned(), module.to_owned());
        }
    }
    exports
}

#[test]
fn every_module_has_a_layer() {
    for (module, path, _) in sources() {
        assert!(layer(&module).is_some(), "{} is in no layer", path.display());
    }
}

#[test]
fn imports_run_one_way() {
    let exports = exports();
    for (module, path, code) in sources() {
        for name in used(&code) {
            let target = exports.get(name).map_or(name, String::as_str);
            let Some(target_layer) = layer(target) else { continue };
            assert!(
                target == module || target_layer <= layer(&module).unwrap(),
                "{} uses {target}, which is above it",
                path.display()
            );
        }
    }
}

#[test]
fn no_vendor_uses_another_and_nothing_below_names_one() {
    for (module, path, code) in sources() {
        let above = layer(&module) > layer(VENDOR);
        for vendor in vendors().iter().filter(|vendor| **vendor != module && !above) {
            assert!(used(&code).all(|name| name != vendor), "{} names {vendor}", path.display());
        }
    }
}

#[test]
fn only_the_transport_and_the_builders_speak_to_the_http_client() {
    for (module, path, code) in sources() {
        if !HTTP.contains(&module.as_str()) {
            assert!(!code.contains("reqwest::"), "{} speaks to reqwest", path.display());
        }
    }
}

#[test]
fn only_the_clock_reads_time() {
    for (module, path, code) in sources() {
        if module != "clock" {
            for read in ["SystemTime::now", "Timestamp::now"] {
                assert!(!code.contains(read), "{} reads the time", path.display());
            }
        }
    }
}
