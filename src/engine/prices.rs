//! What an answer costs, by the table in `prices.toml`.

use std::sync::LazyLock;

use figment::Figment;
use figment::providers::{Format as _, Toml};
use serde::Deserialize;

use super::{Provider, Usage};

/// A model's price, in millionths of a US dollar for a million tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    provider: String,
    model: String,
    input: u64,
    output: u64,
    /// Prompts of more tokens cost the following.
    above: Option<u64>,
    long_input: Option<u64>,
    long_output: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    price: Vec<Price>,
}

fn read() -> Result<Table, Box<figment::Error>> {
    Figment::from(Toml::string(include_str!("prices.toml"))).extract().map_err(Box::new)
}

// A test reads the table; were it wrong all the same, no model would have a cost.
static TABLE: LazyLock<Table> = LazyLock::new(|| read().unwrap_or_default());

/// What `usage` of a model costs at its provider's list price, in millionths of a US dollar, rounded up. None for a model
/// whose price is not known: it is never guessed.
///
/// Discounts, such as for prompts that the provider has cached, are not counted, so the bill may be lower.
pub fn cost(provider: Provider, model: &str, usage: Usage) -> Option<u64> {
    let price = TABLE.price.iter().find(|price| price.is_of(provider, model))?;
    let long = price.above.is_some_and(|above| usage.prompt_tokens > above);
    let (input, output) =
        if long { (price.long_input?, price.long_output?) } else { (price.input, price.output) };
    let total = u128::from(usage.prompt_tokens) * u128::from(input)
        + u128::from(usage.completion_tokens) * u128::from(output);
    u64::try_from(total.div_ceil(1_000_000)).ok()
}

impl Price {
    /// Whether the name is the model's, alone or with a date. Other endings (`-pro`, `-mini`) are other models.
    fn is_of(&self, provider: Provider, name: &str) -> bool {
        let dated = |end: &str| {
            let digits = end.strip_prefix('-').unwrap_or_default();
            digits.starts_with("20")
                && digits.len() >= 8
                && digits.chars().all(|c| c.is_ascii_digit() || c == '-')
        };
        self.provider == provider.as_str()
            && name.strip_prefix(self.model.as_str()).is_some_and(|end| end.is_empty() || dated(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(prompt_tokens: u64, completion_tokens: u64) -> Usage {
        Usage { prompt_tokens, completion_tokens }
    }

    #[test]
    fn the_table_reads_and_names_each_model_once() {
        let table = read().unwrap();
        assert!(!table.price.is_empty());
        for (at, price) in table.price.iter().enumerate() {
            assert!(Provider::parse(&price.provider).is_some(), "{price:?}");
            assert!(price.input > 0 && price.output > price.input, "{price:?}");
            let long = [price.above, price.long_input, price.long_output];
            assert!(long.iter().all(Option::is_some) || long.iter().all(Option::is_none), "{price:?}");
            let same = |other: &&Price| other.provider == price.provider && other.model == price.model;
            assert_eq!(table.price.iter().position(|other| same(&other)), Some(at), "{price:?}");
        }
    }

    #[test]
    fn a_cost_is_whole_and_rounded_up() {
        let cost = |model, usage| cost(Provider::OpenAi, model, usage);
        assert_eq!(cost("gpt-5.4-nano", usage(1_000_000, 0)), Some(200_000));
        // 3 × 0.2 + 1 × 1.25 = 1.85 millionths of a dollar
        assert_eq!(cost("gpt-5.4-nano", usage(3, 1)), Some(2));
        assert_eq!(cost("gpt-5.4-nano", usage(0, 0)), Some(0));
        assert_eq!(cost("gpt-5.4-nano", usage(u64::MAX, u64::MAX)), None);
    }

    #[test]
    fn a_long_prompt_costs_more_all_of_it() {
        let cost = |usage| cost(Provider::OpenAi, "gpt-5.4", usage);
        assert_eq!(cost(usage(272_000, 0)), Some(680_000));
        assert_eq!(cost(usage(272_001, 2)), Some(1_360_050));
    }

    #[test]
    fn a_name_is_the_model_s_or_it_has_no_cost() {
        let known = |provider, name| cost(provider, name, usage(1, 1)).is_some();
        assert!(known(Provider::OpenAi, "gpt-5.4-2026-03-05"));
        assert!(known(Provider::Anthropic, "claude-haiku-4-5-20251001"));
        for name in ["gpt-5.4-pro", "gpt-5.45", "gpt-5", "gpt-5.4-", "gpt-5.4-2", "", "claude-haiku-4-5"] {
            assert!(!known(Provider::OpenAi, name), "{name}");
        }
        // claude-opus-5-5 is not claude-opus-5 with an ending.
        assert_eq!(cost(Provider::Anthropic, "claude-opus-5-5", usage(1_000_000, 0)), Some(4_000_000));
    }
}
