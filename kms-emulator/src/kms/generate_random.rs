//! GenerateRandom.

use std::sync::Arc;

use serde::Serialize;

use super::{Call, Operation, custom_key_store, shapes};
use crate::keystore::KeyStoreError;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, Fault, IntegerLimits, Members, Request};

const NUMBER_OF_BYTES: IntegerLimits = IntegerLimits { min: 1, max: 1024 };

pub(super) struct GenerateRandom;

pub(super) struct Input {
    number_of_bytes: Option<u32>,
    custom_key_store_id: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::refuse_recipient(members)?;
        Ok(Self {
            number_of_bytes: members.optional_integer("NumberOfBytes", &NUMBER_OF_BYTES)?,
            custom_key_store_id: members
                .optional_string("CustomKeyStoreId", &shapes::CUSTOM_KEY_STORE_ID)?,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    plaintext: Base64,
}

impl Operation for GenerateRandom {
    const NAME: &'static str = "GenerateRandom";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        call.authorize_without_key("*", &RequestFacts::default())?;
        let bytes = input
            .number_of_bytes
            .ok_or_else(|| Fault::validation("Please specify the number of bytes."))?;
        let store = match &input.custom_key_store_id {
            None => Arc::clone(call.kms.key_stores.default_store()),
            Some(id) => custom_key_store::connected(call, id)?,
        };
        let drawn =
            store.random(bytes as usize).await.map_err(KeyStoreError::into_creation_fault)?;
        Ok(Output { plaintext: Base64::secret(drawn) })
    }
}
