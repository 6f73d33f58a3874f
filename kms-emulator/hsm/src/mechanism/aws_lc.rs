//! What AWS-LC does and `aws-lc-rs` has no safe function for: Ed25519ph over a digest, ML-DSA over an
//! external µ, and reading an ML-KEM key's seed. The library is the one that `aws-lc-rs` links; nothing here computes anything itself.
#![allow(
    unsafe_code,
    reason = "calls of C functions; every pointer comes from a slice or array of the length that the \
              function reads or writes, and every object that it returns is freed by its owner below"
)]

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use aws_lc_sys as lc;
use zeroize::Zeroizing;

use super::MlDsaParameters;
use crate::error::Refusal;
use crate::secret::KeyBytes;

/// The value that AWS-LC returns for success.
const SUCCESS: i32 = 1;

/// Signs a SHA-512 digest (RFC 8032, 5.1: Ed25519ph with an empty context).
pub(super) fn ed25519ph_sign(seed: &KeyBytes, digest: &[u8; 64]) -> Result<Vec<u8>, Refusal> {
    let mut public = [0; 32];
    let mut private = Zeroizing::new([0; 64]);
    let mut signature = vec![0; 64];
    // SAFETY: the seed and the public key have 32 bytes, private key, digest and signature have 64; an
    // empty context may be null.
    let done = unsafe {
        lc::ED25519_keypair_from_seed(
            public.as_mut_ptr(),
            private.as_mut_ptr(),
            seed.expose().as_ptr(),
        );
        lc::ED25519ph_sign_digest(
            signature.as_mut_ptr(),
            digest.as_ptr(),
            private.as_ptr(),
            ptr::null(),
            0,
        )
    };
    if done == SUCCESS { Ok(signature) } else { Err(Refusal::ModuleFailed) }
}

/// Verifies what `ed25519ph_sign` makes.
pub(super) fn ed25519ph_verify(
    public: &[u8; 32],
    digest: &[u8; 64],
    signature: &[u8; 64],
) -> Result<(), Refusal> {
    // SAFETY: the arrays have the lengths that the function reads; an empty context may be null.
    let done = unsafe {
        lc::ED25519ph_verify_digest(
            digest.as_ptr(),
            signature.as_ptr(),
            public.as_ptr(),
            ptr::null(),
            0,
        )
    };
    if done == SUCCESS { Ok(()) } else { Err(Refusal::SignatureInvalid) }
}

/// Signs a message representative (FIPS 204, algorithm 7, from line 7 on); returns the length.
pub(super) fn ml_dsa_sign_mu(
    parameters: MlDsaParameters,
    seed: &KeyBytes,
    mu: &[u8; 64],
    signature: &mut [u8],
) -> Result<usize, Refusal> {
    let seed = seed.expose();
    // SAFETY: the seed has the 32 bytes that its length says.
    let key = unsafe {
        lc::EVP_PKEY_pqdsa_new_raw_private_key(nid(parameters), seed.as_ptr(), seed.len())
    };
    let context = Context::of(Key::owned(key)?)?;
    let mut length = signature.len();
    // SAFETY: the context lives; at most `length` bytes of `signature` are written.
    let done = unsafe {
        lc::EVP_PKEY_sign_init(context.pointer()) == SUCCESS
            && lc::EVP_PKEY_sign(
                context.pointer(),
                signature.as_mut_ptr(),
                &raw mut length,
                mu.as_ptr(),
                mu.len(),
            ) == SUCCESS
    };
    if done { Ok(length) } else { Err(Refusal::ModuleFailed) }
}

/// Verifies what `ml_dsa_sign_mu` makes, or a signature over the message whose representative is `mu`.
pub(super) fn ml_dsa_verify_mu(
    parameters: MlDsaParameters,
    public: &[u8],
    mu: &[u8; 64],
    signature: &[u8],
) -> Result<(), Refusal> {
    // SAFETY: pointer and length are those of one slice.
    let key = unsafe {
        lc::EVP_PKEY_pqdsa_new_raw_public_key(nid(parameters), public.as_ptr(), public.len())
    };
    let context = Context::of(Key::owned(key)?)?;
    // SAFETY: the context lives; pointers and lengths are those of slices.
    let done = unsafe {
        lc::EVP_PKEY_verify_init(context.pointer()) == SUCCESS
            && lc::EVP_PKEY_verify(
                context.pointer(),
                signature.as_ptr(),
                signature.len(),
                mu.as_ptr(),
                mu.len(),
            ) == SUCCESS
    };
    if done { Ok(()) } else { Err(Refusal::SignatureInvalid) }
}

/// The raw private key of a PKCS #8 document: for ML-KEM, the decapsulation key of its seed.
pub(super) fn private_key_of_pkcs8(document: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut input = MaybeUninit::uninit();
    // SAFETY: pointer and length are those of one slice, which outlives the reading.
    let key = unsafe {
        lc::CBS_init(input.as_mut_ptr(), document.as_ptr(), document.len());
        lc::EVP_parse_private_key(input.as_mut_ptr())
    };
    let key = NonNull::new(key).map(Key).ok_or(Refusal::InvalidKey)?;
    let mut length = 0;
    // SAFETY: the key lives; without a buffer only the length is written.
    let known = unsafe {
        lc::EVP_PKEY_get_raw_private_key(key.0.as_ptr(), ptr::null_mut(), &raw mut length)
    };
    if known != SUCCESS {
        return Err(Refusal::InvalidKey);
    }
    let mut private = Zeroizing::new(vec![0; length]);
    // SAFETY: the key lives; at most `length` bytes of `private`, which has as many, are written.
    let done = unsafe {
        lc::EVP_PKEY_get_raw_private_key(key.0.as_ptr(), private.as_mut_ptr(), &raw mut length)
    };
    if done == SUCCESS && length == private.len() { Ok(private) } else { Err(Refusal::InvalidKey) }
}

fn nid(parameters: MlDsaParameters) -> i32 {
    match parameters {
        MlDsaParameters::MlDsa44 => lc::NID_MLDSA44,
        MlDsaParameters::MlDsa65 => lc::NID_MLDSA65,
        MlDsaParameters::MlDsa87 => lc::NID_MLDSA87,
    }
}

/// A key of the library, which cleanses it when it is freed.
struct Key(NonNull<lc::EVP_PKEY>);

impl Key {
    fn owned(pointer: *mut lc::EVP_PKEY) -> Result<Self, Refusal> {
        NonNull::new(pointer).map(Self).ok_or(Refusal::ModuleFailed)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and freed once.
        unsafe { lc::EVP_PKEY_free(self.0.as_ptr()) }
    }
}

/// An operation with a key, which it keeps alive.
struct Context {
    context: NonNull<lc::EVP_PKEY_CTX>,
    _key: Key,
}

impl Context {
    fn of(key: Key) -> Result<Self, Refusal> {
        // SAFETY: the key lives; no engine is given.
        let context = unsafe { lc::EVP_PKEY_CTX_new(key.0.as_ptr(), ptr::null_mut()) };
        let context = NonNull::new(context).ok_or(Refusal::ModuleFailed)?;
        Ok(Self { context, _key: key })
    }

    fn pointer(&self) -> *mut lc::EVP_PKEY_CTX {
        self.context.as_ptr()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and freed once, before the key.
        unsafe { lc::EVP_PKEY_CTX_free(self.context.as_ptr()) }
    }
}
