//! The caching CMM: what is shared, for how long, and that no policy is ever got around.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use strongroom_sdk::cmm::caching::{BYTES_MAX, MESSAGES_MAX};
use strongroom_sdk::cmm::{
    CachingCmm, CachingLimits, DefaultCmm, MaterialsCache, MaterialsManager, RequiredContextCmm,
};
use strongroom_sdk::keyring::AwsKmsKeyring;
use strongroom_sdk::materials::{DecryptionRequest, EncryptionRequest};
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::policy::CommitmentPolicy;
use strongroom_sdk::{Error, oneshot};

use crate::fixtures::{self, Hand, KnownDataKey, say, wait};
use crate::heap::{MARKER, markers_freed_by};
use crate::memory_kms::{KEY_A, MemoryKms};

const POLICIES: [CommitmentPolicy; 3] = [
    CommitmentPolicy::ForbidEncryptAllowDecrypt,
    CommitmentPolicy::RequireEncryptAllowDecrypt,
    CommitmentPolicy::RequireEncryptRequireDecrypt,
];

/// A KMS, a cache and its clock.
#[derive(Default)]
struct World {
    kms: Arc<MemoryKms>,
    clock: Arc<Hand>,
}

impl World {
    fn underlying(&self) -> Arc<dyn MaterialsManager> {
        Arc::new(DefaultCmm::new(Arc::new(AwsKmsKeyring::new(self.kms.clone(), KEY_A).unwrap())))
    }

    fn cache(&self) -> Arc<MaterialsCache> {
        Arc::new(MaterialsCache::new(100, self.clock.clone()).unwrap())
    }

    fn manager(&self, limits: CachingLimits) -> CachingCmm {
        CachingCmm::new(self.underlying(), self.cache(), limits).unwrap()
    }

    /// How often the KMS was asked so far.
    fn asked(&self) -> usize {
        self.kms.asked().len()
    }
}

fn limits(messages_max: u64, bytes_max: u64) -> CachingLimits {
    CachingLimits { messages_max, bytes_max, ..CachingLimits::of_age(Duration::from_secs(60)) }
}

fn write(
    manager: &dyn MaterialsManager,
    request: &EncryptionRequest,
    length: usize,
) -> Result<Vec<u8>, Error> {
    wait(oneshot::encrypt(&vec![7; length], manager, request, &EncryptOptions::default()))
}

fn read(
    manager: &dyn MaterialsManager,
    message: &[u8],
    policy: CommitmentPolicy,
) -> Result<usize, Error> {
    let options = DecryptOptions { commitment_policy: policy, ..DecryptOptions::default() };
    wait(oneshot::decrypt(message, manager, &options)).map(|opened| opened.plaintext.len())
}

#[test]
fn one_data_key_serves_messages_until_a_limit_is_reached() {
    for (limits, lengths, calls) in [
        (limits(3, BYTES_MAX), &[1, 1, 1][..], 1),
        (limits(3, BYTES_MAX), &[1, 1, 1, 1], 2),
        (limits(MESSAGES_MAX, 30), &[10, 20], 1),
        (limits(MESSAGES_MAX, 30), &[10, 21], 2),
        (limits(MESSAGES_MAX, 30), &[31, 31], 2),
        (limits(MESSAGES_MAX, 30), &[10, 31, 20], 2),
        (limits(1, BYTES_MAX), &[1, 1], 2),
        (limits(0, BYTES_MAX), &[1, 1], 2),
    ] {
        for suite in fixtures::COMMITTING {
            let world = World::default();
            let manager = world.manager(limits);
            for length in lengths {
                let message = write(&manager, &fixtures::request(suite), *length).unwrap();
                let plain = fixtures::reading(suite).commitment_policy;
                let asked = world.asked();
                assert_eq!(read(&*world.underlying(), &message, plain).unwrap(), *length);
                assert_eq!(world.asked(), asked + 1);
            }
            assert_eq!(world.asked() - lengths.len(), calls, "{limits:?} {lengths:?}");
        }
    }
}

