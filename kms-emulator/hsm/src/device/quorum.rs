//! Quorum authentication, M of N: user management that one officer alone cannot do.
//!
//! An officer gets a token from each HSM; other officers sign the file of them outside; each HSM that
//! finds its own token in the signed file counts the approval. A token with enough approvals serves one
//! operation of the officer who got it. Tokens are volatile: a power failure forgets them.

use std::time::Duration;

use super::sessions::{Login, Officer, SessionId};
use super::{Device, lock};
use crate::audit::{Opcode, Subject};
use crate::codec::{List, decode, encode, wire_enum, wire_struct};
use crate::crypto;
use crate::error::Refusal;
use crate::limits::{
    QUORUM_APPROVALS_MAX, QUORUM_TOKEN_SECONDS, QUORUM_TOKEN_SECONDS_MAX, QUORUM_TOKENS_LISTED_MAX,
    QUORUM_TOKENS_MAX, QUORUM_VALUE_MAX,
};
use crate::state::{Contents, QuorumState, TokenTimeouts};
use crate::user::{Role, SecondFactorKey, UserId, UserName};
use crate::wire::{
    QuorumToken, QuorumTokenFile, QuorumTokenInfo, QuorumTokenList, RegistrationToken, Response,
    ShortText, Signature,
};

wire_enum! {
    /// What a quorum is asked for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum QuorumService as "quorum service" {
        /// `USER_MGMT`: creating and deleting users, changing the passwords of others.
        UserManagement = 3,
        /// `MISC_CO`: changing how large a quorum has to be.
        Officers = 4,
    }
}

impl QuorumService {
    /// The number in the tools.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::UserManagement => 3,
            Self::Officers => 4,
        }
    }

    /// The name in the tools.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UserManagement => "USER_MGMT",
            Self::Officers => "MISC_CO",
        }
    }

    /// The service of a number.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        [Self::UserManagement, Self::Officers]
            .into_iter()
            .find(|service| service.number() == number)
    }
}

wire_enum! {
    /// How far a token has come.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum TokenStage as "stage of a token" {
        /// It waits for approvals.
        Generated = 1,
        /// It has enough of them.
        Approved = 2,
    }
}

wire_struct! {
    /// What officers sign.
    struct TokenBody {
        id: u32,
        service: QuorumService,
        hsm_id: ShortText,
        user: UserName,
        /// Random: a token that was signed once cannot come back.
        nonce: [u8; 32],
    }
}

/// A token that was given out.
pub(super) struct Pending {
    id: u32,
    service: QuorumService,
    user: UserId,
    user_name: UserName,
    bytes: QuorumToken,
    issued: Duration,
    approvers: Vec<(UserId, UserName)>,
    /// When the last of them came.
    approved: Duration,
}

/// The tokens of a device since it was switched on.
#[derive(Default)]
pub(super) struct Tokens {
    pending: Vec<Pending>,
    given_out: u32,
}

/// Proof that an operation has its quorum, or needs none; it names the token that is spent by the
/// operation's success.
pub(super) struct Quorum {
    token: Option<u32>,
}

impl Device {
    pub(super) fn get_token(
        &self,
        session: SessionId,
        service: QuorumService,
    ) -> Result<Response, Refusal> {
        self.officer(session)?;
        let login = self.logged_in(session)?;
        let state = self.state()?;
        let hsm_id = state.hardware.hsm_id.clone();
        let now = self.clock.now();
        let mut tokens = lock(&self.tokens);
        tokens.make_room(&Terms { now, contents: &state.contents })?;
        let id = tokens.given_out.wrapping_add(1);
        let body = TokenBody {
            id,
            service,
            hsm_id,
            user: login.name.clone(),
            nonce: crypto::random_array()?,
        };
        let bytes = QuorumToken::new(encode(&body).to_vec()).map_err(|_| Refusal::TooLong)?;
        tokens.given_out = id;
        tokens.pending.push(Pending {
            id,
            service,
            user: login.user,
            user_name: login.name.clone(),
            bytes: bytes.clone(),
            issued: now,
            approvers: Vec::new(),
            approved: now,
        });
        Ok(Response::QuorumToken { id, token: bytes })
    }

