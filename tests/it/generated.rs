//! The committed code is what the generator writes from the committed spec.
//!
//! Everything else about generated code is tested through the client that it makes up.

#![cfg(feature = "codegen")]

use std::path::Path;
use std::{env, fs};

use crate::support::vendors;

/// With `SERVICEBAY_BLESS=1`, this writes the generated code into the source tree instead.
#[test]
fn the_committed_code_is_what_the_generator_writes() {
    for vendor in vendors() {
        let written = Path::new(env!("OUT_DIR")).join(&vendor).with_extension("rs");
        let written = fs::read_to_string(written).expect("build.rs writes the code of every vendor");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&vendor).join("generated.rs");
        if env::var_os("SERVICEBAY_BLESS").is_some() {
            fs::create_dir_all(path.parent().expect("the path has a folder"))
                .expect("the source tree can be written to");
            fs::write(path, written).expect("the source tree can be written to");
            continue;
        }
        let committed = fs::read_to_string(path).unwrap_or_default();
        let same = committed.lines().zip(written.lines()).take_while(|(old, new)| old == new).count();
        assert!(
            committed == written,
            "src/{vendor}/generated.rs differs from line {} on; SERVICEBAY_BLESS=1 rewrites it:\n- {}\n+ {}",
            same + 1,
            committed.lines().nth(same).unwrap_or("the end"),
            written.lines().nth(same).unwrap_or("the end"),
        );
    }
}