#[test]
fn a_data_key_is_used_until_it_is_too_old() {
    let world = World::default();
    let manager = world.manager(CachingLimits::of_age(Duration::from_secs(60)));
    let request = fixtures::request(fixtures::UNSIGNED);
    let message = write(&manager, &request, 5).unwrap();
    let policy = CommitmentPolicy::default();
    read(&manager, &message, policy).unwrap();
    world.clock.advance(59);
    write(&manager, &request, 5).unwrap();
    read(&manager, &message, policy).unwrap();
    assert_eq!(world.asked(), 2);
    world.clock.advance(1);
    write(&manager, &request, 5).unwrap();
    read(&manager, &message, policy).unwrap();
    assert_eq!(world.asked(), 4);
}

#[test]
fn limits_beyond_the_greatest_are_refused() {
    let world = World::default();
    let make = |limits| CachingCmm::new(world.underlying(), world.cache(), limits);
    assert!(make(limits(MESSAGES_MAX, BYTES_MAX)).is_ok());
    for bad in [limits(MESSAGES_MAX + 1, 1), limits(1, BYTES_MAX + 1)] {
        assert!(matches!(make(bad).err().unwrap(), Error::LimitExceeded { .. }));
    }
    let never = make(CachingLimits::of_age(Duration::ZERO)).err().unwrap();
    assert!(matches!(never, Error::CacheAgeZero), "{never}");
}

#[test]
fn suites_without_derivation_and_messages_of_unknown_length_get_keys_of_their_own() {
    let world = World::default();
    let manager = world.manager(limits(MESSAGES_MAX, BYTES_MAX));
    for suite in AlgorithmSuite::ALL {
        let request = fixtures::request(suite);
        let before = world.asked();
        let messages = [(); 2].map(|()| write(&manager, &request, 9).unwrap());
        assert_eq!(world.asked() - before, if suite.kdf().is_some() { 1 } else { 2 }, "{suite}");
        let before = world.asked();
        for _ in 0..2 {
            read(&manager, &messages[0], request.commitment_policy).unwrap();
        }
        assert_eq!(world.asked() - before, if suite.kdf().is_some() { 1 } else { 2 }, "{suite}");
        let before = world.asked();
        for _ in 0..2 {
            wait(manager.encryption_materials(&request)).unwrap();
        }
        assert_eq!(world.asked() - before, 2, "{suite}: nobody knows how long they get");
    }
}

#[test]
fn no_order_of_policies_gets_around_one() {
    let (mut cases, mut forbidden) = (0, 0);
    let suites: Vec<Option<AlgorithmSuite>> =
        AlgorithmSuite::ALL.into_iter().map(Some).chain([None]).collect();
    for first in POLICIES {
        for second in POLICIES {
            for &first_suite in &suites {
                for &second_suite in &suites {
                    let world = World::default();
                    let manager = world.manager(limits(MESSAGES_MAX, BYTES_MAX));
                    let mut written = Vec::new();
                    for (policy, suite) in [(first, first_suite), (second, second_suite)] {
                        let request = EncryptionRequest {
                            commitment_policy: policy,
                            suite,
                            ..EncryptionRequest::default()
                        };
                        let asked = suite.unwrap_or_else(|| policy.default_suite());
                        let result = write(&manager, &request, 9);
                        assert_eq!(result.is_ok(), policy.check_encrypt(asked).is_ok());
                        if let Ok(message) = result {
                            let found = fixtures::parse(&message).header.suite();
                            assert_eq!(found, asked, "{policy} {suite:?}");
                            written.push(message);
                        }
                    }
                    // Each message is in the cache of one reader after the other.
                    for message in &written {
                        let suite = fixtures::parse(message).header.suite();
                        for policy in [first, second, first] {
                            let result = read(&manager, message, policy);
                            assert_eq!(result.is_ok(), policy.check_decrypt(suite).is_ok());
                            forbidden += usize::from(result.is_err());
                        }
                    }
                    cases += 1;
                }
            }
        }
    }
    say(&format!(
        "S4: {cases} orders of policies and suites, {forbidden} reads refused, 0 got around"
    ));
}

