//! What a workflow is: steps, what they are given, and which come after which. It is checked when it is saved, so that a run
//! fails for what happens in it and not for how it was written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::value::{Place, Source, Type, Value};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::WebhookEndpointId;
use crate::jobs::AgentKind;

/// Steps of a workflow at the most.
pub const STEPS: usize = 30;
/// Variables of a workflow at the most.
pub const VARIABLES: usize = 30;
/// Characters of a step's or a variable's name at the most.
const KEY: usize = 40;
/// Characters of what an approver is told.
const MESSAGE: usize = 500;
/// Bytes of a workflow at the most, as it is kept.
const BYTES: usize = 256 * 1024;
/// How often a step may be tried again.
const RETRIES: u32 = 5;
/// How often a step is tried again when nothing is said about it.
pub const USUAL_RETRIES: u32 = 2;
/// How many seconds a step may take.
const TIMEOUT: u32 = 3_600;
/// How many seconds a step may take when nothing is said about it.
pub const USUAL_TIMEOUT: u32 = 600;
/// Values that a webhook tells at the most.
const INPUTS: u32 = 30;
/// For how many items of a list a step works at the most.
pub const ITEMS: u32 = 10;
/// How many seconds a delay may last: 30 days.
const DELAY: u32 = 30 * 24 * 3_600;

/// What an agent is given as a step: a name, a type, and whether it must be there.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// Whether the agent does not work without it.
    pub required: bool,
}

impl Parameter {
    /// One that must be there.
    pub const fn required(name: &'static str, kind: Type) -> Self {
        Self { name, kind, required: true }
    }

    /// One that may be left out.
    pub const fn optional(name: &'static str, kind: Type) -> Self {
        Self { name, kind, required: false }
    }
}

/// What an agent takes and gives as a step.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// What it takes.
    pub takes: &'static [Parameter],
    /// What later steps may use of what it makes, by name.
    pub gives: &'static [(&'static str, Type)],
}

/// Which agents can be steps.
pub type Catalogue = fn(AgentKind) -> Option<Signature>;

/// A workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What a run may be given beside its brief.
    pub variables: Vec<Variable>,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// What a run may be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name in the run's options.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// Its value when a run says nothing; none: a run has to.
    pub default: Option<Value>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name in the workflow.
    pub key: String,
    /// The steps that it comes after.
    pub after: Vec<String>,
    /// What is done.
    pub work: Work,
    /// How often it is tried again when that may help.
    pub retries: u32,
    /// How long one attempt may take.
    pub timeout_seconds: u32,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// Has an agent work.
    Agent {
        /// Which.
        agent: AgentKind,
        /// What it is given, by the names of its parameters.
        inputs: BTreeMap<String, Binding>,
        /// For each item of which list it works; none: once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        each: Option<ForEach>,
    },
    /// Lets what comes after it happen only if something holds.
    Condition {
        /// Of what.
        of: Source,
        /// What.
        test: Test,
    },
    /// Waits until somebody approves.
    Approval {
        /// What they are told.
        message: Option<String>,
    },
    /// Waits.
    Delay {
        /// How long.
        seconds: u32,
    },
    /// Tells another server.
    Webhook {
        /// Where.
        endpoint: WebhookEndpointId,
        /// What is told, by names of the template's own.
        inputs: BTreeMap<String, Binding>,
    },
}

/// The list that a step works for, item by item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForEach {
    /// Which list.
    pub list: Source,
    /// For so many of its first items; none: for all of them, and then it has [`ITEMS`] at the most.
    pub at_most: Option<u32>,
}

/// The kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[graphql(name = "WorkflowStepKind")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepKind {
    /// Has an agent work.
    Agent,
    /// Lets what comes after it happen only if something holds.
    Condition,
    /// Waits until somebody approves.
    Approval,
    /// Waits for a while.
    Delay,
    /// Tells another server.
    Webhook,
}

/// Where a parameter's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Binding {
    /// It is this.
    Is(Value),
    /// From elsewhere in the run.
    From(Source),
}

/// What a condition looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Test {
    /// A number, or how many there are, is this or more.
    AtLeast(i64),
    /// A number, or how many there are, is this or less.
    AtMost(i64),
    /// A text is this one.
    Equals(String),
    /// It is true, or there at all; or, with false, the opposite.
    Holds(bool),
}

