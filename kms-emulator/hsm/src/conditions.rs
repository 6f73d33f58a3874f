//! What an operator does to a device from outside, to see what its clients do about it: a network that drops
//! packets or is slow, programs that hold sessions, and hardware that does no more than it would in reality.
//!
//! Conditions are no part of the sealed state. They lie beside it and survive a power failure, as a cut
//! cable does.

use crate::codec::wire_struct;
use crate::device::Port;
use crate::error::HsmError;
use crate::limits::{DELAY_MILLIS_MAX, SESSIONS_MAX};

wire_struct! {
    /// The surroundings of a device. By default nothing is wrong with them, and the device is as fast as it can.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Conditions {
        /// Nothing arrives, in neither direction, and nobody is told.
        pub partitioned: bool,
        /// The security group drops what is sent to and from the client port.
        pub client_port_closed: bool,
        /// The same for the management port.
        pub management_port_closed: bool,
        /// Time that each answer takes longer, in milliseconds.
        pub delay_millis: u32,
        /// Sessions that other programs hold.
        pub occupied_sessions: u32,
        /// Commands that the device executes in a second, at most; 0 for as many as it can.
        pub commands_per_second: u32,
    }
}

/// Length of the encoding from before devices had a rate, in bytes; the rate is what it lacks at the end.
pub(crate) const CONDITIONS_BYTES_BEFORE_RATES: usize = 11;

impl Conditions {
    /// Checks the limits: a delay of at most [`DELAY_MILLIS_MAX`], at most [`SESSIONS_MAX`] sessions.
    ///
    /// # Errors
    ///
    /// [`HsmError::Configuration`] names what is outside.
    pub fn check(&self) -> Result<(), HsmError> {
        if self.delay_millis > DELAY_MILLIS_MAX {
            return Err(HsmError::Configuration { what: "delay_millis" });
        }
        if self.occupied_sessions as usize > SESSIONS_MAX {
            return Err(HsmError::Configuration { what: "occupied_sessions" });
        }
        Ok(())
    }

    /// Whether packets of a port get through.
    pub(crate) fn let_through(&self, port: Port) -> bool {
        let closed = match port {
            Port::Client => self.client_port_closed,
            Port::Management => self.management_port_closed,
            Port::Provider => return true,
        };
        !self.partitioned && !closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;

    #[test]
    fn conditions_are_bounded() {
        let delayed = |delay_millis| Conditions { delay_millis, ..Conditions::default() };
        assert!(delayed(DELAY_MILLIS_MAX).check().is_ok());
        assert!(delayed(DELAY_MILLIS_MAX + 1).check().is_err());
        let most = SESSIONS_MAX as u32;
        let occupied = |occupied_sessions| Conditions { occupied_sessions, ..delayed(0) };
        assert!(occupied(most).check().is_ok());
        assert!(occupied(most + 1).check().is_err());
    }

    #[test]
    fn conditions_from_before_rates_lack_the_last_field() {
        let encoded = encode(&Conditions { occupied_sessions: 7, ..Conditions::default() });
        assert_eq!(encoded.len(), CONDITIONS_BYTES_BEFORE_RATES + size_of::<u32>());
    }

    #[test]
    fn each_port_has_its_own_rule() {
        let closed = Conditions { client_port_closed: true, ..Conditions::default() };
        assert!(!closed.let_through(Port::Client) && closed.let_through(Port::Management));
        let cut = Conditions { partitioned: true, ..Conditions::default() };
        assert!(!cut.let_through(Port::Management) && cut.let_through(Port::Provider));
    }
}
