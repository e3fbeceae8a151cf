//! What steps are given and give: values, their types, and where a value comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::accounts::channel::Channel;
use crate::id::{AssetId, PeriodId};
use crate::retrieval::Language;

/// Characters of a text at the most.
pub const CHARACTERS: usize = 20_000;
/// Items of a list at the most.
pub const ITEMS: usize = 100;

/// A value. Ids, languages and channels are texts that their [`Type`] takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Value {
    /// A text; an empty one is as good as none.
    Text(String),
    /// Texts, in an order; an empty list is as good as none.
    Texts(Vec<String>),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl Value {
    /// Whether there is something in it.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Texts(texts) => !texts.is_empty(),
            Self::Number(_) | Self::Flag(_) => true,
        }
    }

    /// The type that it has by itself.
    pub const fn kind(&self) -> Type {
        match self {
            Self::Text(_) => Type::Text,
            Self::Texts(_) => Type::Texts,
            Self::Number(_) => Type::Number,
            Self::Flag(_) => Type::Flag,
        }
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Texts(texts) => texts.clone().into(),
            Self::Number(number) => (*number).into(),
            Self::Flag(flag) => (*flag).into(),
        }
    }

    /// What a caller's JSON says; none for what no value is written as.
    pub fn of_json(json: &serde_json::Value) -> Option<Self> {
        match json {
            serde_json::Value::String(text) => Some(Self::Text(text.clone())),
            serde_json::Value::Bool(flag) => Some(Self::Flag(*flag)),
            serde_json::Value::Number(number) => number.as_i64().map(Self::Number),
            serde_json::Value::Array(items) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map(Self::Texts)
            }
            _ => None,
        }
    }
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, async_graphql::Enum)]
#[graphql(name = "WorkflowValueType")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Type {
    /// A text.
    Text,
    /// Texts.
    Texts,
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
    /// A language, by its code.
    Language,
    /// Channels, by their names on the wire.
    Channels,
    /// A period, by its id.
    Period,
    /// Files, by their ids.
    Assets,
}

impl Type {
    /// What it is called in a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Texts => "a list of texts",
            Self::Number => "a whole number",
            Self::Flag => "true or false",
            Self::Language => "a language",
            Self::Channels => "a list of channels",
            Self::Period => "a period's id",
            Self::Assets => "a list of assets' ids",
        }
    }

    /// The value as this type, within its bounds; none when it is of another one. One text is a list of one.
    pub fn take(self, value: Value) -> Option<Value> {
        let fits = |text: &String| text.chars().count() <= CHARACTERS;
        match (self, value) {
            (Self::Text, Value::Text(text)) => fits(&text).then_some(Value::Text(text)),
            (Self::Texts | Self::Channels | Self::Assets, Value::Text(text)) => {
                self.take(Value::Texts(vec![text]))
            }
            (Self::Texts, Value::Texts(texts)) => {
                (texts.len() <= ITEMS && texts.iter().all(fits)).then_some(Value::Texts(texts))
            }
            (Self::Number, Value::Number(number)) => Some(Value::Number(number)),
            (Self::Flag, Value::Flag(flag)) => Some(Value::Flag(flag)),
            (Self::Language, Value::Text(text)) => language(&text).map(|_| Value::Text(text)),
            (Self::Channels, Value::Texts(texts)) => {
                texts.iter().all(|text| channel(text).is_some()).then_some(Value::Texts(texts))
            }
            (Self::Period, Value::Text(text)) => {
                (text.is_empty() || text.parse::<PeriodId>().is_ok()).then_some(Value::Text(text))
            }
            (Self::Assets, Value::Texts(texts)) => {
                let all = texts.len() <= ITEMS && texts.iter().all(|text| text.parse::<AssetId>().is_ok());
                all.then_some(Value::Texts(texts))
            }
            _ => None,
        }
    }

    /// Whether everything of this type is of the other one as well.
    pub fn is_a(self, other: Self) -> bool {
        self == other || matches!((self, other), (Self::Text, Self::Texts))
    }

    /// The type of one of its items, when it is a list of texts.
    pub const fn item(self) -> Option<Self> {
        match self {
            Self::Texts => Some(Self::Text),
            _ => None,
        }
    }

    /// The type of what a step has at hand that works for each item of such a list: of files and channels a list of one. None
    /// for what is no list.
    pub const fn each(self) -> Option<Self> {
        match self {
            Self::Texts => Some(Self::Text),
            Self::Channels | Self::Assets => Some(self),
            _ => None,
        }
    }

    /// The type of what is given for each of several items, taken together: texts and lists are one list, numbers their sum.
    pub const fn together(self) -> Option<Self> {
        match self {
            Self::Text | Self::Texts => Some(Self::Texts),
            Self::Channels | Self::Assets | Self::Number => Some(self),
            Self::Flag | Self::Language | Self::Period => None,
        }
    }
}