#[test]
fn only_the_same_context_partition_and_required_keys_share_a_data_key() {
    let world = World::default();
    let cache = world.cache();
    let make = || CachingCmm::new(world.underlying(), cache.clone(), limits(9, 999)).unwrap();
    let (own, other) = (make(), make());
    let (one, two) = (make().partition("p"), make().partition("p"));
    let request = fixtures::request(fixtures::UNSIGNED);
    let fresh = |manager: &dyn MaterialsManager, request: &EncryptionRequest| {
        let before = world.asked();
        write(manager, request, 1).unwrap();
        world.asked() > before
    };
    assert!(fresh(&own, &request) && fresh(&other, &request) && fresh(&one, &request));
    assert!(!fresh(&own, &request) && !fresh(&other, &request) && !fresh(&two, &request));
    let context = EncryptionContext::from_pairs([("purpose", "other")]).unwrap();
    let elsewhere = EncryptionRequest { encryption_context: context, ..request.clone() };
    assert!(fresh(&own, &elsewhere) && !fresh(&own, &elsewhere));
    let required_context_keys = ["n".to_owned()].into();
    let requiring = EncryptionRequest { required_context_keys, ..request.clone() };
    assert!(fresh(&own, &requiring) && !fresh(&own, &requiring));
    let unnamed = EncryptionRequest { suite: None, ..request };
    assert!(fresh(&own, &unnamed) && !fresh(&own, &unnamed));
}

#[test]
fn required_context_and_caching_work_in_either_order() {
    let world = World::default();
    let caching: Arc<dyn MaterialsManager> = Arc::new(world.manager(limits(9, 999)));
    let outside = RequiredContextCmm::new(caching.clone(), ["n"]).unwrap();
    let underlying = Arc::new(RequiredContextCmm::new(world.underlying(), ["n"]).unwrap());
    let inside = CachingCmm::new(underlying, world.cache(), limits(9, 999)).unwrap();
    let reproduced_context = EncryptionContext::from_pairs([("n", "1")]).unwrap();
    let options = DecryptOptions { reproduced_context, ..DecryptOptions::default() };
    for manager in [&outside as &dyn MaterialsManager, &inside] {
        for suite in fixtures::COMMITTING {
            for _ in 0..2 {
                let message = write(manager, &fixtures::request(suite), 9).unwrap();
                let header = fixtures::parse(&message).header;
                assert_eq!(header.unverified_encryption_context().get("n"), None);
                for _ in 0..2 {
                    wait(oneshot::decrypt(&message, manager, &options)).unwrap();
                }
                assert!(read(manager, &message, CommitmentPolicy::default()).is_err());
            }
        }
    }
    // A message with the pair in its header and one without are not the same to a reader.
    let with = write(&*caching, &fixtures::request(fixtures::UNSIGNED), 9).unwrap();
    let without = write(&outside, &fixtures::request(fixtures::UNSIGNED), 9).unwrap();
    for message in [&with, &without, &with, &without] {
        wait(oneshot::decrypt(message, &*caching, &options)).unwrap();
    }
}

#[test]
fn cached_secrets_are_wiped_when_the_cache_is() {
    for suite in fixtures::COMMITTING {
        let found = markers_freed_by(|| {
            let underlying = Arc::new(DefaultCmm::new(Arc::new(KnownDataKey(MARKER.to_vec()))));
            let cache = Arc::new(MaterialsCache::new(9, Arc::new(Hand::default())).unwrap());
            let manager = CachingCmm::new(underlying.clone(), cache.clone(), limits(9, 999));
            let manager = manager.unwrap();
            for _ in 0..3 {
                let message = write(&manager, &fixtures::request(suite), 9).unwrap();
                read(&manager, &message, CommitmentPolicy::default()).unwrap();
            }
            assert!(!cache.is_empty());
            cache.clear();
            // The fixture keeps its key, unwiped, longer than the search lasts.
            std::mem::forget(underlying);
        });
        assert_eq!(found, 0, "{suite}");
    }
}