impl Test {
    /// Whether it holds of a value; of none when there is none.
    pub fn holds(&self, value: Option<&Value>) -> bool {
        let size = || match value {
            None => 0,
            Some(Value::Number(number)) => *number,
            Some(Value::Texts(texts)) => i64::try_from(texts.len()).unwrap_or(i64::MAX),
            Some(Value::Text(_) | Value::Flag(_)) => 1,
        };
        match self {
            Self::AtLeast(least) => size() >= *least,
            Self::AtMost(most) => size() <= *most,
            Self::Equals(text) => matches!(value, Some(Value::Text(other)) if other == text),
            Self::Holds(wanted) => {
                let holds = match value {
                    Some(Value::Flag(flag)) => *flag,
                    other => other.is_some(),
                };
                holds == *wanted
            }
        }
    }

    fn suits(&self, kind: Type) -> bool {
        match self {
            Self::AtLeast(_) | Self::AtMost(_) => {
                matches!(kind, Type::Number | Type::Texts | Type::Channels | Type::Assets)
            }
            Self::Equals(_) => matches!(kind, Type::Text | Type::Language),
            Self::Holds(_) => true,
        }
    }
}

impl Step {
    /// The agent that works, when one does.
    pub const fn agent(&self) -> Option<AgentKind> {
        match self.work {
            Work::Agent { agent, .. } => Some(agent),
            _ => None,
        }
    }

    /// Of which kind it is.
    pub const fn kind(&self) -> StepKind {
        match self.work {
            Work::Agent { .. } => StepKind::Agent,
            Work::Condition { .. } => StepKind::Condition,
            Work::Approval { .. } => StepKind::Approval,
            Work::Delay { .. } => StepKind::Delay,
            Work::Webhook { .. } => StepKind::Webhook,
        }
    }

    /// The list that it works for, item by item; none when it works once.
    pub const fn each(&self) -> Option<&ForEach> {
        match &self.work {
            Work::Agent { each, .. } => each.as_ref(),
            _ => None,
        }
    }

    /// Where its values come from.
    pub fn sources(&self) -> Vec<&Source> {
        match &self.work {
            Work::Agent { inputs, .. } | Work::Webhook { inputs, .. } => {
                let bound = inputs.values().filter_map(|binding| match binding {
                    Binding::From(source) => Some(source),
                    Binding::Is(_) => None,
                });
                self.each().map(|each| &each.list).into_iter().chain(bound).collect()
            }
            Work::Condition { of, .. } => vec![of],
            Work::Approval { .. } | Work::Delay { .. } => Vec::new(),
        }
    }

    /// The steps without whose results it cannot work.
    pub fn needs(&self, catalogue: Catalogue) -> BTreeSet<&str> {
        let Work::Agent { agent, inputs, each } = &self.work else { return BTreeSet::new() };
        let takes = catalogue(*agent).map_or(&[][..], |signature| signature.takes);
        let required = takes.iter().filter(|parameter| parameter.required);
        let bound = required.filter_map(|parameter| inputs.get(parameter.name));
        let sources = bound.filter_map(|binding| match binding {
            Binding::From(source) => Some(source),
            Binding::Is(_) => None,
        });
        sources.chain(each.as_ref().map(|each| &each.list)).filter_map(Source::step).collect()
    }
}

fn refuse(code: FaultCode, field: &str, message: impl Into<String>) -> Error {
    Error::fault(Fault::at(code, field, message))
}

/// A name of a step, a variable or a template: a small letter, then letters, digits and low lines.
pub(super) fn name(field: &str, text: &str) -> Result<()> {
    let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= KEY
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        return Ok(());
    }
    let shown: String = text.chars().take(60).collect();
    let message = format!(
        "`{shown}` cannot be a name here: a small letter, then letters, digits and `_`, at most {KEY}."
    );
    Err(refuse(FaultCode::Invalid, field, message))
}

