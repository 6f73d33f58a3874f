//! The `strongroom-kms` command.

fn main() {}
