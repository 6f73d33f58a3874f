//! Benchmarks of Strongroom and its peers.