#[test]
fn many_threads_share_what_the_limits_allow_and_no_more() {
    const THREADS: usize = 8;
    const MESSAGES: usize = 50;
    const OF_A_KEY: usize = 40;
    let world = World::default();
    let manager = Arc::new(world.manager(limits(OF_A_KEY as u64, BYTES_MAX)));
    let messages: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let manager = manager.clone();
                scope.spawn(move || {
                    let request = fixtures::request(fixtures::UNSIGNED);
                    let one = || write(&*manager, &request, 64).unwrap();
                    (0..MESSAGES).map(|_| one()).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for message in &messages {
        read(&*manager, message, CommitmentPolicy::default()).unwrap();
    }
    let calls = world.kms.asked().iter().filter(|call| call.starts_with("Generate")).count();
    assert!(calls >= (THREADS * MESSAGES).div_ceil(OF_A_KEY), "{calls} data keys are too few");
    say(&format!("{} messages of {THREADS} threads with {calls} data keys", messages.len()));
}

/// What a caller may do to the cache of one manager.
#[derive(Debug, Clone)]
enum Step {
    Write { context: u8, bytes: u64 },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..40_u64).prop_map(|(context, bytes)| Step::Write { context, bytes }),
        1 => (1..40_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// The entry that a simple model has for a context: when it was made, and what was written with it.
#[derive(Clone, Copy)]
struct Model {
    created: u64,
    messages: u64,
    bytes: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_data_key_is_shared_exactly_when_a_simple_model_says_so(
        steps in proptest::collection::vec(step(), 1..60),
        messages_max in 0..5_u64,
        bytes_max in 0..80_u64,
    ) {
        let world = World::default();
        let manager = world.manager(limits(messages_max, bytes_max));
        let mut models = [None::<Model>; 3];
        let mut now = 0;
        for step in steps {
            let (context, bytes) = match step {
                Step::Wait { seconds } => {
                    now += seconds;
                    world.clock.advance(seconds);
                    continue;
                }
                Step::Write { context, bytes } => (context, bytes),
            };
            let request = EncryptionRequest {
                encryption_context: EncryptionContext::from_pairs([("c", context.to_string())])
                    .unwrap(),
                suite: Some(fixtures::UNSIGNED),
                plaintext_bytes_max: Some(bytes),
                ..EncryptionRequest::default()
            };
            let model = &mut models[usize::from(context)];
            let alone = messages_max >= 1 && bytes <= bytes_max;
            let fits = model.is_some_and(|model| {
                now - model.created < 60
                    && model.messages < messages_max
                    && model.bytes + bytes <= bytes_max
            });
            let before = world.asked();
            wait(manager.encryption_materials(&request)).unwrap();
            prop_assert_eq!(world.asked() == before, alone && fits);
            match model {
                _ if !alone => {}
                Some(model) if fits => {
                    model.messages += 1;
                    model.bytes += bytes;
                }
                _ => *model = Some(Model { created: now, messages: 1, bytes }),
            }
        }
    }
}

#[test]
fn a_request_to_read_is_made_of_a_policy_that_allows_it() {
    // What the cache relies on: there is no request that the policy has not let pass.
    let request = fixtures::request(AlgorithmSuite::Aes256GcmHkdfSha256);
    let message = write(&fixtures::manager(), &request, 9).unwrap();
    let header = fixtures::parse(&message).header;
    let refused = DecryptionRequest::new(&header, &DecryptOptions::default()).err().unwrap();
    assert!(matches!(refused, Error::ForbiddenByPolicy { .. }), "{refused}");
}
