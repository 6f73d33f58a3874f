//! Cryptographic materials managers (CMMs): between the surfaces and the keyrings.
//!
//! Everything that waits for a network happens here, ahead of need; what follows is work of the CPU.
//!
//! Source: `framework/cmm-interface.md`.

use async_trait::async_trait;

use crate::error::Result;
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};

pub mod caching;
mod default;
mod required_context;

pub use caching::{CachingCmm, CachingLimits, MaterialsCache};
pub use default::DefaultCmm;
pub use required_context::RequiredContextCmm;

/// Gets the materials of one message.
#[async_trait]
pub trait MaterialsManager: Send + Sync {
    /// Materials to write one message with; they are used up by it.
    ///
    /// # Errors
    /// [`ForbiddenByPolicy`](crate::Error::ForbiddenByPolicy), and what the keyrings return.
    async fn encryption_materials(
        &self,
        request: &EncryptionRequest,
    ) -> Result<EncryptionMaterials>;

    /// Materials to read one message with.
    ///
    /// # Errors
    /// [`NoDataKey`](crate::Error::NoDataKey), and what the keyrings return.
    async fn decryption_materials(
        &self,
        request: &DecryptionRequest,
    ) -> Result<DecryptionMaterials>;
}
