//! From a target name and a caller to the operation that answers.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::auth::{self, Caller, Credentials, SignedRequest};
use crate::clock::Clock;
use crate::cloudhsm;
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
    /// An operation that is provided.
    Provided(Service, &'static Registration),
    /// An operation of the API model that is not.
    Unsupported(Service, &'static str),
    /// No operation of the service.
    Unknown(Service),
}

impl Target {
    fn service(&self) -> Service {
        match self {
            Self::Provided(service, _) | Self::Unsupported(service, _) | Self::Unknown(service) => {
                *service
            }
        }
    }

    /// Longest body that the target takes, in bytes.
    pub(crate) fn body_bytes_max(&self) -> usize {
        /// Enough to answer what is refused anyway.
        const REFUSED_BODY_BYTES_MAX: usize = 1024 * 1024;
        match self {
            Self::Provided(_, registration) => registration.body_bytes_max,
            Self::Unsupported(..) | Self::Unknown(_) => REFUSED_BODY_BYTES_MAX,
        }
    }
}

/// Everything that it takes to answer a request.
pub(crate) struct Dispatcher {
    kms: Arc<Kms>,
    credentials: Credentials,
    provided: HashMap<(Service, &'static str), &'static Registration>,
    unsupported: HashMap<(Service, &'static str), &'static str>,
}

impl Dispatcher {
    /// A dispatcher for all services.
    pub(crate) fn new(kms: Arc<Kms>, credentials: Credentials) -> Self {
        let tables = [
            (Service::Kms, kms::OPERATIONS, &[][..]),
            (Service::CloudHsm, cloudhsm::OPERATIONS, cloudhsm::UNSUPPORTED),
        ];
        let (mut provided, mut unsupported) = (HashMap::new(), HashMap::new());
        for (service, operations, names) in tables {
            provided.extend(operations.iter().map(|entry| ((service, entry.name), entry)));
            unsupported.extend(names.iter().map(|name| ((service, *name), *name)));
        }
        Self { kms, credentials, provided, unsupported }
    }

    /// The time.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.kms.clock
    }

    /// Switches the HSMs of all clusters off.
    pub(crate) async fn stop_hsms(&self) {
        self.kms.cloudhsm.stop().await;
    }

    /// The `X-Amz-Target` of every operation that is provided.
    pub(crate) fn targets(&self) -> impl Iterator<Item = String> {
        self.provided.keys().map(|(service, name)| format!("{}.{name}", service.prefix()))
    }

    /// Finds what an `X-Amz-Target` names.
    ///
    /// # Errors
    /// `UnknownOperationException` if it names none of the services.
    pub(crate) fn target(&self, text: &str) -> Result<Target, Fault> {
        let (prefix, name) = text.split_once('.').ok_or_else(unknown_operation)?;
        let service = Service::of_prefix(prefix).ok_or_else(unknown_operation)?;
        if let Some(registration) = self.provided.get(&(service, name)) {
            return Ok(Target::Provided(service, registration));
        }
        Ok(match self.unsupported.get(&(service, name)) {
            Some(name) => Target::Unsupported(service, name),
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

    /// Authenticates a request to the service that it names itself.
    pub(crate) fn verify(&self, request: &SignedRequest<'_>) -> Result<Caller, auth::AuthError> {
        auth::verify(request, &self.credentials, self.kms.clock.now())
    }

    /// Runs the operation for its authenticated caller.
    pub(crate) async fn run(
        &self,
        target: &Target,
        caller: Caller,
        request_id: Uuid,
        body: &[u8],
    ) -> Result<Reply, Fault> {
        match target {
            Target::Provided(_, registration) => {
                let call = Call::new(Arc::clone(&self.kms), caller, registration.name);
                let reply = registration.run(&call, body).await?;
                call.note_usage(request_id);
                Ok(reply)
            }
            Target::Unsupported(_, name) => {
                Err(Fault::unsupported(format!("The operation {name} is not provided here.")))
            }
            Target::Unknown(_) => Err(unknown_operation()),
        }
    }
}

fn unknown_operation() -> Fault {
    Fault::new(FaultCode::UnknownOperationException, "The operation is not known.")
}