impl Definition {
    /// The step of a name.
    pub fn step(&self, key: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.key == key)
    }

    /// The steps that come after one, whatever is between them.
    pub fn descendants(&self, key: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut fresh = vec![key];
        while let Some(of) = fresh.pop() {
            for step in self.steps.iter().filter(|step| step.after.iter().any(|before| before == of)) {
                if found.insert(step.key.as_str()) {
                    fresh.push(&step.key);
                }
            }
        }
        found
    }

    /// Checks a definition that somebody wrote.
    ///
    /// # Errors
    /// A fault at `variables` or `steps` that names the step, with what to do about it.
    pub fn check(mut self, catalogue: Catalogue) -> Result<Self> {
        self.check_variables()?;
        if self.steps.is_empty() {
            return Err(refuse(FaultCode::Required, "steps", "A workflow has at least one step."));
        }
        if self.steps.len() > STEPS {
            return Err(refuse(
                FaultCode::TooLong,
                "steps",
                format!("A workflow has at most {STEPS} steps."),
            ));
        }
        let mut keys = BTreeSet::new();
        for step in &self.steps {
            name("steps", &step.key)?;
            if !keys.insert(step.key.clone()) {
                let message = format!("Two steps are called `{}`. Give each its own key.", step.key);
                return Err(refuse(FaultCode::Invalid, "steps", message));
            }
        }
        for step in &mut self.steps {
            step.after.sort_unstable();
            step.after.dedup();
            if let Some(unknown) = step.after.iter().find(|before| !keys.contains(*before)) {
                let unknown: String = unknown.chars().take(60).collect();
                let message =
                    format!("The step `{}` comes after `{unknown}`, and there is no such step.", step.key);
                return Err(refuse(FaultCode::Invalid, "steps", message));
            }
        }
        let before = self.ancestors()?;
        // What the steps are given becomes what their agents take: one text, for example, a list of one.
        let whole = self.clone();
        for step in &mut self.steps {
            let earlier = before.get(&step.key).cloned().unwrap_or_default();
            whole.check_step(step, &earlier, catalogue)?;
        }
        let bytes = serde_json::to_vec(&self).map_err(Error::internal)?.len();
        if bytes > BYTES {
            let message = "A workflow has at most 256 KiB with all its texts. Give long ones to its runs.";
            return Err(refuse(FaultCode::TooLong, "steps", message));
        }
        Ok(self)
    }

    fn check_variables(&mut self) -> Result<()> {
        if self.variables.len() > VARIABLES {
            let message = format!("A workflow has at most {VARIABLES} variables.");
            return Err(refuse(FaultCode::TooLong, "variables", message));
        }
        let mut names = BTreeSet::new();
        for variable in &mut self.variables {
            name("variables", &variable.name)?;
            if !names.insert(variable.name.clone()) {
                let message =
                    format!("Two variables are called `{}`. Give each its own name.", variable.name);
                return Err(refuse(FaultCode::Invalid, "variables", message));
            }
            if let Some(default) = variable.default.take() {
                variable.default = Some(variable.kind.take(default).ok_or_else(|| {
                    let message =
                        format!("The default of `{}` is not {}.", variable.name, variable.kind.name());
                    refuse(FaultCode::Invalid, "variables", message)
                })?);
            }
        }
        Ok(())
    }

    /// For each step, all that come before it; refuses steps that wait for each other.
    fn ancestors(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut before: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        loop {
            let ready = self.steps.iter().find(|step| {
                !before.contains_key(&step.key) && step.after.iter().all(|key| before.contains_key(key))
            });
            let Some(step) = ready else { break };
            let further = step.after.iter().filter_map(|key| before.get(key)).flatten();
            let all = step.after.iter().chain(further).cloned().collect();
            before.insert(step.key.clone(), all);
        }
        let stuck: Vec<String> = self
            .steps
            .iter()
            .filter(|step| !before.contains_key(&step.key))
            .map(|step| format!("`{}`", step.key))
            .collect();
        if stuck.is_empty() {
            return Ok(before);
        }
        let message = format!(
            "These steps wait for each other, or for such that do: {}. No step may come after itself.",
            stuck.join(", ")
        );
        Err(refuse(FaultCode::Invalid, "steps", message))
    }

    fn check_step(&self, step: &mut Step, before: &BTreeSet<String>, catalogue: Catalogue) -> Result<()> {
        let key = &step.key.clone();
        let within = |what: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            let message = format!("`{what}` of the step `{key}` is a number from {least} to {most}.");
            Err(refuse(FaultCode::OutOfRange, "steps", message))
        };
        within("retries", step.retries, 0, RETRIES)?;
        within("timeoutSeconds", step.timeout_seconds, 1, TIMEOUT)?;
        if let Some(ForEach { at_most, .. }) = step.each() {
            within("forEachAtMost", at_most.unwrap_or(ITEMS), 1, ITEMS)?;
            self.item_type(key, before, catalogue)?;
        }
        for source in step.sources() {
            self.type_of(key, source, before, catalogue)?;
        }
        match &mut step.work {
            Work::Agent { agent, inputs, .. } => self.check_inputs(key, *agent, inputs, before, catalogue),
            Work::Condition { of, test } => {
                let kind = self.type_of(key, of, before, catalogue)?;
                if test.suits(kind) {
                    return Ok(());
                }
                let message = format!(
                    "The condition `{key}` cannot be asked of `{of}`, which is {}. `atLeast` and `atMost` are for numbers and lists, `equals` for texts, `holds` for all.",
                    kind.name()
                );
                Err(refuse(FaultCode::Invalid, "steps", message))
            }
            Work::Approval { message } => {
                *message = crate::input::paragraph("steps", message.as_deref(), MESSAGE)?;
                Ok(())
            }
            Work::Delay { seconds } => within("delaySeconds", *seconds, 1, DELAY),
            Work::Webhook { inputs, .. } => {
                within("inputs", u32::try_from(inputs.len()).unwrap_or(u32::MAX), 0, INPUTS)?;
                for (given, binding) in inputs {
                    name("steps", given)?;
                    let Binding::Is(value) = binding else { continue };
                    if value.kind().take(value.clone()).is_none() {
                        let message = format!("`{given}` of the step `{key}` is too long.");
                        return Err(refuse(FaultCode::TooLong, "steps", message));
                    }
                }
                Ok(())
            }
        }
    }

    fn check_inputs(
        &self,
        key: &str,
        agent: AgentKind,
        inputs: &mut BTreeMap<String, Binding>,
        before: &BTreeSet<String>,
        catalogue: Catalogue,
    ) -> Result<()> {
        let Some(Signature { takes, .. }) = catalogue(agent) else {
            let message = format!("The step `{key}` names {}, which cannot be a step.", agent.as_str());
            return Err(refuse(FaultCode::Invalid, "steps", message));
        };
        for (given, binding) in &mut *inputs {
            let Some(parameter) = takes.iter().find(|parameter| parameter.name == given) else {
                let known: Vec<_> = takes.iter().map(|parameter| format!("`{}`", parameter.name)).collect();
                let given: String = given.chars().take(60).collect();
                let message = format!("The step `{key}` takes no `{given}`. It takes {}.", known.join(", "));
                return Err(refuse(FaultCode::Invalid, "steps", message));
            };
            let kind = parameter.kind;
            let fits = match binding {
                Binding::From(source) => self.type_of(key, source, before, catalogue)?.is_a(kind),
                Binding::Is(value) => match kind.take(value.clone()) {
                    Some(taken) => {
                        *value = taken;
                        true
                    }
                    None => false,
                },
            };
            if !fits {
                let from = match binding {
                    Binding::From(source) => format!("`{source}`"),
                    Binding::Is(_) => "what it is given".to_owned(),
                };
                let message = format!("`{given}` of the step `{key}` is {}, and {from} is not.", kind.name());
                return Err(refuse(FaultCode::Invalid, "steps", message));
            }
        }
        let absent = |parameter: &&Parameter| parameter.required && !inputs.contains_key(parameter.name);
        if let Some(parameter) = takes.iter().find(absent) {
            let message = format!("The step `{key}` needs `{}`, {}.", parameter.name, parameter.kind.name());
            return Err(refuse(FaultCode::Required, "steps", message));
        }
        Ok(())
    }

    /// The type of the item that a step is at.
    fn item_type(&self, key: &str, before: &BTreeSet<String>, catalogue: Catalogue) -> Result<Type> {
        let refuse = |message: String| Err(refuse(FaultCode::Invalid, "steps", message));
        let Some(each) = self.step(key).and_then(Step::each) else {
            let message = format!("The step `{key}` is at no item. Name a list as its `forEach`.");
            return refuse(message);
        };
        let list = &each.list;
        if list.is_of_item() {
            return refuse(format!(
                "`forEach` of the step `{key}` names a whole list, and `{list}` is none."
            ));
        }
        let kind = self.type_of(key, list, before, catalogue)?;
        kind.each().map_or_else(
            || {
                refuse(format!(
                    "`forEach` of the step `{key}` is a list of texts, of channels or of assets, and `{list}` is not: it is {}.",
                    kind.name()
                ))
            },
            Ok,
        )
    }

    /// The type of a source as a step sees it.
    fn type_of(
        &self,
        key: &str,
        source: &Source,
        before: &BTreeSet<String>,
        catalogue: Catalogue,
    ) -> Result<Type> {
        let refuse = |message: String| Err(refuse(FaultCode::Invalid, "steps", message));
        let no_list = || refuse(format!("`{source}` counts in what is no list of texts."));
        let variable = |option: &String| match self.variables.iter().find(|other| other.name == *option) {
            Some(variable) => Ok(variable.kind),
            None => refuse(format!(
                "The step `{key}` uses `{source}`, and the workflow has no such variable. Declare it in `variables`."
            )),
        };
        if source.is_of_item() && self.step(key).and_then(Step::each).is_none() {
            return refuse(format!(
                "The step `{key}` uses `{source}` and works for no list. Name one as its `forEach`."
            ));
        }
        match source {
            Source::Item => self.item_type(key, before, catalogue),
            Source::ItemNumber => Ok(Type::Number),
            Source::Brief => Ok(Type::Text),
            Source::BriefSentences => Ok(Type::Texts),
            Source::Period => Ok(Type::Period),
            Source::Language => Ok(Type::Language),
            Source::Option(option) => variable(option),
            Source::OptionItem(option) => variable(option)?
                .each()
                .map_or_else(|| refuse(format!("`{source}` is one item of what is no list.")), Ok),
            Source::Step { key: of, field, place } => {
                let Some(step) = self.step(of) else {
                    return refuse(format!("The step `{key}` uses `{source}`, and there is no such step."));
                };
                if !before.contains(of) {
                    return refuse(format!(
                        "The step `{key}` uses `{source}` and does not come after `{of}`. Add it to `after`."
                    ));
                }
                let gives = step.agent().and_then(catalogue).map_or(&[][..], |signature| signature.gives);
                let Some((_, kind)) = gives.iter().find(|(name, _)| name == field) else {
                    let known: Vec<_> = gives.iter().map(|(name, _)| format!("`{name}`")).collect();
                    let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                    return refuse(format!("The step `{of}` gives no `{field}`. It gives {known}."));
                };
                // What works for each item gives what it gives for one of them, or all of it together.
                let whole = if step.each().is_some() { kind.together() } else { Some(*kind) };
                match place {
                    None => whole.map_or_else(
                        || {
                            refuse(format!(
                                "`{of}` gives `{field}` for each item, which is {}, and that makes no list.",
                                kind.name()
                            ))
                        },
                        Ok,
                    ),
                    Some(Place::At(_)) => whole.and_then(Type::item).map_or_else(no_list, Ok),
                    Some(Place::Item) if step.each().is_some() => Ok(*kind),
                    Some(Place::Item) => kind
                        .each()
                        .map_or_else(|| refuse(format!("`{source}` is one item of what is no list.")), Ok),
                }
            }
        }
    }

    /// What a run is given for the variables: its own values, else the defaults.
    ///
    /// # Errors
    /// A fault at `options`.
    pub fn options(&self, mut given: BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>> {
        let mut options = BTreeMap::new();
        for Variable { name, kind, default } in &self.variables {
            let value = match given.remove(name) {
                Some(value) => kind.take(value).ok_or_else(|| {
                    let message = format!("`options.{name}` is {}.", kind.name());
                    refuse(FaultCode::Invalid, "options", message)
                })?,
                None => default.clone().ok_or_else(|| {
                    let message = format!("`options.{name}` is needed: {}.", kind.name());
                    refuse(FaultCode::Required, "options", message)
                })?,
            };
            options.insert(name.clone(), value);
        }
        let Some(unknown) = given.into_keys().next() else { return Ok(options) };
        let known: Vec<_> = self.variables.iter().map(|variable| format!("`{}`", variable.name)).collect();
        let known = if known.is_empty() { "no options".to_owned() } else { known.join(", ") };
        let unknown: String = unknown.chars().take(60).collect();
        let message = format!("This workflow has no option `{unknown}`. It has {known}.");
        Err(refuse(FaultCode::Invalid, "options", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::workflow::tests::{agent, catalogue, compose, each, from, of, step, write};

    fn fault(definition: Definition) -> Fault {
        match definition.check(catalogue).unwrap_err() {
            Error::Invalid(mut faults) => faults.remove(0),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_good_definition_is_taken_and_its_values_take_their_types() {
        let channels = Binding::Is(Value::Text("X".into()));
        let steps = vec![
            write("lines", &[]),
            step(
                "enough",
                &["lines"],
                Work::Condition { of: "steps.lines.texts".parse().unwrap(), test: Test::AtLeast(2) },
            ),
            step(
                "post",
                &["enough", "enough"],
                agent(
                    AgentKind::PostComposition,
                    &[
                        ("brief", from("steps.lines.texts.0")),
                        ("channels", channels),
                        ("hint", from("options.mood")),
                    ],
                ),
            ),
            step("gate", &["post"], Work::Approval { message: Some(" Look at it. ".into()) }),
            step("rest", &["gate"], Work::Delay { seconds: 60 }),
        ];
        let checked = of(steps).check(catalogue).unwrap();
        assert_eq!(checked.steps[2].after, ["enough"]);
        let Work::Agent { inputs, .. } = &checked.steps[2].work else { panic!() };
        assert_eq!(inputs["channels"], Binding::Is(Value::Texts(vec!["X".into()])));
        assert_eq!(checked.steps[3].work, Work::Approval { message: Some("Look at it.".into()) });
        assert_eq!(checked.descendants("enough"), BTreeSet::from(["post", "gate", "rest"]));
        assert_eq!(checked.steps[2].needs(catalogue), BTreeSet::from(["lines"]));
        let kept = serde_json::to_value(&checked).unwrap();
        assert_eq!(serde_json::from_value::<Definition>(kept).unwrap(), checked);
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_reason() {
        let condition = |source: &str, test| Work::Condition { of: source.parse().unwrap(), test };
        for (steps, code, said) in [
            (vec![], FaultCode::Required, "at least one"),
            ((0..=STEPS).map(|at| write(&format!("s{at}"), &[])).collect(), FaultCode::TooLong, "at most 30"),
            (vec![write("A", &[])], FaultCode::Invalid, "cannot be a name"),
            (vec![write(&"a".repeat(41), &[])], FaultCode::Invalid, "cannot be a name"),
            (vec![write("a", &[]), write("a", &[])], FaultCode::Invalid, "Two steps"),
            (vec![write("a", &["b"])], FaultCode::Invalid, "comes after `b`"),
            (vec![write("a", &["a"])], FaultCode::Invalid, "wait for each other"),
            (
                vec![write("a", &["c"]), write("b", &["a"]), write("c", &["b"]), write("d", &[])],
                FaultCode::Invalid,
                "`a`, `b`, `c`. No step",
            ),
            (vec![step("a", &[], agent(AgentKind::Qa, &[]))], FaultCode::Invalid, "cannot be a step"),
            (vec![step("a", &[], agent(AgentKind::Affirmations, &[]))], FaultCode::Required, "needs `goals`"),
            (
                vec![step("a", &[], agent(AgentKind::Affirmations, &[("goal", from("brief"))]))],
                FaultCode::Invalid,
                "takes no `goal`",
            ),
            (
                vec![step(
                    "a",
                    &[],
                    agent(
                        AgentKind::Affirmations,
                        &[("goals", from("brief")), ("count", Binding::Is(Value::Text("3".into())))],
                    ),
                )],
                FaultCode::Invalid,
                "`count` of the step `a` is a whole number",
            ),
            (vec![compose("a", &[], "options.nothing")], FaultCode::Invalid, "no such variable"),
            (
                vec![compose("a", &[], "options.count")],
                FaultCode::Invalid,
                "`brief` of the step `a` is a text",
            ),
            (vec![compose("a", &[], "steps.b.text")], FaultCode::Invalid, "there is no such step"),
            (
                vec![write("b", &[]), compose("a", &[], "steps.b.text")],
                FaultCode::Invalid,
                "does not come after `b`",
            ),
            (
                vec![write("b", &[]), compose("a", &["b"], "steps.b.song")],
                FaultCode::Invalid,
                "gives no `song`",
            ),
            (
                vec![write("b", &[]), compose("a", &["b"], "steps.b.texts")],
                FaultCode::Invalid,
                "`steps.b.texts` is not",
            ),
            (
                vec![write("b", &[]), compose("a", &["b"], "steps.b.text.0")],
                FaultCode::Invalid,
                "no list of texts",
            ),
            (
                vec![step("g", &[], Work::Approval { message: None }), compose("a", &["g"], "steps.g.text")],
                FaultCode::Invalid,
                "gives nothing",
            ),
            (
                vec![step("a", &[], condition("brief", Test::AtLeast(1)))],
                FaultCode::Invalid,
                "cannot be asked of `brief`",
            ),
            (
                vec![step("a", &[], condition("options.count", Test::Equals("3".into())))],
                FaultCode::Invalid,
                "cannot be asked",
            ),
            (vec![step("a", &[], Work::Delay { seconds: 0 })], FaultCode::OutOfRange, "delaySeconds"),
            (vec![step("a", &[], Work::Delay { seconds: DELAY + 1 })], FaultCode::OutOfRange, "delaySeconds"),
            (vec![Step { retries: 6, ..write("a", &[]) }], FaultCode::OutOfRange, "retries"),
            (vec![Step { timeout_seconds: 0, ..write("a", &[]) }], FaultCode::OutOfRange, "timeoutSeconds"),
            (
                vec![step("a", &[], Work::Approval { message: Some("x".repeat(501)) })],
                FaultCode::TooLong,
                "at most 500",
            ),
        ] {
            let fault = fault(of(steps));
            assert_eq!(fault.code, code, "{fault:?}");
            assert!(fault.message.contains(said), "{said:?} in {fault:?}");
        }
        let mut wrong = of(vec![write("a", &[])]);
        wrong.variables[0].default = Some(Value::Flag(true));
        assert!(fault(wrong).message.contains("The default of `count`"));
        let mut twice = of(vec![write("a", &[])]);
        twice.variables[1].name = "count".into();
        assert!(fault(twice).message.contains("Two variables"));
    }

    #[test]
    fn what_works_for_each_item_is_given_items_and_gives_lists() {
        let lines = write("lines", &[]);
        let posts = |source: &str| each(compose("posts", &["lines"], source), "steps.lines.texts", Some(3));
        let told = |source: &str, after: &str| compose("told", &[after], source);
        let good = of(vec![
            lines.clone(),
            posts("item"),
            // Of a step that works for each: a text of the list that its texts are, and what it gives for the item at the same place.
            told("steps.posts.text.0", "posts"),
            each(compose("again", &["posts"], "steps.posts.text.item"), "steps.posts.assets", None),
            each(compose("beside", &["posts"], "steps.lines.texts.item"), "brief.sentences", None),
            each(write("goals", &["posts"]), "steps.posts.text", Some(1)),
            step(
                "enough",
                &["goals"],
                Work::Condition { of: "steps.goals.count".parse().unwrap(), test: Test::AtLeast(2) },
            ),
        ]);
        let checked = good.check(catalogue).unwrap();
        assert_eq!(checked.steps[1].needs(catalogue), BTreeSet::from(["lines"]), "its list");
        assert_eq!(checked.steps[3].needs(catalogue), BTreeSet::from(["posts"]));
        let kept = serde_json::to_value(&checked).unwrap();
        assert_eq!(serde_json::from_value::<Definition>(kept).unwrap(), checked);
        // What works once is written down as it always was.
        assert!(!serde_json::to_string(&lines).unwrap().contains("each"));
    }

    #[test]
    fn what_cannot_be_worked_for_is_refused_with_its_reason() {
        let lines = write("lines", &[]);
        let posts = |source: &str| each(compose("posts", &["lines"], source), "steps.lines.texts", Some(3));
        let told = |source: &str, after: &str| compose("told", &[after], source);
        let number = |at_most| each(compose("posts", &["lines"], "item"), "steps.lines.texts", Some(at_most));
        for (second, third, code, said) in [
            (
                number(0),
                None,
                FaultCode::OutOfRange,
                "`forEachAtMost` of the step `posts` is a number from 1 to 10",
            ),
            (number(ITEMS + 1), None, FaultCode::OutOfRange, "`forEachAtMost`"),
            (posts("steps.lines.texts"), None, FaultCode::Invalid, "`brief` of the step `posts` is a text"),
            (posts("item.number"), None, FaultCode::Invalid, "`brief` of the step `posts` is a text"),
            (posts("options.mood.item"), None, FaultCode::Invalid, "one item of what is no list"),
            (posts("steps.lines.count.item"), None, FaultCode::Invalid, "one item of what is no list"),
            (
                compose("posts", &["lines"], "item"),
                None,
                FaultCode::Invalid,
                "works for no list. Name one as its",
            ),
            (
                compose("posts", &["lines"], "steps.lines.texts.item"),
                None,
                FaultCode::Invalid,
                "works for no list",
            ),
            (
                each(compose("posts", &["lines"], "item"), "steps.lines.text", None),
                None,
                FaultCode::Invalid,
                "`steps.lines.text` is not: it is a text",
            ),
            (
                each(compose("posts", &["lines"], "item"), "options.count", None),
                None,
                FaultCode::Invalid,
                "it is a whole number",
            ),
            (
                each(compose("posts", &["lines"], "item"), "steps.lines.texts.item", None),
                None,
                FaultCode::Invalid,
                "names a whole list",
            ),
            (
                each(compose("posts", &["lines"], "item"), "item", None),
                None,
                FaultCode::Invalid,
                "names a whole list",
            ),
            (
                each(compose("posts", &[], "item"), "steps.lines.texts", None),
                None,
                FaultCode::Invalid,
                "does not come after `lines`",
            ),
            // What it gives is a list of what it gives for each.
            (
                posts("item"),
                Some(told("steps.posts.text", "posts")),
                FaultCode::Invalid,
                "`steps.posts.text` is not",
            ),
            (
                posts("item"),
                Some(told("steps.posts.assets.0", "posts")),
                FaultCode::Invalid,
                "no list of texts",
            ),
            (posts("item"), Some(told("steps.posts.final", "posts")), FaultCode::Invalid, "makes no list"),
            (
                posts("item"),
                Some(step(
                    "told",
                    &["posts"],
                    Work::Condition { of: "item".parse().unwrap(), test: Test::Holds(true) },
                )),
                FaultCode::Invalid,
                "works for no list",
            ),
        ] {
            let steps = [Some(lines.clone()), Some(second), third].into_iter().flatten().collect();
            let fault = fault(of(steps));
            assert_eq!(fault.code, code, "{fault:?}");
            assert!(fault.message.contains(said), "{said:?} in {fault:?}");
        }
    }

    #[test]
    fn options_have_defaults_and_types() {
        let definition = of(vec![write("a", &[])]);
        let given = |list: &[(&str, Value)]| {
            definition.options(list.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
        };
        let mood = ("mood", Value::Text("calm".into()));
        let options = given(std::slice::from_ref(&mood)).unwrap();
        assert_eq!((&options["count"], &options["mood"]), (&Value::Number(3), &mood.1));
        assert_eq!(given(&[mood.clone(), ("count", Value::Number(9))]).unwrap()["count"], Value::Number(9));
        for (list, said) in [
            (vec![], "`options.mood` is needed"),
            (vec![mood.clone(), ("count", Value::Flag(true))], "`options.count` is a whole number"),
            (vec![mood, ("other", Value::Flag(true))], "no option `other`"),
        ] {
            assert!(given(&list).unwrap_err().to_string().contains(said), "{said}");
        }
    }

    #[test]
    fn a_condition_holds_or_not() {
        let texts = Value::Texts(vec!["a".into(), "b".into()]);
        for (test, value, holds) in [
            (Test::AtLeast(2), Some(&texts), true),
            (Test::AtLeast(3), Some(&texts), false),
            (Test::AtLeast(1), None, false),
            (Test::AtMost(0), None, true),
            (Test::AtMost(4), Some(&Value::Number(5)), false),
            (Test::Equals("a".into()), Some(&Value::Text("a".into())), true),
            (Test::Equals("a".into()), None, false),
            (Test::Holds(true), Some(&Value::Flag(false)), false),
            (Test::Holds(false), Some(&Value::Flag(false)), true),
            (Test::Holds(true), Some(&texts), true),
            (Test::Holds(false), None, true),
        ] {
            assert_eq!(test.holds(value), holds, "{test:?} {value:?}");
        }
    }
}
