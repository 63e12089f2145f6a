//! Benches of servicebay beside its peers: `cargo bench -p servicebay-bench`.
