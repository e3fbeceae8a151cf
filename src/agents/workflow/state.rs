//! Where the steps of a run stand, and what follows from it: pure, so that whoever looks comes to the same.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::definition::{Catalogue, Definition, Step, StepKind, Work};
use crate::error::Fault;
use crate::id::UserId;
use crate::jobs::{AgentKind, Engine, Status};
use crate::providers::BUILTIN;

/// Where a step stands. An agent's step is written down when it has ended: that it runs is among the job's events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepState {
    /// The step.
    pub key: String,
    /// Of which kind it is.
    pub kind: StepKind,
    /// The agent that works, when one does.
    pub agent: Option<AgentKind>,
    /// What an approver is told, or why nothing was published.
    pub message: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// How often it was begun; all its items together.
    pub attempts: i32,
    /// When it was first begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When a delay ends.
    pub until: Option<DateTime<Utc>>,
    /// Who has approved or refused: the person, or the one whose key it was.
    pub approved_by: Option<UserId>,
    /// What they said.
    pub comment: Option<String>,
    /// What it left behind; of a step that works for each item of a list, what it has ordered for the one that it is at.
    pub output: Option<Uuid>,
    /// How far it is in the list that it works for; none when it works once.
    #[serde(default)]
    pub items: Option<Items>,
    /// Why it failed.
    pub error: Option<Fault>,
    /// Whether a condition holds.
    pub holds: Option<bool>,
    /// Why it did not run.
    pub skipped: Option<Skipped>,
    /// Which engine did it.
    pub engine: Option<Engine>,
}

/// How far a step is in the list that it works for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// How many items there are; none until it has begun.
    pub count: Option<usize>,
    /// What has come of those that are done, in their order.
    pub done: Vec<Item>,
}

/// What has come of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it left behind.
    pub output: Uuid,
    /// How often it was begun.
    pub attempts: i32,
    /// Which engine did it.
    pub engine: Option<Engine>,
}

/// Why a step did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Skipped {
    /// A step before it failed.
    Failed(String),
    /// An approval was refused.
    Refused(String),
    /// A condition does not hold.
    Unmet(String),
}

impl Skipped {
    /// The same as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Failed(key) => format!("It did not run because the step `{key}` failed."),
            Self::Refused(key) => format!("It did not run because the approval `{key}` was refused."),
            Self::Unmet(key) => format!("It did not run because the condition `{key}` does not hold."),
        }
    }
}

impl StepState {
    /// The state of a step that waits for its turn.
    pub fn new(step: &Step) -> Self {
        Self {
            key: step.key.clone(),
            kind: step.kind(),
            agent: step.agent(),
            message: match &step.work {
                Work::Approval { message } => message.clone(),
                _ => None,
            },
            status: Status::Queued,
            attempts: 0,
            started_at: None,
            finished_at: None,
            until: None,
            approved_by: None,
            comment: None,
            output: None,
            items: step.each().map(|_| Items::default()),
            error: None,
            holds: None,
            skipped: None,
            engine: None,
        }
    }

    /// What it left behind: one output, or one for each item that is done, in their order.
    pub fn outputs(&self) -> Vec<Uuid> {
        let items = self.items.iter().flat_map(|items| &items.done).map(|item| item.output);
        items.chain(self.output).collect()
    }

    /// At which item of its list it is, from 0; none when it works once.
    pub fn item(&self) -> Option<usize> {
        self.items.as_ref().map(|items| items.done.len())
    }

    /// How often its items that are done were begun.
    pub fn attempts_done(&self) -> i32 {
        let items = self.items.iter().flat_map(|items| &items.done);
        items.map(|item| item.attempts).fold(0, i32::saturating_add)
    }

    /// Takes what it has left behind after so many attempts: it has succeeded, or works for the next of so many items.
    pub fn leave(&mut self, output: Uuid, of: Option<usize>, attempts: i32, engine: Option<Engine>) {
        let Some(count) = of else {
            self.status = Status::Succeeded;
            self.output = Some(output);
            self.engine = engine;
            return;
        };
        let items = self.items.get_or_insert_default();
        items.count = Some(count);
        items.done.push(Item { output, attempts, engine });
        self.output = None;
        self.engine = together(items.done.iter().filter_map(|item| item.engine.as_ref()));
        if items.done.len() >= count {
            self.status = Status::Succeeded;
        }
    }

