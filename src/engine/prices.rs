//! What an answer costs, by the table in `prices.toml` and the one that whoever runs the server has put before it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
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

/// A speech model's price, in millionths of a US dollar for a million characters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpeechPrice {
    provider: String,
    model: String,
    characters: u64,
}

/// A footage model's price, in millionths of a US dollar for a second that it works.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FootagePrice {
    provider: String,
    model: String,
    second: u64,
}

/// What models cost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    #[serde(default)]
    price: Vec<Price>,
    #[serde(default)]
    speech: Vec<SpeechPrice>,
    #[serde(default)]
    footage: Vec<FootagePrice>,
}

fn list_prices() -> Figment {
    Figment::from(Toml::string(include_str!("prices.toml")))
}

impl Default for Prices {
    /// The list prices.
    fn default() -> Self {
        // A test reads the table; were it wrong all the same, no model would have a cost.
        list_prices().extract().unwrap_or(Self { price: Vec::new(), speech: Vec::new(), footage: Vec::new() })
    }
}

impl Prices {
    /// The list prices, and before them those of a file of the same form.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else; where and what.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Self::parse(&std::fs::read_to_string(path).context("it cannot be read")?)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut prices: Self = Figment::from(Toml::string(text)).extract()?;
        for price in &prices.price {
            price.check().with_context(|| format!("the price of `{}` cannot be", price.model))?;
        }
        let speech = prices.speech.iter().map(|price| (&price.provider, &price.model));
        let footage = prices.footage.iter().map(|price| (&price.provider, &price.model));
        for (provider, model) in speech.chain(footage) {
            check_provider(provider).with_context(|| format!("the price of `{model}` cannot be"))?;
        }
        let list = Self::default();
        prices.price.extend(list.price);
        prices.speech.extend(list.speech);
        prices.footage.extend(list.footage);
        Ok(prices)
    }

    /// What `usage` of a model costs, in millionths of a US dollar, rounded up. None for a model whose price is not known: it
    /// is never guessed.
    ///
    /// Discounts, such as for prompts that the provider has cached, are not counted, so the bill may be lower.
    pub fn cost(&self, provider: Provider, model: &str, usage: Usage) -> Option<u64> {
        let price =
            self.price.iter().find(|price| is_of((&price.provider, &price.model), provider, model))?;
        let long = price.above.is_some_and(|above| usage.prompt_tokens > above);
        let (input, output) =
            if long { (price.long_input?, price.long_output?) } else { (price.input, price.output) };
        let total = u128::from(usage.prompt_tokens) * u128::from(input)
            + u128::from(usage.completion_tokens) * u128::from(output);
        u64::try_from(total.div_ceil(1_000_000)).ok()
    }

    /// What it costs to have so many characters spoken, as [`Prices::cost`].
    pub fn speech_cost(&self, provider: Provider, model: &str, characters: u64) -> Option<u64> {
        let price =
            self.speech.iter().find(|price| is_of((&price.provider, &price.model), provider, model))?;
        let total = u128::from(characters) * u128::from(price.characters);
        u64::try_from(total.div_ceil(1_000_000)).ok()
    }

    /// What it costs that a model films for so many seconds of work, as [`Prices::cost`]. A version of a model costs what the
    /// model does.
    pub fn footage_cost(&self, provider: Provider, model: &str, worked: f64) -> Option<u64> {
        let model = model.split_once(':').map_or(model, |(model, _)| model);
        let price =
            self.footage.iter().find(|price| is_of((&price.provider, &price.model), provider, model))?;
        let total = Duration::try_from_secs_f64(worked).ok()?.as_micros().checked_mul(price.second.into())?;
        u64::try_from(total.div_ceil(1_000_000)).ok()
    }
}

fn check_provider(name: &str) -> anyhow::Result<()> {
    let known = Provider::ALL.map(|provider| format!("`{}`", provider.as_str())).join(" or ");
    ensure!(Provider::parse(name).is_some(), "`provider` is {known}, the format that is spoken");
    Ok(())
}

