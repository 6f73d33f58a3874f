//! From a target name and a caller to the operation that answers.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::http::request::Parts;
use uuid::Uuid;

use super::Metrics;
use super::http::BodyRoom;
use super::latency::Latency;
use super::quotas::Quotas;
use super::testing::{self, TestReply, Testing};
use crate::audit::{Actor, Audit, Event};
use crate::auth::{self, Caller, Credentials, Peer, SignedRequest};
use crate::clock::{Clock, Timestamp};
use crate::cloudhsm;
use crate::ids::Region;
use crate::kms::{self, Call, Kms, Registration};
use crate::protocol::{Fault, FaultCode, Reply};

/// A service of the JSON protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Kms,
    CloudHsm,
}

impl Service {
    /// The service of a target prefix.
    fn of_prefix(prefix: &str) -> Option<Self> {
        [Self::Kms, Self::CloudHsm].into_iter().find(|service| service.prefix() == prefix)
    }

    /// What its targets begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Kms => "TrentService",
            Self::CloudHsm => "BaldrApiService",
        }
    }

    /// The name that its credential scopes carry.
    fn signing_name(self) -> &'static str {
        match self {
            Self::Kms => "kms",
            Self::CloudHsm => "cloudhsm",
        }
    }
}

/// What a target name leads to, before anybody is authenticated.
pub(crate) enum Target {
    /// An operation of the service.
    Known(Service, &'static Registration),
    /// No operation of the service.
    Unknown(Service),
}

impl Target {
    fn service(&self) -> Service {
        match self {
            Self::Known(service, _) | Self::Unknown(service) => *service,
        }
    }

    /// The operation's name, if it is one of the API model.
    pub(super) fn operation(&self) -> Option<&'static str> {
        match self {
            Self::Known(_, registration) => Some(registration.name),
            Self::Unknown(_) => None,
        }
    }

    /// Longest body that the target takes, in bytes.
    pub(crate) fn body_bytes_max(&self) -> usize {
        /// Enough to answer what is refused anyway.
        const REFUSED_BODY_BYTES_MAX: usize = 1024 * 1024;
        match self {
            Self::Known(_, registration) => registration.body_bytes_max,
            Self::Unknown(_) => REFUSED_BODY_BYTES_MAX,
        }
    }
}

/// Everything that it takes to answer a request.
pub(crate) struct Dispatcher {
    kms: Arc<Kms>,
    credentials: ArcSwap<Credentials>,
    /// Where calls are recorded whose signature names no Region.
    region: Region,
    metrics: Metrics,
    body_room: BodyRoom,
    /// By which signatures are dated: never moved for a test, as clients' clocks are not.
    signing_clock: Arc<dyn Clock>,
    /// For other people's tests.
    tests: ForTests,
    operations: HashMap<(Service, &'static str), &'static Registration>,
}

impl Dispatcher {
    /// A dispatcher for all services.
    pub(crate) fn new(
        kms: Arc<Kms>,
        credentials: Credentials,
        region: Region,
        metrics: Metrics,
        signing_clock: Arc<dyn Clock>,
        tests: ForTests,
    ) -> Self {
        let credentials = ArcSwap::from_pointee(credentials);
        let tables = [(Service::Kms, kms::OPERATIONS), (Service::CloudHsm, cloudhsm::OPERATIONS)];
        let mut operations = HashMap::new();
        for (service, table) in tables {
            operations.extend(table.iter().map(|entry| ((service, entry.name), entry)));
        }
        Self {
            kms,
            credentials,
            region,
            metrics,
            body_room: BodyRoom::new(),
            signing_clock,
            tests,
            operations,
        }
    }

    /// The time.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.kms.clock
    }

    /// What every operation works with.
    #[cfg(test)]
    pub(crate) fn kms(&self) -> &Arc<Kms> {
        &self.kms
    }

    /// Switches the HSMs of all clusters off.
    pub(crate) async fn stop_hsms(&self) {
        self.kms.cloudhsm.stop().await;
    }

    /// The `X-Amz-Target` of every operation.
    pub(crate) fn targets(&self) -> impl Iterator<Item = String> {
        self.operations.keys().map(|(service, name)| format!("{}.{name}", service.prefix()))
    }

    /// Finds what an `X-Amz-Target` names.
    ///
    /// # Errors
    /// `UnknownOperationException` if it names none of the services.
    pub(crate) fn target(&self, text: &str) -> Result<Target, Fault> {
        let (prefix, name) = text.split_once('.').ok_or_else(unknown_operation)?;
        let service = Service::of_prefix(prefix).ok_or_else(unknown_operation)?;
        Ok(match self.operations.get(&(service, name)) {
            Some(registration) => Target::Known(service, registration),
            None => Target::Unknown(service),
        })
    }

    /// Authenticates a request to a target.
    ///
    /// # Errors
    /// The fault as the JSON services word it.
    pub(crate) fn authenticate(
        &self,
        target: &Target,
        request: SignedRequest<'_>,
    ) -> Result<Caller, Fault> {
        let request = SignedRequest { service: target.service().signing_name(), ..request };
        self.verify(&request).map_err(auth::AuthError::into_fault)
    }