    pub(super) fn approve_token(
        &self,
        session: SessionId,
        file: &QuorumTokenFile,
        approver: &UserName,
        signature: &Signature,
    ) -> Result<Response, Refusal> {
        self.officer(session)?;
        let outcome = self.try_approve_token(file, approver, signature);
        let subject = Subject::User(approver, Role::CryptoOfficer);
        self.record(session, Opcode::ApproveToken, subject, &outcome)?;
        outcome.map(|()| Response::Done)
    }

    fn try_approve_token(
        &self,
        file: &QuorumTokenFile,
        approver: &UserName,
        signature: &Signature,
    ) -> Result<(), Refusal> {
        let state = self.state()?;
        let user = state.contents.user(Role::CryptoOfficer, approver)?;
        let key = state.contents.quorum.keys.get(&user.id).ok_or(Refusal::NoQuorumKey)?;
        let signed: List<QuorumToken, { crate::limits::CLUSTER_MEMBERS_MAX }> =
            decode(file.as_slice()).map_err(|_| Refusal::MalformedCommand)?;
        let now = self.clock.now();
        let mut tokens = lock(&self.tokens);
        tokens.forget_over(&Terms { now, contents: &state.contents });
        let own = |pending: &&mut Pending| signed.as_slice().contains(&pending.bytes);
        let pending = tokens.pending.iter_mut().find(own).ok_or(Refusal::NoSuchToken)?;
        if !crypto::verify_rsa(key.as_slice(), file.as_slice(), signature.as_slice()) {
            return Err(Refusal::SignatureInvalid);
        }
        if pending.approvers.iter().any(|(id, _)| *id == user.id) {
            return Ok(());
        }
        if pending.approvers.len() >= QUORUM_APPROVALS_MAX {
            return Err(Refusal::CapacityExhausted);
        }
        pending.approvers.push((user.id, user.name.clone()));
        pending.approved = now;
        Ok(())
    }

    pub(super) fn list_tokens(&self, session: SessionId) -> Result<Response, Refusal> {
        self.officer(session)?;
        let (state, now) = (self.state()?, self.clock.now());
        let terms = Terms { now, contents: &state.contents };
        let mut list = Vec::new();
        let mut tokens = lock(&self.tokens);
        tokens.forget_over(&terms);
        let older = tokens.pending.len().saturating_sub(QUORUM_TOKENS_LISTED_MAX);
        for pending in tokens.pending.iter().skip(older) {
            let approvers = pending.approvers.iter().map(|(_, name)| name.clone()).collect();
            list.push(QuorumTokenInfo {
                id: pending.id,
                service: pending.service,
                user: pending.user_name.clone(),
                validity_seconds: terms.remaining(pending),
                required: state.contents.quorum.value(pending.service),
                approvers: List::new(approvers).map_err(|_| Refusal::TooLong)?,
            });
        }
        let tokens = QuorumTokenList::new(list).map_err(|_| Refusal::TooLong)?;
        Ok(Response::QuorumTokens { tokens })
    }

    pub(super) fn delete_tokens(&self, session: SessionId, all: bool) -> Result<Response, Refusal> {
        self.officer(session)?;
        let user = self.logged_in(session)?.user;
        lock(&self.tokens).pending.retain(|pending| !all && pending.user != user);
        Ok(Response::Done)
    }

    pub(super) fn quorum_value(
        &self,
        session: SessionId,
        service: QuorumService,
    ) -> Result<Response, Refusal> {
        self.logged_in(session)?;
        Ok(Response::QuorumValue { value: self.state()?.contents.quorum.value(service) })
    }

