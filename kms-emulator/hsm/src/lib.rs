//! A simulated hardware security module.
