//! Examples of servicebay that need plots, CSV files or progress bars: see `examples/`.