    pub(super) fn set_quorum_value(
        &self,
        session: SessionId,
        service: QuorumService,
        value: u8,
    ) -> Result<Response, Refusal> {
        let officer = self.officer(session)?;
        let login = self.logged_in(session)?;
        let outcome = self.try_set_quorum_value(&officer, &login, service, value);
        self.record(session, Opcode::SetQuorumValue, Subject::Nothing, &outcome)?;
        outcome.map(|()| Response::Done)
    }

    fn try_set_quorum_value(
        &self,
        _officer: &Officer,
        login: &Login,
        service: QuorumService,
        value: u8,
    ) -> Result<(), Refusal> {
        if !(1..=QUORUM_VALUE_MAX).contains(&value) {
            return Err(Refusal::QuorumOutOfRange);
        }
        let quorum = self.quorum_to_set(login, service)?;
        self.change(|contents| {
            if usize::from(value) > officers(contents) {
                return Err(Refusal::QuorumOutOfRange);
            }
            contents.quorum.set_value(service, value);
            Ok(())
        })?;
        self.spend(&quorum);
        Ok(())
    }

    pub(super) fn token_timeouts(&self) -> Result<Response, Refusal> {
        let state = self.state()?;
        let timeouts = &state.contents.token_timeouts;
        let (generated, approved) =
            (timeouts.seconds(TokenStage::Generated), timeouts.seconds(TokenStage::Approved));
        Ok(Response::TokenTimeouts { generated, approved })
    }

    pub(super) fn set_token_timeout(
        &self,
        session: SessionId,
        stage: TokenStage,
        seconds: u32,
    ) -> Result<Response, Refusal> {
        self.officer(session)?;
        let outcome = self.try_set_token_timeout(stage, seconds);
        self.record(session, Opcode::SetTokenTimeout, Subject::Nothing, &outcome)?;
        outcome.map(|()| Response::Done)
    }

    fn try_set_token_timeout(&self, stage: TokenStage, seconds: u32) -> Result<(), Refusal> {
        if !(1..=QUORUM_TOKEN_SECONDS_MAX).contains(&seconds) {
            return Err(Refusal::TokenTimeoutOutOfRange);
        }
        self.change(|contents| {
            *contents.token_timeouts.of_mut(stage) = Some(seconds);
            Ok(())
        })
    }

    pub(super) fn register_quorum_key(
        &self,
        session: SessionId,
        name: &UserName,
        token: &RegistrationToken,
        signature: &Signature,
        key: SecondFactorKey,
    ) -> Result<Response, Refusal> {
        let login = self.logged_in(session)?;
        let outcome = self.try_register_quorum_key(&login, name, token, signature, key);
        let subject = Subject::User(name, Role::CryptoOfficer);
        self.record(session, Opcode::RegisterQuorumKey, subject, &outcome)?;
        outcome.map(|()| Response::Done)
    }

    /// The signature shows that who registers the key has it.
    fn try_register_quorum_key(
        &self,
        login: &Login,
        name: &UserName,
        token: &RegistrationToken,
        signature: &Signature,
        key: SecondFactorKey,
    ) -> Result<(), Refusal> {
        if login.role != Role::CryptoOfficer || login.name != *name {
            return Err(Refusal::RoleNotAllowed { role: login.role });
        }
        if !crypto::verify_rsa(key.as_slice(), token.as_slice(), signature.as_slice()) {
            return Err(Refusal::SignatureInvalid);
        }
        self.change(|contents| {
            let user = contents.user(Role::CryptoOfficer, name)?.id;
            contents.quorum.keys.insert(user, key)
        })
    }

    /// Demands the quorum to set the value of a service: as many officers as the value to be changed asks
    /// for, and as the service of setting values does.
    fn quorum_to_set(&self, login: &Login, service: QuorumService) -> Result<Quorum, Refusal> {
        let state = self.state()?;
        let officers = state.contents.quorum.value(QuorumService::Officers);
        let required = officers.max(state.contents.quorum.value(service));
        if required > 1 && officers <= 1 {
            return Err(Refusal::QuorumRequired);
        }
        self.quorum_of(login, QuorumService::Officers, required)
    }