/// Whether the name is that of a price's model, alone or with a date. Other endings (`-pro`, `-mini`) are other models.
fn is_of((of, model): (&str, &str), provider: Provider, name: &str) -> bool {
    let dated = |end: &str| {
        let digits = end.strip_prefix('-').unwrap_or_default();
        digits.starts_with("20")
            && digits.len() >= 8
            && digits.chars().all(|c| c.is_ascii_digit() || c == '-')
    };
    of == provider.as_str() && name.strip_prefix(model).is_some_and(|end| end.is_empty() || dated(end))
}

impl Price {
    fn check(&self) -> anyhow::Result<()> {
        check_provider(&self.provider)?;
        let long = [self.above, self.long_input, self.long_output];
        let is_whole = long.iter().all(Option::is_some) || long.iter().all(Option::is_none);
        ensure!(is_whole, "`above`, `long_input` and `long_output` belong together");
        Ok(())
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
        let table: Prices = list_prices().extract().unwrap();
        assert!(!table.price.is_empty());
        for (at, price) in table.price.iter().enumerate() {
            price.check().unwrap();
            // Models of vectors write nothing.
            let embeds = price.model.contains("embedding");
            assert!(price.input > 0 && embeds == (price.output == 0), "{price:?}");
            assert!(embeds || price.output > price.input, "{price:?}");
            let same = |other: &&Price| other.provider == price.provider && other.model == price.model;
            assert_eq!(table.price.iter().position(|other| same(&other)), Some(at), "{price:?}");
        }
    }

    #[test]
    fn a_cost_is_whole_and_rounded_up() {
        let cost = |model, usage| Prices::default().cost(Provider::OpenAi, model, usage);
        assert_eq!(cost("gpt-5.4-nano", usage(1_000_000, 0)), Some(200_000));
        // 3 × 0.2 + 1 × 1.25 = 1.85 millionths of a dollar
        assert_eq!(cost("gpt-5.4-nano", usage(3, 1)), Some(2));
        assert_eq!(cost("gpt-5.4-nano", usage(0, 0)), Some(0));
        assert_eq!(cost("gpt-5.4-nano", usage(u64::MAX, u64::MAX)), None);
    }

    #[test]
    fn what_is_spoken_costs_by_the_character() {
        let prices = Prices::default();
        let cost = |model, characters| prices.speech_cost(Provider::OpenAi, model, characters);
        assert_eq!(
            (cost("tts-1", 1_000_000), cost("tts-1-hd", 1_000_000)),
            (Some(15_000_000), Some(30_000_000))
        );
        assert_eq!((cost("tts-1", 1), cost("tts-1", 0)), (Some(15), Some(0)));
        // One counts tokens that it does not tell.
        assert_eq!(cost("gpt-4o-mini-tts", 1), None);
        assert_eq!(prices.speech_cost(Provider::Anthropic, "tts-1", 1), None);
        for price in &prices.speech {
            check_provider(&price.provider).unwrap();
            assert!(price.characters > 0, "{price:?}");
        }
        let own = "[[speech]]\nprovider = \"openai\"\nmodel = \"kokoro\"\ncharacters = 500_001\n";
        assert_eq!(Prices::parse(own).unwrap().speech_cost(Provider::OpenAi, "kokoro", 2), Some(2));
    }

