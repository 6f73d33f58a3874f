//! Client-side encryption in the AWS Encryption SDK message format.