fn language(text: &str) -> Option<Language> {
    serde_json::from_value(text.into()).ok()
}

fn channel(text: &str) -> Option<Channel> {
    Channel::ALL.into_iter().find(|channel| channel.key() == text)
}

/// Where in a list a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// There, from 0.
    At(usize),
    /// Where the item stands that a step is at, in the list that it works for; in a shorter list, going round.
    Item,
}

/// Where a value comes from, as callers write it: `brief`, `brief.sentences`, `period`, `language`, `options.NAME`,
/// `steps.KEY.FIELD`, or `steps.KEY.FIELD.NUMBER` for one text of a list, counted from 0. A step that works for each item of a
/// list may also use `item`, `item.number` (from 1), and `options.NAME.item` and `steps.KEY.FIELD.item` for what stands at the
/// same place there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// What the run is about.
    Brief,
    /// The brief's sentences and lines.
    BriefSentences,
    /// The period that the run is for; none when it is for none.
    Period,
    /// The language of the run.
    Language,
    /// One of the definition's variables.
    Option(String),
    /// One item of the list that one of them is: that at the place of the item that the step is at.
    OptionItem(String),
    /// What an earlier step gives.
    Step {
        /// The step.
        key: String,
        /// What of it.
        field: String,
        /// Which of a list; none: all of it.
        place: Option<Place>,
    },
    /// The item that the step is at.
    Item,
    /// Its number, from 1.
    ItemNumber,
}

impl Source {
    /// The step that it speaks of.
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::Step { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Whether it is there only for a step that works for each item of a list.
    pub const fn is_of_item(&self) -> bool {
        matches!(
            self,
            Self::Item | Self::ItemNumber | Self::OptionItem(_) | Self::Step { place: Some(Place::Item), .. }
        )
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brief => f.write_str("brief"),
            Self::BriefSentences => f.write_str("brief.sentences"),
            Self::Period => f.write_str("period"),
            Self::Language => f.write_str("language"),
            Self::Option(name) => write!(f, "options.{name}"),
            Self::OptionItem(name) => write!(f, "options.{name}.item"),
            Self::Step { key, field, place: None } => write!(f, "steps.{key}.{field}"),
            Self::Step { key, field, place: Some(Place::At(index)) } => {
                write!(f, "steps.{key}.{field}.{index}")
            }
            Self::Step { key, field, place: Some(Place::Item) } => write!(f, "steps.{key}.{field}.item"),
            Self::Item => f.write_str("item"),
            Self::ItemNumber => f.write_str("item.number"),
        }
    }
}

/// A text that names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no value. Write `brief`, `brief.sentences`, `period`, `language`, `options.NAME` or `steps.KEY.FIELD`; with `forEach` also `item`."
)]
pub struct NoSource(String);

