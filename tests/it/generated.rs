//! The committed code is what the generator writes from the committed spec.
//!
//! Everything else about generated code is tested through the client that it makes up.

#![cfg(feature = "codegen")]

use std::{env, fs};

/// Each vendor with what build.rs wrote when this test was built.
const WRITTEN: [(&str, &str); 4] = [
    ("fentu", include_str!(concat!(env!("OUT_DIR"), "/fentu.rs"))),
    ("fisikal", include_str!(concat!(env!("OUT_DIR"), "/fisikal.rs"))),
    ("fixably", include_str!(concat!(env!("OUT_DIR"), "/fixably.rs"))),
    ("repairy", include_str!(concat!(env!("OUT_DIR"), "/repairy.rs"))),
];

/// With `SERVICEBAY_BLESS=1` it is made so.
#[test]
fn the_committed_code_is_what_the_generator_writes() {
    for (vendor, written) in WRITTEN {
        let path = format!("{}/src/{vendor}/generated.rs", env!("CARGO_MANIFEST_DIR"));
        if env::var_os("SERVICEBAY_BLESS").is_some() {
            fs::write(path, written).expect("the source tree can be written to");
            continue;
        }
        let committed = fs::read_to_string(path).expect("the generated code is committed");
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
