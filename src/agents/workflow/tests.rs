//! Workflows to test with.

use super::definition::{
    Binding, Definition, ForEach, Parameter, Signature, Step, USUAL_RETRIES, USUAL_TIMEOUT, Variable, Work,
};
use super::value::{Type, Value};
use crate::jobs::AgentKind;

/// Two agents to build with: one that makes texts, one that needs a text.
pub fn catalogue(agent: AgentKind) -> Option<Signature> {
    const WRITE: Signature = Signature {
        takes: &[
            Parameter::required("goals", Type::Texts),
            Parameter::optional("count", Type::Number),
            Parameter::optional("period", Type::Period),
        ],
        gives: &[("texts", Type::Texts), ("text", Type::Text), ("count", Type::Number)],
    };
    const COMPOSE: Signature = Signature {
        takes: &[
            Parameter::required("brief", Type::Text),
            Parameter::optional("channels", Type::Channels),
            Parameter::optional("hint", Type::Text),
        ],
        gives: &[("text", Type::Text), ("assets", Type::Assets), ("final", Type::Flag)],
    };
    match agent {
        AgentKind::Affirmations => Some(WRITE),
        AgentKind::PostComposition => Some(COMPOSE),
        _ => None,
    }
}

pub fn step(key: &str, after: &[&str], work: Work) -> Step {
    let after = after.iter().map(|key| (*key).to_owned()).collect();
    Step { key: key.to_owned(), after, work, retries: USUAL_RETRIES, timeout_seconds: USUAL_TIMEOUT }
}

pub fn from(text: &str) -> Binding {
    Binding::From(text.parse().unwrap())
}

pub fn agent(agent: AgentKind, inputs: &[(&str, Binding)]) -> Work {
    let inputs = inputs.iter().map(|(name, binding)| ((*name).to_owned(), binding.clone())).collect();
    Work::Agent { agent, inputs, each: None }
}

/// The step, once for each item of a list.
pub fn each(mut step: Step, list: &str, at_most: Option<u32>) -> Step {
    let Work::Agent { each, .. } = &mut step.work else { panic!("{step:?}") };
    *each = Some(ForEach { list: list.parse().unwrap(), at_most });
    step
}

pub fn write(key: &str, after: &[&str]) -> Step {
    step(key, after, agent(AgentKind::Affirmations, &[("goals", from("brief"))]))
}

pub fn compose(key: &str, after: &[&str], source: &str) -> Step {
    step(key, after, agent(AgentKind::PostComposition, &[("brief", from(source))]))
}

pub fn of(steps: Vec<Step>) -> Definition {
    let variable = |name: &str, kind, default| Variable { name: name.to_owned(), kind, default };
    let variables =
        vec![variable("count", Type::Number, Some(Value::Number(3))), variable("mood", Type::Text, None)];
    Definition { variables, steps }
}
