//! GetParametersForImport.

use serde::Serialize;

use super::access::Naming;
use super::import::{self, TokenHeader, Wrapping, WrappingAlgorithm, WrappingKeySpec};
use super::{Call, Operation, shapes};
use crate::clock::Timestamp;
use crate::ids::KeyArn;
use crate::keystore::KeyStoreError;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, EnumValues, Fault, Members, Request};

/// How long a wrapping key and its token may be used, in seconds: 24 hours.
const VALID_SECONDS: i64 = 24 * 60 * 60;

pub(super) struct GetParametersForImport;

pub(super) struct Input {
    key_id: String,
    algorithm: WrappingAlgorithm,
    spec: WrappingKeySpec,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            algorithm: members.required_enum("WrappingAlgorithm")?,
            spec: members.required_enum("WrappingKeySpec")?,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    key_id: KeyArn,
    import_token: Base64,
    public_key: Base64,
    parameters_valid_to: Timestamp,
}

impl Operation for GetParametersForImport {
    const NAME: &'static str = "GetParametersForImport";
    type Input = Input;
    type Output = Output;

    /// Nothing is remembered: the token holds all that the import needs.
    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let facts = RequestFacts {
            more: &[
                ("wrappingalgorithm", input.algorithm.as_str()),
                ("wrappingkeyspec", input.spec.as_str()),
            ],
            ..RequestFacts::default()
        };
        let key = found.authorize(call, facts)?;
        import::check_origin(key.key())?;
        let wrapping = Wrapping::asked(input.algorithm, input.spec)?;
        wrapping.check(key.key().spec)?;
        let key = key.in_state(call)?;
        let key_id = key.key().arn();
        let valid_to = call.now.plus_seconds(VALID_SECONDS);
        let header = TokenHeader { wrapping, valid_to };
        let fleet = call.kms.key_stores.fleet();
        let made = fleet
            .import_parameters(wrapping.size, header.binding(&key_id))
            .await
            .map_err(KeyStoreError::into_creation_fault)?;
        Ok(Output {
            key_id,
            import_token: Base64::public(header.join(&made.sealed_private_key)),
            public_key: Base64::public(made.public_key),
            parameters_valid_to: valid_to,
        })
    }
}
