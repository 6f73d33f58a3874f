//! A2: a model of writers, collectors and `forget` on one store, and a search through everything
//! that can happen to it.
//!
//! Every step of a process is one operation on the store or less; a process can be arbitrarily slow
//! and can stop for ever between any two steps, which is how crashes and late comers are covered. Any
//! writer can be taken for dead at any time. What must hold in every state is that each chunk of each
//! snapshot can be found: in the pack that the snapshot names, or in one that an index run names.
//!
//! The rules are those of the documentation of `strongroom::prune`. Each can be dropped, and then the
//! search must find a state that breaks the promise: a rule that nothing needs would be no rule, and
//! a model that misses a hole would prove nothing.

mod collector;
mod rules;
mod search;
mod state;
mod writer;

use self::rules::{Rule, Rules};
use self::search::{Outcome, search};
use self::state::{Scenario, State};
use crate::support::figure;

/// The variable that adds the larger scenarios, and the rules without which what breaks breaks only
/// after many states.
const LONG_VARIABLE: &str = "STRONGROOM_MODEL_LONG";

fn explored(name: &str, scenario: Scenario) -> u64 {
    match search(&State::new(scenario), Rules::all()) {
        Outcome::Holds { states } => {
            figure(&format!("A2: {name}: {states} states, 0 break the promise"));
            states
        }
        Outcome::Broken { trace } => panic!("{name}:\n{}", trace.join("\n")),
    }
}

#[test]
fn no_order_of_steps_loses_an_acknowledged_snapshot() {
    let mut states = explored("1 writer, 1 collector, 2 forgotten", Scenario::new(1, 1, 2));
    states += explored("2 writers, 1 collector", Scenario::new(2, 1, 0));
    states += explored("2 collectors, 1 forgotten", Scenario::new(0, 2, 1));
    if std::env::var_os(LONG_VARIABLE).is_some() {
        states += explored("2 writers, 1 collector, 1 forgotten", Scenario::new(2, 1, 1));
        states += explored("1 writer, 2 collectors", Scenario::new(1, 2, 0));
        states += explored("1 writer, 2 collectors, 1 forgotten", Scenario::new(1, 2, 1));
        states += explored("2 writers, 1 collector, 2 forgotten", Scenario::new(2, 1, 2));
    }
    assert!(states > 10_000, "{states}");
}

#[test]
fn every_rule_is_needed() {
    let long = std::env::var_os(LONG_VARIABLE).is_some();
    let rules = || Rule::ALL.into_iter().filter(|rule| long || rule.is_broken_soon());
    let idle: Vec<Rule> = rules().filter(|rule| !breaks_without(*rule)).collect();
    assert_eq!(idle, [], "nothing breaks without these");
    figure(&format!("A2: {} of {} rules, each of them needed", rules().count(), Rule::ALL.len()));
}

fn breaks_without(rule: Rule) -> bool {
    let outcome = search(&State::new(rule.scenario()), Rules::all().without(rule));
    matches!(outcome, Outcome::Broken { .. })
}
