//! What an operation is, and how the table holds operations of different types.

use futures::future::{BoxFuture, FutureExt};
use serde::Serialize;

use super::Call;
use crate::protocol::{Fault, Reply, Request};

/// One operation of an AWS JSON service.
pub(crate) trait Operation: 'static {
    /// The name in the API model, for example `CreateKey`.
    const NAME: &'static str;
    /// The members of the request.
    type Input: Request + Send;
    /// The members of the reply; `()` for none.
    type Output: Serialize;

    /// Does it.
    fn run(
        call: &Call,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, Fault>> + Send;
}

/// An operation as the dispatcher sees it.
pub(crate) struct Registration {
    /// The name in the API model.
    pub(crate) name: &'static str,
    /// Longest request body, in bytes.
    pub(crate) body_bytes_max: usize,
    run: Handler,
}

/// Parses a body and runs an operation, whatever its type.
type Handler = for<'a> fn(&'a Call, &'a [u8]) -> BoxFuture<'a, Result<Reply, Fault>>;

impl Registration {
    /// Parses the body and runs the operation.
    pub(crate) async fn run(&self, call: &Call, body: &[u8]) -> Result<Reply, Fault> {
        (self.run)(call, body).await
    }
}

/// Makes the entry of an operation; none can be made without a limit for its body.
pub(crate) const fn register<O: Operation>(body_bytes_max: usize) -> Registration {
    Registration { name: O::NAME, body_bytes_max, run: run::<O> }
}

fn run<'a, O: Operation>(call: &'a Call, body: &'a [u8]) -> BoxFuture<'a, Result<Reply, Fault>> {
    async move {
        let input = O::Input::parse(body)?;
        let output = O::run(call, input).await?;
        Reply::of(&output)
    }
    .boxed()
}
