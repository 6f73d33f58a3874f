//! AWS KMS and CloudHSM custom key stores on simulated HSM hardware.