    /// Demands a quorum for an operation of a user.
    ///
    /// # Errors
    /// `QuorumRequired` without a token that has enough approvals.
    pub(super) fn quorum(&self, login: &Login, service: QuorumService) -> Result<Quorum, Refusal> {
        self.quorum_of(login, service, self.state()?.contents.quorum.value(service))
    }

    fn quorum_of(
        &self,
        login: &Login,
        service: QuorumService,
        required: u8,
    ) -> Result<Quorum, Refusal> {
        if required <= 1 {
            return Ok(Quorum { token: None });
        }
        let (state, now) = (self.state()?, self.clock.now());
        let mut tokens = lock(&self.tokens);
        tokens.forget_over(&Terms { now, contents: &state.contents });
        let approved = tokens.pending.iter().find(|pending| {
            pending.service == service
                && pending.user == login.user
                && pending.approvers.len() >= usize::from(required)
        });
        approved.map(|pending| Quorum { token: Some(pending.id) }).ok_or(Refusal::QuorumRequired)
    }

    /// Spends the token of a quorum: each serves once.
    pub(super) fn spend(&self, quorum: &Quorum) {
        if let Some(id) = quorum.token {
            lock(&self.tokens).pending.retain(|pending| pending.id != id);
        }
    }
}

/// What decides how long a token is good.
struct Terms<'a> {
    now: Duration,
    contents: &'a Contents,
}

impl Terms<'_> {
    /// Seconds for which a token is sure to be kept.
    fn remaining(&self, pending: &Pending) -> u32 {
        let (stage, since) = self.stage(pending);
        let age = u32::try_from(self.now.saturating_sub(since).as_secs()).unwrap_or(u32::MAX);
        self.contents.token_timeouts.seconds(stage).saturating_sub(age)
    }

    /// Whether a token serves no more: its time is over, and an officer has set that time. The time that tokens have
    /// by themselves only says which may go when there is no room (CloudHSM user guide, *quorum authentication*).
    fn is_over(&self, pending: &Pending) -> bool {
        let (stage, _) = self.stage(pending);
        self.contents.token_timeouts.of(stage).is_some() && self.remaining(pending) == 0
    }

    /// How far a token has come, and since when.
    fn stage(&self, pending: &Pending) -> (TokenStage, Duration) {
        let required = self.contents.quorum.value(pending.service);
        if pending.approvers.len() < usize::from(required) {
            (TokenStage::Generated, pending.issued)
        } else {
            (TokenStage::Approved, pending.approved)
        }
    }
}

impl Tokens {
    /// Forgets the tokens that serve no more.
    fn forget_over(&mut self, terms: &Terms<'_>) {
        self.pending.retain(|pending| !terms.is_over(pending));
    }

    /// Forgets the oldest token whose time is over, if there are as many as there can be.
    fn make_room(&mut self, terms: &Terms<'_>) -> Result<(), Refusal> {
        self.forget_over(terms);
        if self.pending.len() < QUORUM_TOKENS_MAX {
            return Ok(());
        }
        let over = self.pending.iter().position(|pending| terms.remaining(pending) == 0);
        self.pending.remove(over.ok_or(Refusal::CapacityExhausted)?);
        Ok(())
    }
}

impl TokenTimeouts {
    /// The time of the tokens at a stage, in seconds.
    fn seconds(&self, stage: TokenStage) -> u32 {
        self.of(stage).unwrap_or(QUORUM_TOKEN_SECONDS)
    }

    fn of(&self, stage: TokenStage) -> Option<u32> {
        match stage {
            TokenStage::Generated => self.generated,
            TokenStage::Approved => self.approved,
        }
    }

