//! What the server counts, for Prometheus.
//!
//! A request that succeeds touches two atomic values that were looked up at the start; what takes more
//! work, such as the state of HSMs, is found out when somebody asks.

use std::collections::HashMap;
use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::audit::Figures;
use crate::clock::Timestamp;
use crate::cloudhsm::{self, Health};
use crate::kms::{self, Kms};
use crate::sts;

/// Bounds of the latency histogram, in seconds: from a cached answer to one that waits for a cluster.
const LATENCY_SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
/// Longest that an HSM may take to say how it is.
const HSM_SECONDS_MAX: u64 = 2;
/// What stands for an operation that no service has.
const NO_OPERATION: &str = "";
/// The outcome of a request that succeeded; of others it is the fault's code.
const SUCCESS: &str = "Success";

/// All that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    operations: HashMap<&'static str, OfOperation>,
    connections: IntGauge,
    gauges: Gauges,
}

/// Of one operation, found without a lock.
struct OfOperation {
    succeeded: IntCounter,
    latency: Histogram,
}

/// What is set when somebody asks.
struct Gauges {
    keys: IntGaugeVec,
    stores: IntGaugeVec,
    hsms: IntGaugeVec,
    audit_records: IntGaugeVec,
    audit_failing: IntGauge,
    storage_failing: IntGauge,
    memory: IntGauge,
}

impl Metrics {
    /// Counters at zero, of a server that starts at `now`.
    ///
    /// # Errors
    /// None in practice; the names are checked.
    pub(crate) fn new(now: Timestamp) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("strongroom_kms_requests_total", "Requests by operation and outcome."),
            &["operation", "outcome"],
        )?;
        let latency = HistogramVec::new(
            HistogramOpts::new(
                "strongroom_kms_request_duration_seconds",
                "From the request's head to its reply, by operation.",
            )
            .buckets(LATENCY_SECONDS.to_vec()),
            &["operation"],
        )?;
        let connections = IntGauge::new("strongroom_kms_connections", "Open connections.")?;
        let started = IntGauge::new(
            "process_start_time_seconds",
            "When the server started, in seconds since the epoch.",
        )?;
        started.set(now.as_seconds());
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(started))?;
        let operations = names()
            .map(|name| {
                let of_operation = OfOperation {
                    succeeded: requests.with_label_values(&[name, SUCCESS]),
                    latency: latency.with_label_values(&[name]),
                };
                (name, of_operation)
            })
            .collect();
        let gauges = Gauges::register(&registry)?;
        Ok(Self { registry, requests, operations, connections, gauges })
    }

    /// Counts a request; `failure` is the fault's code.
    pub(super) fn count(
        &self,
        operation: Option<&'static str>,
        failure: Option<&str>,
        took: Duration,
    ) {
        let name = operation.unwrap_or(NO_OPERATION);
        let known = self.operations.get(name);
        if let Some(known) = known {
            known.latency.observe(took.as_secs_f64());
        }
        match (known, failure) {
            (Some(known), None) => known.succeeded.inc(),
            (_, failure) => {
                self.requests.with_label_values(&[name, failure.unwrap_or(SUCCESS)]).inc();
            }
        }
    }

    /// Counts a connection until what is returned is dropped.
    pub(super) fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Everything in Prometheus's text format.
    pub(super) async fn render(&self, kms: &Kms) -> Result<Vec<u8>, prometheus::Error> {
        self.gauges.set(kms).await;
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// A connection that is counted.
pub(super) struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Every operation of every service, and the name of none.
fn names() -> impl Iterator<Item = &'static str> {
    let registered = [kms::OPERATIONS, cloudhsm::OPERATIONS].into_iter().flatten();
    registered
        .map(|registration| registration.name)
        .chain(sts::OPERATIONS.iter().copied())
        .chain([NO_OPERATION])
}

impl Gauges {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let vector = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let single = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        Ok(Self {
            keys: vector("strongroom_kms_keys", "KMS keys by Region.", &["region"])?,
            stores: vector(
                "strongroom_kms_custom_key_stores",
                "Custom key stores by state of connection.",
                &["state"],
            )?,
            hsms: vector(
                "strongroom_kms_hsm_up",
                "Whether an HSM of a cluster answers and has not zeroised itself.",
                &["cluster", "hsm", "zone"],
            )?,
            audit_records: vector(
                "strongroom_kms_audit_records",
                "Records of the audit trail since the start: written, waiting, lost.",
                &["state"],
            )?,
            audit_failing: single(
                "strongroom_kms_audit_failing",
                "Whether the last write of the audit trail failed.",
            )?,
            storage_failing: single(
                "strongroom_kms_storage_failing",
                "Whether the last commit of the state failed.",
            )?,
            memory: single("process_resident_memory_bytes", "Resident memory, in bytes.")?,
        })
    }

    async fn set(&self, kms: &Kms) {
        let state = kms.registry.state();
        self.keys.reset();
        for key in state.all_keys() {
            self.keys.with_label_values(&[key.realm.region.as_str()]).inc();
        }
        self.stores.reset();
        for store in state.all_custom_key_stores() {
            self.stores.with_label_values(&[store.connection.as_str()]).inc();
        }
        self.hsms.reset();
        for cluster in state.all_clusters() {
            for hsm in cluster.hsms.values() {
                let patience = Duration::from_secs(HSM_SECONDS_MAX);
                let health = tokio::time::timeout(patience, kms.cloudhsm.health(&hsm.id)).await;
                let labels = [cluster.id.as_str(), hsm.id.as_str(), hsm.zone.as_str()];
                let is_up = matches!(health, Ok(Health::Active { .. }));
                self.hsms.with_label_values(&labels).set(is_up.into());
            }
        }
        self.set_figures(kms.audit.figures());
        self.storage_failing.set(kms.registry.is_failing().into());
        self.memory.set(resident_bytes().unwrap_or_default());
    }

    fn set_figures(&self, figures: Figures) {
        let set = |state: &str, count: u64| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.audit_records.with_label_values(&[state]).set(count);
        };
        set("written", figures.written);
        set("waiting", figures.waiting);
        set("lost", figures.lost);
        self.audit_failing.set(figures.is_failing.into());
    }
}

/// Pages of the process in memory, in bytes (proc(5), `statm`).
fn resident_bytes() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(i64::try_from(rustix::param::page_size()).ok()?)
}