    /// How much of it is done, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a step works for ten items at the most")]
    fn progress(&self) -> f32 {
        match &self.items {
            _ if self.status.is_final() => 1.0,
            Some(Items { count: Some(count), done }) => done.len() as f32 / (*count).max(1) as f32,
            _ => 0.0,
        }
    }

    /// Whether it has ordered something that has a job of its own, and waits for it.
    pub const fn has_ordered(&self) -> bool {
        self.output.is_some() && !self.status.is_final()
    }

    fn skip(&mut self, why: Skipped, at: DateTime<Utc>) {
        self.status = Status::Cancelled;
        self.finished_at = Some(at);
        self.skipped = Some(why);
    }
}

/// The engine of several pieces of work: the one that is not built in, with what they needed together.
pub fn together<'a>(mut engines: impl Iterator<Item = &'a Engine> + Clone) -> Option<Engine> {
    let mut others = engines.clone().filter(|engine| engine.provider != BUILTIN).cloned();
    let Some(first) = others.next() else { return engines.next().cloned() };
    Some(others.fold(first, |all, next| {
        let same = all.provider == next.provider;
        let model = all.model.clone().filter(|model| same && next.model.as_ref() == Some(model));
        let provider = if same { all.provider.clone() } else { "several".to_owned() };
        Engine { provider, model, ..all.and(&next) }
    }))
}

/// The states of all steps, in the definition's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct States {
    /// When the run began.
    pub began: DateTime<Utc>,
    /// The steps.
    pub steps: Vec<StepState>,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This step, by its place.
    Step(usize),
    /// Nothing before what steps have ordered has ended, or before this time.
    Ordered(Option<DateTime<Utc>>),
    /// Nothing before this time.
    Time(DateTime<Utc>),
    /// Nothing until somebody approves.
    Approval,
    /// Nothing at all.
    Over,
}

/// What becomes of a step whose turn it may be.
enum Turn {
    Waits,
    Ready(DateTime<Utc>),
    Skipped(Skipped, DateTime<Utc>),
}

impl States {
    /// The states of a run that begins.
    pub fn new(definition: &Definition, began: DateTime<Utc>) -> Self {
        Self { began, steps: definition.steps.iter().map(StepState::new).collect() }
    }