impl FromStr for Source {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Self, NoSource> {
        let parts: Vec<&str> = text.split('.').collect();
        let step = |key: &str, field: &str, place| {
            let (key, field) = (key.to_owned(), field.to_owned());
            Self::Step { key, field, place }
        };
        match parts[..] {
            ["brief"] => Some(Self::Brief),
            ["brief", "sentences"] => Some(Self::BriefSentences),
            ["period"] => Some(Self::Period),
            ["language"] => Some(Self::Language),
            ["options", name] => Some(Self::Option(name.to_owned())),
            ["steps", key, field] => Some(step(key, field, None)),
            ["options", name, "item"] => Some(Self::OptionItem(name.to_owned())),
            ["steps", key, field, "item"] => Some(step(key, field, Some(Place::Item))),
            ["steps", key, field, index] => {
                index.parse().ok().map(|index| step(key, field, Some(Place::At(index))))
            }
            ["item"] => Some(Self::Item),
            ["item", "number"] => Some(Self::ItemNumber),
            _ => None,
        }
        .ok_or_else(|| NoSource(text.chars().take(60).collect()))
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Values by name, of checked types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, Value>);

impl Values {
    /// Adds one; what is as good as none is left out.
    pub fn put(&mut self, name: &str, value: Value) {
        if value.is_there() {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// What several have together: texts and lists one after another, as many as a list has at the most, and numbers as their
    /// sum.
    pub fn together(list: &[Self]) -> Self {
        let mut all = Self::default();
        for (name, value) in list.iter().flat_map(|values| &values.0) {
            match (all.0.get_mut(name), value) {
                (None, Value::Text(text)) => all.put(name, Value::Texts(vec![text.clone()])),
                (None, Value::Texts(_) | Value::Number(_)) => all.put(name, value.clone()),
                (Some(Value::Texts(texts)), Value::Text(text)) => texts.push(text.clone()),
                (Some(Value::Texts(texts)), Value::Texts(more)) => texts.extend(more.iter().cloned()),
                (Some(Value::Number(sum)), Value::Number(number)) => *sum = sum.saturating_add(*number),
                _ => {}
            }
        }
        for value in all.0.values_mut() {
            if let Value::Texts(texts) = value {
                texts.truncate(ITEMS);
            }
        }
        all
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// Texts; empty when there are none.
    pub fn texts(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A number of things: what is below zero is 0, so that the agent's own bounds refuse it.
    pub fn count(&self, name: &str, usual: usize) -> usize {
        self.number(name).map_or(usual, |number| usize::try_from(number).unwrap_or(0))
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A language.
    pub fn language(&self, name: &str) -> Option<Language> {
        language(&self.text(name)?)
    }

    /// Channels; empty when there are none.
    pub fn channels(&self, name: &str) -> Vec<Channel> {
        self.texts(name).iter().filter_map(|text| channel(text)).collect()
    }

    /// A period.
    pub fn period(&self, name: &str) -> Option<PeriodId> {
        self.text(name)?.parse().ok()
    }

    /// Files; empty when there are none.
    pub fn assets(&self, name: &str) -> Vec<AssetId> {
        self.texts(name).iter().filter_map(|text| text.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_written_as_it_is_read() {
        for text in [
            "brief",
            "brief.sentences",
            "period",
            "language",
            "options.count",
            "options.lines.item",
            "steps.a.text",
            "steps.a.texts.2",
            "steps.a.texts.item",
            "item",
            "item.number",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "briefs",
            "brief.",
            "options",
            "options.a.1",
            "steps.a",
            "steps.a.b.c",
            "steps.a.b.-1",
            "steps.a.b.1.2",
            "steps.a.b.item.1",
            "item.1",
            "items",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_type_takes_its_own_values_only() {
        let text = |text: &str| Value::Text(text.to_owned());
        let texts = |items: &[&str]| Value::Texts(items.iter().map(|item| (*item).to_owned()).collect());
        assert_eq!(Type::Texts.take(text("a")), Some(texts(&["a"])));
        assert_eq!(Type::Channels.take(texts(&["X", "INSTAGRAM"])), Some(texts(&["X", "INSTAGRAM"])));
        assert_eq!(Type::Language.take(text("EN")), Some(text("EN")));
        let period = PeriodId::generate().to_string();
        assert_eq!(Type::Period.take(text(&period)), Some(text(&period)));
        for (of, value) in [
            (Type::Text, texts(&["a"])),
            (Type::Text, text(&"x".repeat(CHARACTERS + 1))),
            (Type::Texts, Value::Texts(vec![String::new(); ITEMS + 1])),
            (Type::Number, text("1")),
            (Type::Flag, Value::Number(1)),
            (Type::Language, text("XX")),
            (Type::Channels, texts(&["PIGEON"])),
            (Type::Period, text("prd_1")),
            (Type::Assets, texts(&[&period])),
        ] {
            assert_eq!(of.take(value.clone()), None, "{of:?} {value:?}");
        }
    }

    #[test]
    fn what_is_empty_is_not_there() {
        let mut values = Values::default();
        values.put("a", Value::Text(String::new()));
        values.put("b", Value::Texts(Vec::new()));
        values.put("c", Value::Number(-3));
        assert_eq!((values.get("a"), values.get("b"), values.count("c", 5)), (None, None, 0));
        assert_eq!(Value::of_json(&serde_json::json!({"a": 1})), None);
        assert_eq!(Value::of_json(&serde_json::json!(1.5)), None);
        assert_eq!(Value::of_json(&serde_json::json!(["a", 1])), None);
    }

    #[test]
    fn what_several_give_is_given_together() {
        let one = |text: &str, texts: &[&str], count| {
            let mut values = Values::default();
            values.put("text", Value::Text(text.to_owned()));
            values.put("texts", Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect()));
            values.put("count", Value::Number(count));
            values
        };
        let all = Values::together(&[one("a", &["b", "c"], 2), one("", &[], 0), one("d", &["e"], 1)]);
        assert_eq!((all.texts("text"), all.number("count")), (vec!["a".to_owned(), "d".to_owned()], Some(3)));
        assert_eq!(all.texts("texts"), ["b", "c", "e"]);
        assert_eq!(Values::together(&[]), Values::default());
        let long = one("a", &["b"; ITEMS], 1);
        let all = Values::together(&[long.clone(), long]);
        assert_eq!((all.texts("texts").len(), all.texts("text").len()), (ITEMS, 2));
        // Whatever is given together is of the type that says so.
        for (of, value) in [(Type::Text, all.get("text")), (Type::Number, all.get("count"))] {
            assert!(of.together().unwrap().take(value.unwrap().clone()).is_some(), "{of:?}");
        }
    }
}