    /// The access keys and roles as of now.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        self.credentials.load_full()
    }

    /// Puts other access keys and roles in force.
    pub(crate) fn set_credentials(&self, credentials: Credentials) {
        self.credentials.store(Arc::new(credentials));
    }

    /// The time by which signatures and sessions are dated.
    pub(crate) fn signing_time(&self) -> Timestamp {
        self.signing_clock.now()
    }

    /// Records a call whose caller is not authenticated.
    pub(crate) async fn record_stranger(
        &self,
        target: &Target,
        origin: RequestOrigin,
        fault: &Fault,
    ) {
        let Some(operation) = target.operation() else { return };
        let service = target.service().signing_name();
        let now = self.kms.clock.now();
        let begin = || {
            let RequestOrigin { peer, id } = origin;
            Event::call(now, service, self.region.clone(), Actor::Unknown, peer, id)
        };
        // It is refused whether or not there is room for its record.
        if let Ok(admitted) = self.kms.audit.admit_stranger(operation, now, begin).await {
            admitted.complete(b"", Err(fault), &[]);
        }
    }

    /// Room for long bodies.
    pub(super) fn body_room(&self) -> &BodyRoom {
        &self.body_room
    }

    /// What is counted.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Everything that is counted, in Prometheus's text format.
    pub(super) async fn render_metrics(&self) -> Result<Vec<u8>, prometheus::Error> {
        self.metrics.render(&self.kms).await
    }

    /// Why calls would be refused for no fault of theirs; empty if the server is ready.
    pub(super) fn problems(&self) -> Vec<&'static str> {
        let mut problems = Vec::new();
        if self.kms.registry.is_failing() {
            problems.push("the last write to the data directory failed");
        }
        if self.kms.audit.figures().is_failing {
            problems.push("the audit trail cannot be written");
        }
        problems
    }

    /// Answers a request to an endpoint for tests, if there are any.
    pub(super) async fn answer_test(&self, parts: &Parts, body: &[u8]) -> Option<TestReply> {
        let testing = self.tests.endpoints.as_ref()?;
        let answer = testing.answer(&self.kms, parts, body).await;
        if parts.uri.path().ends_with("/reset")
            && let Some(quotas) = &self.tests.quotas
        {
            quotas.refill();
        }
        Some(testing::written(answer))
    }

    /// Whether there are endpoints for tests.
    pub(super) fn has_test_endpoints(&self) -> bool {
        self.tests.endpoints.is_some()
    }

    /// How late an answer is to be.
    pub(super) fn latency(&self) -> Latency {
        self.tests.latency
    }

    fn check_quota(&self, service: Service, call: &Call) -> Result<(), Fault> {
        match &self.tests.quotas {
            Some(quotas) if service == Service::Kms => {
                quotas.take(&call.realm, call.operation, self.signing_clock.now())
            }
            _ => Ok(()),
        }
    }

    /// The audit trail.
    pub(crate) fn audit(&self) -> &Audit {
        &self.kms.audit
    }

    /// Authenticates a request to the service that it names itself.
    pub(crate) fn verify(&self, request: &SignedRequest<'_>) -> Result<Caller, auth::AuthError> {
        auth::verify(request, &self.credentials.load(), self.signing_clock.now())
    }

    /// Runs the operation for its authenticated caller, and records the call.
    pub(crate) async fn run(
        &self,
        target: &Target,
        caller: Caller,
        origin: RequestOrigin,
        body: &[u8],
    ) -> Result<Reply, Fault> {
        let Target::Known(service, registration) = target else {
            return Err(unknown_operation());
        };
        let operation = registration.name;
        let call = Call::new(Arc::clone(&self.kms), caller, origin.peer, operation);
        let begin = || call.event(service.signing_name(), origin.id);
        let admitted = self.kms.audit.admit(operation, body.len(), begin).await?;
        let outcome = match self.check_quota(*service, &call) {
            Ok(()) => registration.run(&call, body).await.inspect(|_| call.note_usage(origin.id)),
            Err(throttled) => Err(throttled),
        };
        admitted.complete(body, outcome.as_ref().map(Reply::bytes), &call.into_touched());
        outcome
    }
}

/// What a server does for other people's tests: nothing, unless it is asked to.
#[derive(Default)]
pub(crate) struct ForTests {
    pub(crate) endpoints: Option<Testing>,
    pub(crate) quotas: Option<Quotas>,
    pub(crate) latency: Latency,
}

/// Where a request came from, and its id in replies and records.
#[derive(Clone, Debug)]
pub(crate) struct RequestOrigin {
    pub(crate) peer: Peer,
    pub(crate) id: Uuid,
}

fn unknown_operation() -> Fault {
    Fault::new(FaultCode::UnknownOperationException, "The operation is not known.")
}