    /// One step's state, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut StepState> {
        self.steps.iter_mut().find(|state| state.key == key)
    }

    /// One step's state.
    pub fn get(&self, key: &str) -> Option<&StepState> {
        self.steps.iter().find(|state| state.key == key)
    }

    /// The step that failed first.
    pub fn failed(&self) -> Option<&StepState> {
        let failed = self.steps.iter().filter(|state| state.status == Status::Failed);
        failed.min_by_key(|state| state.finished_at)
    }

    /// The share of steps that have ended, with the items that are done of those that have not.
    #[expect(clippy::cast_precision_loss, reason = "there are at most 30 steps")]
    pub fn progress(&self) -> f32 {
        let done: f32 = self.steps.iter().map(StepState::progress).sum();
        done / self.steps.len().max(1) as f32
    }

    /// Moves on what moves by itself: approvals begin to wait, delays end, what cannot run any more is skipped. Gives what
    /// is to be done next.
    pub fn settle(&mut self, definition: &Definition, catalogue: Catalogue, now: DateTime<Utc>) -> Next {
        loop {
            let before = self.clone();
            self.stop_after_refusal();
            for (at, step) in definition.steps.iter().enumerate() {
                let turn = self.turn(step, catalogue);
                let Some(state) = self.steps.get_mut(at) else { continue };
                if !state.status.is_final() && state.until.is_some_and(|until| until <= now) {
                    state.status = Status::Succeeded;
                    state.finished_at = state.until;
                }
                if state.status != Status::Queued {
                    continue;
                }
                match (turn, &step.work) {
                    (Turn::Waits, _)
                    | (Turn::Ready(_), Work::Agent { .. } | Work::Condition { .. } | Work::Webhook { .. }) => {
                    }
                    (Turn::Skipped(why, at), _) => state.skip(why, at),
                    (Turn::Ready(since), Work::Approval { .. }) => {
                        state.status = Status::AwaitingApproval;
                        state.started_at = Some(since);
                        state.attempts = 1;
                    }
                    (Turn::Ready(since), Work::Delay { seconds }) => {
                        state.status = Status::Running;
                        state.started_at = Some(since);
                        state.attempts = 1;
                        state.until = Some(since + TimeDelta::seconds(i64::from(*seconds)));
                    }
                }
            }
            if *self == before {
                return self.next(definition, catalogue);
            }
        }
    }

    /// An approval that is refused ends the run: nothing that has not begun runs any more.
    fn stop_after_refusal(&mut self) {
        let refused = self
            .steps
            .iter()
            .find(|state| state.status == Status::Failed && state.kind == StepKind::Approval);
        let Some((key, at)) = refused.map(|state| (state.key.clone(), state.finished_at)) else { return };
        let at = at.unwrap_or(self.began);
        for state in self.steps.iter_mut().filter(|state| !state.status.is_final()) {
            state.skip(Skipped::Refused(key.clone()), at);
        }
    }

    /// Whose turn comes when all before it have ended. Of several that it comes after one is enough, when the others were
    /// left out by a condition and it can do without them.
    fn turn(&self, step: &Step, catalogue: Catalogue) -> Turn {
        let before: Vec<&StepState> = step.after.iter().filter_map(|key| self.get(key)).collect();
        if before.iter().any(|state| !state.status.is_final()) {
            return Turn::Waits;
        }
        let since = before.iter().filter_map(|state| state.finished_at).max().unwrap_or(self.began);
        let needs = step.needs(catalogue);
        let mut unmet = None;
        let mut done = before.is_empty();
        for state in before {
            match (&state.skipped, state.status) {
                (_, Status::Failed) => return Turn::Skipped(Skipped::Failed(state.key.clone()), since),
                (Some(why @ (Skipped::Failed(_) | Skipped::Refused(_))), _) => {
                    return Turn::Skipped(why.clone(), since);
                }
                (Some(why), _) if needs.contains(state.key.as_str()) => {
                    return Turn::Skipped(why.clone(), since);
                }
                (Some(why), _) => unmet = Some(why.clone()),
                (None, _) if state.holds == Some(false) => {
                    return Turn::Skipped(Skipped::Unmet(state.key.clone()), since);
                }
                (None, _) => done = true,
            }
        }
        // What it needs may also have been left out further back.
        let lacking =
            needs.into_iter().filter_map(|key| self.get(key)).find_map(|state| state.skipped.clone());
        match (lacking, unmet, done) {
            (Some(why), ..) | (None, Some(why), false) => Turn::Skipped(why, since),
            _ => Turn::Ready(since),
        }
    }

    fn next(&self, definition: &Definition, catalogue: Catalogue) -> Next {
        let ready = |(at, step): (usize, &Step)| {
            let begins = self
                .steps
                .get(at)
                .is_some_and(|state| state.status == Status::Queued && !state.has_ordered());
            (begins && matches!(self.turn(step, catalogue), Turn::Ready(_))).then_some(at)
        };
        if let Some(at) = definition.steps.iter().enumerate().find_map(ready) {
            return Next::Step(at);
        }
        let open = self.steps.iter().filter(|state| !state.status.is_final());
        let until = open.filter_map(|state| state.until).min();
        if self.steps.iter().any(StepState::has_ordered) {
            return Next::Ordered(until);
        }
        if let Some(until) = until {
            return Next::Time(until);
        }
        if self.steps.iter().all(|state| state.status.is_final()) { Next::Over } else { Next::Approval }
    }

    /// The states of a run that takes these up from a step on: what comes before it and succeeded is kept.
    #[must_use]
    pub fn from_step(&self, definition: &Definition, key: &str, began: DateTime<Utc>) -> Self {
        let again = definition.descendants(key);
        let state = |step: &Step| {
            let earlier = self.get(&step.key).filter(|state| {
                state.status == Status::Succeeded && step.key != key && !again.contains(step.key.as_str())
            });
            earlier.cloned().unwrap_or_else(|| StepState::new(step))
        };
        Self { began, steps: definition.steps.iter().map(state).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::workflow::definition::Test;
    use crate::agents::workflow::tests::{catalogue, compose, each, of, step, write};
    use crate::error::FaultCode;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn end(states: &mut States, key: &str, status: Status, second: i64) {
        let state = states.steps.iter_mut().find(|state| state.key == key).unwrap();
        state.status = status;
        state.finished_at = Some(at(second));
    }

    fn condition(key: &str, after: &[&str]) -> Step {
        step(key, after, Work::Condition { of: "options.count".parse().unwrap(), test: Test::AtLeast(1) })
    }

    fn approval(key: &str, after: &[&str]) -> Step {
        step(key, after, Work::Approval { message: None })
    }

    fn delay(key: &str, after: &[&str], seconds: u32) -> Step {
        step(key, after, Work::Delay { seconds })
    }

    fn statuses(states: &States) -> Vec<Status> {
        states.steps.iter().map(|state| state.status).collect()
    }

    #[test]
    fn what_is_ordered_holds_up_only_what_comes_after_it() {
        let definition = of(vec![
            write("posted", &[]),
            write("other", &[]),
            compose("later", &["posted"], "brief"),
            delay("rest", &["other"], 60),
        ]);
        let mut states = States::new(&definition, at(0));
        assert_eq!(states.settle(&definition, catalogue, at(0)), Next::Step(0));
        states.get_mut("posted").unwrap().output = Some(Uuid::now_v7());
        assert_eq!(states.settle(&definition, catalogue, at(1)), Next::Step(1));
        end(&mut states, "other", Status::Succeeded, 5);
        assert_eq!(states.settle(&definition, catalogue, at(5)), Next::Ordered(Some(at(65))));
        assert_eq!(states.settle(&definition, catalogue, at(65)), Next::Ordered(None));
        end(&mut states, "posted", Status::Succeeded, 70);
        assert_eq!(states.settle(&definition, catalogue, at(70)), Next::Step(2));
        end(&mut states, "later", Status::Succeeded, 71);
        assert_eq!(states.settle(&definition, catalogue, at(71)), Next::Over);
    }

    #[test]
    fn steps_run_in_their_order_wait_for_approval_and_for_time() {
        let definition = of(vec![
            compose("b", &["a"], "steps.a.text"),
            write("a", &[]),
            approval("gate", &["b"]),
            delay("rest", &["gate"], 60),
            write("last", &["rest"]),
        ]);
        let mut states = States::new(&definition, at(0));
        assert_eq!(states.settle(&definition, catalogue, at(0)), Next::Step(1));
        end(&mut states, "a", Status::Succeeded, 5);
        assert_eq!(states.settle(&definition, catalogue, at(5)), Next::Step(0));
        end(&mut states, "b", Status::Succeeded, 9);
        assert_eq!(states.settle(&definition, catalogue, at(9)), Next::Approval);
        assert_eq!(
            (states.steps[2].status, states.steps[2].started_at),
            (Status::AwaitingApproval, Some(at(9)))
        );
        end(&mut states, "gate", Status::Succeeded, 100);
        // However late somebody looks, the delay began when the approval came.
        assert_eq!(states.settle(&definition, catalogue, at(130)), Next::Time(at(160)));
        assert_eq!(states.settle(&definition, catalogue, at(131)), Next::Time(at(160)));
        assert_eq!(states.settle(&definition, catalogue, at(160)), Next::Step(4));
        assert_eq!(states.steps[3].finished_at, Some(at(160)));
        end(&mut states, "last", Status::Succeeded, 170);
        assert_eq!(states.settle(&definition, catalogue, at(170)), Next::Over);
        assert!((states.progress() - 1.0).abs() < f32::EPSILON && states.failed().is_none());
    }

    #[test]
    fn what_comes_after_a_failed_step_does_not_run_and_the_rest_does() {
        let definition = of(vec![
            write("a", &[]),
            write("b", &["a"]),
            write("c", &["b"]),
            write("d", &[]),
            write("e", &["c", "d"]),
        ]);
        let mut states = States::new(&definition, at(0));
        end(&mut states, "a", Status::Failed, 1);
        states.steps[0].error = Some(Fault::new(FaultCode::InsufficientInput, "no"));
        assert_eq!(states.settle(&definition, catalogue, at(1)), Next::Step(3));
        end(&mut states, "d", Status::Succeeded, 2);
        assert_eq!(states.settle(&definition, catalogue, at(2)), Next::Over);
        for place in [1, 2, 4] {
            assert_eq!(states.steps[place].skipped, Some(Skipped::Failed("a".into())));
            assert_eq!(states.steps[place].status, Status::Cancelled);
        }
        assert_eq!(states.failed().unwrap().key, "a");
    }

    #[test]
    fn a_condition_that_does_not_hold_leaves_out_what_needs_it() {
        let definition = of(vec![
            write("a", &[]),
            condition("wanted", &[]),
            compose("b", &["a", "wanted"], "brief"),
            // Does without `b`.
            write("c", &["a", "b"]),
            // Does not.
            compose("d", &["a", "b"], "steps.b.text"),
            write("e", &["b"]),
            // Comes after `b` from afar and needs it.
            compose("f", &["c"], "steps.b.text"),
        ]);
        let mut states = States::new(&definition, at(0));
        end(&mut states, "a", Status::Succeeded, 1);
        end(&mut states, "wanted", Status::Succeeded, 2);
        states.steps[1].holds = Some(false);
        assert_eq!(states.settle(&definition, catalogue, at(2)), Next::Step(3));
        end(&mut states, "c", Status::Succeeded, 3);
        assert_eq!(states.settle(&definition, catalogue, at(3)), Next::Over);
        let skipped: Vec<bool> = states.steps.iter().map(|state| state.skipped.is_some()).collect();
        assert_eq!(skipped, [false, false, true, false, true, true, true]);
        assert!(states.failed().is_none(), "what is left out is no failure");
        assert!(states.steps[4].skipped.as_ref().unwrap().sentence().contains("`wanted` does not hold"));
        // The control: when it holds, everything runs.
        let mut states = States::new(&definition, at(0));
        end(&mut states, "a", Status::Succeeded, 1);
        end(&mut states, "wanted", Status::Succeeded, 2);
        states.steps[1].holds = Some(true);
        assert_eq!(states.settle(&definition, catalogue, at(2)), Next::Step(2));
    }

    #[test]
    fn a_refused_approval_ends_the_run() {
        let definition = of(vec![
            approval("gate", &[]),
            write("a", &["gate"]),
            delay("rest", &[], 1000),
            approval("other", &[]),
        ]);
        let mut states = States::new(&definition, at(0));
        assert_eq!(states.settle(&definition, catalogue, at(0)), Next::Time(at(1000)));
        assert_eq!(statuses(&states)[0], Status::AwaitingApproval);
        end(&mut states, "gate", Status::Failed, 7);
        states.steps[0].approved_by = Some(UserId::generate());
        assert_eq!(states.settle(&definition, catalogue, at(7)), Next::Over);
        assert_eq!(
            statuses(&states),
            [Status::Failed, Status::Cancelled, Status::Cancelled, Status::Cancelled]
        );
        assert_eq!(states.steps[2].skipped, Some(Skipped::Refused("gate".into())));
    }

    #[test]
    fn a_rerun_keeps_what_succeeded_before_its_step() {
        let definition =
            of(vec![write("a", &[]), write("b", &["a"]), write("c", &["b"]), write("d", &["a"])]);
        let mut states = States::new(&definition, at(0));
        for key in ["a", "b", "c"] {
            end(&mut states, key, Status::Succeeded, 1);
        }
        end(&mut states, "d", Status::Failed, 2);
        let again = states.from_step(&definition, "b", at(50));
        assert_eq!(statuses(&again), [Status::Succeeded, Status::Queued, Status::Queued, Status::Queued]);
        assert_eq!(again.steps[0], states.steps[0]);
        assert_eq!(again.steps[3].finished_at, None);
    }

    #[test]
    fn a_step_goes_on_until_all_items_of_its_list_are_done() {
        let definition = of(vec![
            each(write("a", &[]), "brief.sentences", None),
            compose("b", &["a"], "steps.a.texts.0"),
            write("c", &[]),
        ]);
        let mut states = States::new(&definition, at(0));
        let engine = |provider: &str| Engine { provider: provider.to_owned(), ..Engine::builtin() };
        let made = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
        for (place, output) in made.into_iter().enumerate() {
            assert_eq!(
                states.settle(&definition, catalogue, at(0)),
                Next::Step(0),
                "before what comes later"
            );
            let state = states.get_mut("a").unwrap();
            assert_eq!((state.item(), state.status), (Some(place), Status::Queued));
            assert_eq!(state.outputs(), made[..place]);
            let used = if place == 1 { "openai" } else { BUILTIN };
            state.leave(output, Some(3), 2, Some(engine(used)));
        }
        let state = states.get("a").unwrap();
        assert_eq!((state.status, state.outputs(), state.output), (Status::Succeeded, made.to_vec(), None));
        assert_eq!((state.attempts_done(), state.engine.clone()), (6, Some(engine("openai"))));
        assert_eq!(states.settle(&definition, catalogue, at(1)), Next::Step(1));
        // Taken up from itself it begins with nothing, and from what comes after it all is kept.
        let again = states.from_step(&definition, "a", at(50));
        assert_eq!((again.steps[0].outputs(), again.steps[0].item()), (Vec::new(), Some(0)));
        assert_eq!(states.from_step(&definition, "b", at(50)).steps[0], states.steps[0]);
        // What was kept before there were lists is read as it was.
        let mut kept = serde_json::to_value(&states.steps[2]).unwrap();
        kept.as_object_mut().unwrap().remove("items");
        assert_eq!(serde_json::from_value::<StepState>(kept).unwrap(), states.steps[2]);
    }

    #[test]
    fn progress_counts_items() {
        let definition = of(vec![each(write("a", &[]), "brief.sentences", None), write("b", &[])]);
        let mut states = States::new(&definition, at(0));
        let mut seen = vec![states.progress()];
        for _ in 0..4 {
            states.get_mut("a").unwrap().leave(Uuid::now_v7(), Some(4), 1, None);
            seen.push(states.progress());
        }
        assert_eq!(seen, [0.0, 0.125, 0.25, 0.375, 0.5]);
        states.get_mut("b").unwrap().leave(Uuid::now_v7(), None, 1, None);
        assert!((states.progress() - 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn an_item_that_is_ordered_is_waited_for() {
        let definition = of(vec![each(write("a", &[]), "brief.sentences", None)]);
        let mut states = States::new(&definition, at(0));
        let state = states.get_mut("a").unwrap();
        state.leave(Uuid::now_v7(), Some(2), 1, None);
        let ordered = Uuid::now_v7();
        state.output = Some(ordered);
        assert!(state.has_ordered());
        assert_eq!(state.outputs()[1..], [ordered]);
        assert_eq!(states.settle(&definition, catalogue, at(1)), Next::Ordered(None));
        let state = states.get_mut("a").unwrap();
        let output = state.output.take().unwrap();
        state.leave(output, Some(2), 1, None);
        assert!(!state.has_ordered() && state.outputs().len() == 2);
    }

    #[test]
    fn settling_twice_changes_nothing() {
        let definition = of(vec![
            write("a", &[]),
            approval("gate", &["a"]),
            delay("rest", &["a"], 10),
            condition("wanted", &["a"]),
        ]);
        let mut states = States::new(&definition, at(0));
        end(&mut states, "a", Status::Succeeded, 1);
        let next = states.settle(&definition, catalogue, at(3));
        let once = states.clone();
        assert_eq!(states.settle(&definition, catalogue, at(3)), next);
        assert_eq!(states, once);
        assert_eq!(next, Next::Step(3));
    }
}