    fn of_mut(&mut self, stage: TokenStage) -> &mut Option<u32> {
        match stage {
            TokenStage::Generated => &mut self.generated,
            TokenStage::Approved => &mut self.approved,
        }
    }
}

impl QuorumState {
    /// Officers that an operation of a service needs; 1 without a quorum.
    pub(crate) fn value(&self, service: QuorumService) -> u8 {
        let value = match service {
            QuorumService::UserManagement => self.user_management,
            QuorumService::Officers => self.officers,
        };
        value.max(1)
    }

    fn set_value(&mut self, service: QuorumService, value: u8) {
        match service {
            QuorumService::UserManagement => self.user_management = value,
            QuorumService::Officers => self.officers = value,
        }
    }
}

fn officers(contents: &Contents) -> usize {
    contents.users.values().filter(|user| user.role == Role::CryptoOfficer).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(id: u32, issued: Duration) -> Pending {
        Pending {
            id,
            service: QuorumService::UserManagement,
            user: UserId(1),
            user_name: UserName::parse("admin").unwrap(),
            bytes: QuorumToken::default(),
            issued,
            approvers: Vec::new(),
            approved: issued,
        }
    }

    /// An HSM whose user management needs two officers.
    fn contents() -> Contents {
        let mut contents = Contents::default();
        contents.quorum.user_management = 2;
        contents
    }

    /// What is left of the time of a token, if it still serves.
    fn left(contents: &Contents, pending: &Pending, seconds: u64) -> Option<u32> {
        let terms = Terms { now: Duration::from_secs(seconds), contents };
        (!terms.is_over(pending)).then(|| terms.remaining(pending))
    }

    #[test]
    fn each_stage_of_a_token_has_its_time() {
        let mut contents = contents();
        let mut token = pending(1, Duration::from_secs(100));
        // By themselves, tokens outlast their time.
        assert_eq!(left(&contents, &token, 699), Some(1));
        assert_eq!(left(&contents, &token, 10_000), Some(0));
        *contents.token_timeouts.of_mut(TokenStage::Generated) = Some(30);
        assert_eq!(left(&contents, &token, 129), Some(1));
        assert_eq!(left(&contents, &token, 130), None);

        token.approvers.push((UserId(2), UserName::parse("anna").unwrap()));
        token.approved = Duration::from_secs(110);
        // One of two.
        assert_eq!(left(&contents, &token, 130), None);
        token.approvers.push((UserId(3), UserName::parse("boris").unwrap()));
        token.approved = Duration::from_secs(120);
        assert_eq!(left(&contents, &token, 10_000), Some(0));
        *contents.token_timeouts.of_mut(TokenStage::Approved) = Some(60);
        assert_eq!(left(&contents, &token, 179), Some(1));
        assert_eq!(left(&contents, &token, 180), None);
    }

    #[test]
    fn tokens_are_bounded_and_the_oldest_of_those_that_are_over_goes() {
        let contents = contents();
        let at = |now| Terms { now, contents: &contents };
        let mut tokens = Tokens::default();
        for id in 0..QUORUM_TOKENS_MAX {
            tokens.make_room(&at(Duration::ZERO)).unwrap();
            tokens.pending.push(pending(id as u32, Duration::ZERO));
        }
        assert_eq!(tokens.make_room(&at(Duration::ZERO)), Err(Refusal::CapacityExhausted));
        let later = Duration::from_secs(QUORUM_TOKEN_SECONDS.into());
        tokens.make_room(&at(later)).unwrap();
        assert_eq!(tokens.pending.len(), QUORUM_TOKENS_MAX - 1);
        assert_eq!(tokens.pending[0].id, 1);
    }

    #[test]
    fn services_have_one_number() {
        for service in [QuorumService::UserManagement, QuorumService::Officers] {
            assert_eq!(QuorumService::of_number(service.number()), Some(service));
        }
        assert_eq!(QuorumService::of_number(5), None);
    }
}
