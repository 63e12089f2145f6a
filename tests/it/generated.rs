//! The committed code is what the generator writes from the committed spec.
//!
//! Everything else about generated code is tested through the client that it makes up.

#![cfg(feature = "codegen")]

use std::{env, fs};

/// What build.rs wrote when this test was built.
const WRITTEN: &str = include_str!(concat!(env!("OUT_DIR"), "/fixably.rs"));

/// What is committed.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fixably/generated.rs");

/// With `SERVICEBAY_BLESS=1` it is made so.
#[test]
fn the_committed_code_is_what_the_generator_writes() {
    if env::var_os("SERVICEBAY_BLESS").is_some() {
        fs::write(COMMITTED, WRITTEN).expect("the source tree can be written to");
        return;
    }
    let committed = fs::read_to_string(COMMITTED).expect("the generated code is committed");
    let same = committed.lines().zip(WRITTEN.lines()).take_while(|(committed, written)| committed == written).count();
    assert!(
        committed == WRITTEN,
        "src/fixably/generated.rs differs from line {} on; SERVICEBAY_BLESS=1 rewrites it:\n- {}\n+ {}",
        same + 1,
        committed.lines().nth(same).unwrap_or("the end"),
        WRITTEN.lines().nth(same).unwrap_or("the end"),
    );
}
