//! The cache alone: order of use, age, and who fetches.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::crypto::default_provider;
use crate::error::Error;

/// A clock that a test sets, in seconds.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn since_epoch(&self) -> Duration {
        self.elapsed()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn id(name: u8) -> EntryId {
    let provider = default_provider();
    let begun = Identity::new(&*provider, Resource::CachingCmm, Scope::Encrypt, &[name]);
    begun.finish().unwrap()
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Gets entry `name` from the cache; `true` when it had to be fetched.
fn get(cache: &LocalCache<u8>, name: u8, age_max: Duration) -> bool {
    let pick = |kept: &mut u8| {
        assert_eq!(*kept, name, "the entry of another");
        Some(false)
    };
    wait(cache.get_or_fetch(id(name), age_max, pick, async { Ok((Some(name), true)) })).unwrap()
}

#[test]
fn the_least_recently_used_entry_gives_way() {
    let cache = LocalCache::new(2, Arc::new(Hand::default())).unwrap();
    assert!(get(&cache, 1, HOUR) && get(&cache, 2, HOUR));
    assert!(!get(&cache, 1, HOUR));
    assert!(get(&cache, 3, HOUR), "makes room by dropping 2");
    assert_eq!(cache.len(), 2);
    assert!(!get(&cache, 1, HOUR) && !get(&cache, 3, HOUR) && get(&cache, 2, HOUR));
    cache.clear();
    assert!(cache.is_empty() && get(&cache, 2, HOUR));
}

#[test]
fn the_number_of_entries_is_bounded_and_may_be_zero() {
    let clock = || Arc::new(Hand::default());
    let none = LocalCache::new(0, clock()).unwrap();
    assert!(get(&none, 1, HOUR) && get(&none, 1, HOUR) && none.is_empty());
    assert!(LocalCache::<u8>::new(CACHE_ENTRIES_MAX, clock()).is_ok());
    let refused = LocalCache::<u8>::new(CACHE_ENTRIES_MAX + 1, clock()).err().unwrap();
    assert!(matches!(refused, Error::LimitExceeded { quantity: "cache entries", .. }));
}

#[test]
fn an_entry_is_used_until_it_reaches_the_age_of_its_user() {
    let clock = Arc::new(Hand::default());
    let cache = LocalCache::new(9, clock.clone()).unwrap();
    let age_max = Duration::from_secs(10);
    assert!(get(&cache, 1, age_max));
    clock.0.store(9, Ordering::SeqCst);
    assert!(!get(&cache, 1, age_max));
    assert!(get(&cache, 1, Duration::from_secs(9)), "another user wants younger ones");
    // That one put it there anew, for as long as it wants.
    clock.0.store(17, Ordering::SeqCst);
    assert!(!get(&cache, 1, age_max));
    clock.0.store(18, Ordering::SeqCst);
    assert!(get(&cache, 1, age_max));
    clock.0.store(27, Ordering::SeqCst);
    assert!(!get(&cache, 1, age_max));
    clock.0.store(28, Ordering::SeqCst);
    assert!(get(&cache, 1, age_max));
}

#[test]
fn what_is_too_old_is_dropped_although_nobody_asks_for_it() {
    let clock = Arc::new(Hand::default());
    let cache = LocalCache::new(9, clock.clone()).unwrap();
    for name in 0..5 {
        get(&cache, name, HOUR);
    }
    clock.0.store(3600, Ordering::SeqCst);
    for _ in 0..3 {
        get(&cache, 9, HOUR);
    }
    assert_eq!(cache.len(), 1);
}

#[test]
fn one_fetches_and_the_others_wait_for_it() {
    let cache = LocalCache::new(9, Arc::new(Hand::default())).unwrap();
    let fetches = AtomicUsize::new(0);
    let slow_get = || async {
        let fetch = async {
            fetches.fetch_add(1, Ordering::SeqCst);
            for _ in 0..3 {
                pause().await;
            }
            Ok((Some(7), 7))
        };
        cache.get_or_fetch(id(7), HOUR, |kept: &mut u8| Some(*kept), fetch).await
    };
    let all = futures_util::future::join_all((0..20).map(|_| slow_get()));
    assert!(wait(all).into_iter().all(|got| got.unwrap() == 7));
    assert_eq!(fetches.into_inner(), 1);
    assert_eq!(cache.flights.len(), 0);
}

#[test]
fn a_failed_or_abandoned_fetch_holds_nobody_up() {
    let cache = LocalCache::<u8>::new(9, Arc::new(Hand::default())).unwrap();
    let failing = || async {
        let fetch = async {
            pause().await;
            Err::<(Option<u8>, u8), _>(Error::NoGenerator)
        };
        cache.get_or_fetch(id(7), HOUR, |kept: &mut u8| Some(*kept), fetch).await
    };
    let all = futures_util::future::join_all((0..5).map(|_| failing()));
    assert!(wait(all).into_iter().all(|got| got.is_err()));
    let mut abandoned = Box::pin(failing());
    assert!(abandoned.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(abandoned);
    assert!(get(&cache, 7, HOUR));
    assert_eq!(cache.flights.len(), 0);
}

/// Lets others go first, once.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