    #[test]
    fn what_is_filmed_costs_by_the_second_of_work() {
        let own = "[[footage]]\nprovider = \"replicate\"\nmodel = \"acme/camera\"\nsecond = 1_525\n";
        let prices = Prices::parse(own).unwrap();
        let cost = |model, worked| prices.footage_cost(Provider::Replicate, model, worked);
        assert_eq!((cost("acme/camera", 60.0), cost("acme/camera", 0.0001)), (Some(91_500), Some(1)));
        assert_eq!(cost("acme/camera:9dcd6d78e7", 60.0), Some(91_500));
        // What is not known, and what is no time.
        assert_eq!((cost("acme/camera-pro", 60.0), cost("acme/camera", -1.0)), (None, None));
        assert_eq!((cost("acme/camera", f64::NAN), cost("acme/camera", f64::MAX)), (None, None));
        let unknown = "[[footage]]\nprovider = \"x\"\nmodel = \"m\"\nsecond = 1\n";
        assert!(format!("{:#}", Prices::parse(unknown).unwrap_err()).contains("`replicate`"));
    }

    #[test]
    fn what_is_embedded_costs_by_what_is_read() {
        let cost = |model, read| Prices::default().cost(Provider::OpenAi, model, usage(read, 0));
        assert_eq!(cost("text-embedding-3-small", 1_000_000), Some(20_000));
        assert_eq!(cost("text-embedding-3-large", 1_000_000), Some(130_000));
        assert_eq!((cost("text-embedding-3-small", 1), cost("text-embedding-3", 1)), (Some(1), None));
    }

    #[test]
    fn a_long_prompt_costs_more_all_of_it() {
        let cost = |usage| Prices::default().cost(Provider::OpenAi, "gpt-5.4", usage);
        assert_eq!(cost(usage(272_000, 0)), Some(680_000));
        assert_eq!(cost(usage(272_001, 2)), Some(1_360_050));
    }

    #[test]
    fn a_name_is_the_model_s_or_it_has_no_cost() {
        let prices = Prices::default();
        let known = |provider, name| prices.cost(provider, name, usage(1, 1)).is_some();
        assert!(known(Provider::OpenAi, "gpt-5.4-2026-03-05"));
        assert!(known(Provider::Anthropic, "claude-haiku-4-5-20251001"));
        for name in ["gpt-5.4-pro", "gpt-5.45", "gpt-5", "gpt-5.4-", "gpt-5.4-2", "", "claude-haiku-4-5"] {
            assert!(!known(Provider::OpenAi, name), "{name}");
        }
        // claude-opus-5-5 is not claude-opus-5 with an ending.
        assert_eq!(prices.cost(Provider::Anthropic, "claude-opus-5-5", usage(1_000_000, 0)), Some(4_000_000));
    }

    #[test]
    fn prices_of_a_file_stand_before_the_list_s() {
        let own = "[[price]]\nprovider = \"openai\"\nmodel = \"our-model\"\ninput = 0\noutput = 10_000_000\n
            [[price]]\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\ninput = 1_000_000\noutput = 1_000_000\n";
        let prices = Prices::parse(own).unwrap();
        let cost = |model| prices.cost(Provider::OpenAi, model, usage(10, 1));
        assert_eq!((cost("our-model"), cost("gpt-5.4")), (Some(10), Some(11)));
        assert_eq!(
            cost("gpt-5.4-nano"),
            Prices::default().cost(Provider::OpenAi, "gpt-5.4-nano", usage(10, 1))
        );
        for (wrong, said) in [
            (
                "[[price]]\nprovider = \"x\"\nmodel = \"m\"\ninput = 1\noutput = 1\n",
                "`openai` or `anthropic`",
            ),
            (
                "[[price]]\nprovider = \"openai\"\nmodel = \"m\"\ninput = 1\noutput = 1\nabove = 5\n",
                "belong together",
            ),
            ("[[speech]]\nprovider = \"x\"\nmodel = \"m\"\ncharacters = 1\n", "`openai` or `anthropic`"),
            ("[[price]]\nprovider = \"openai\"\nmodel = \"m\"\ninput = -1\noutput = 1\n", "input"),
            ("price = 3", "price"),
        ] {
            let error = format!("{:#}", Prices::parse(wrong).unwrap_err());
            assert!(error.contains(said), "{wrong}: {error}");
        }
        assert!(Prices::read(Path::new("/nowhere/prices.toml")).is_err());
    }
}
