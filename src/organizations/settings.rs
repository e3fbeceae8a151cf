//! Typed settings of organizations and projects. A project inherits what it does not set.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Fault, FaultCode, Result};
use crate::input;

/// What is set; what is absent is inherited, or has its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Settings {
    /// The language that content is made in, as a BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The zone that times of day are meant in, as an IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// How the brand speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand_voice: Option<String>,
    /// The brand's colours as `#RRGGBB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand_colors: Option<Vec<String>>,
    /// Hashtags that every post gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_hashtags: Option<Vec<String>>,
    /// What posts can call to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_to_action: Option<Vec<String>>,
    /// Words and phrases that nothing has which agents write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banned_words: Option<Vec<String>>,
}

/// A change of settings: absent leaves unchanged, null clears.
#[derive(Debug, Clone, Default)]
pub struct SettingsUpdate {
    /// See [`Settings::locale`].
    pub locale: Option<Option<String>>,
    /// See [`Settings::timezone`].
    pub timezone: Option<Option<String>>,
    /// See [`Settings::brand_voice`].
    pub brand_voice: Option<Option<String>>,
    /// See [`Settings::brand_colors`].
    pub brand_colors: Option<Option<Vec<String>>>,
    /// See [`Settings::default_hashtags`].
    pub default_hashtags: Option<Option<Vec<String>>>,
    /// See [`Settings::calls_to_action`].
    pub calls_to_action: Option<Option<Vec<String>>>,
    /// See [`Settings::banned_words`].
    pub banned_words: Option<Option<Vec<String>>>,
}

/// Calls to action at the most.
pub const CALLS: usize = 20;
/// Characters of a call to action at the most.
pub const CALL_CHARACTERS: usize = 150;
/// Characters of a banned word or phrase at the most.
pub const BANNED_CHARACTERS: usize = 100;

fn invalid(field: &str, message: &str) -> Error {
    Error::fault(Fault::at(FaultCode::Invalid, field, message))
}

fn locale(text: &str) -> Result<String> {
    let text = text.trim();
    let mut parts = text.split('-');
    let language =
        parts.next().is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase()));
    let rest = parts.all(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
    if language && rest && text.len() <= 35 {
        return Ok(text.to_owned());
    }
    Err(invalid("settings.locale", "`locale` is a language tag such as `de` or `en-GB`."))
}

fn timezone(text: &str) -> Result<String> {
    let zone = input::timezone(text).map_err(|message| invalid("settings.timezone", message))?;
    Ok(zone.name().to_owned())
}

fn hashtag(text: &str) -> Result<String> {
    let text = input::line("settings.defaultHashtags", text, 101)?;
    let word = text.strip_prefix('#').unwrap_or(&text);
    let fits = !word.is_empty()
        && word.chars().count() <= 100
        && word.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !word.chars().all(|c| c.is_ascii_digit());
    if fits {
        return Ok(format!("#{word}"));
    }
    Err(invalid(
        "settings.defaultHashtags",
        "A hashtag has letters, digits and underscores, such as `#springtime`.",
    ))
}

fn call_to_action(text: &str) -> Result<String> {
    input::line("settings.callsToAction", text, CALL_CHARACTERS)
}

fn banned_word(text: &str) -> Result<String> {
    input::line("settings.bannedWords", text, BANNED_CHARACTERS)
}

fn each(
    field: &str,
    list: Option<Vec<String>>,
    read: fn(&str) -> Result<String>,
) -> Result<Option<Vec<String>>> {
    let Some(list) = list else { return Ok(None) };
    input::list(field, &list)?;
    list.iter().map(|text| read(text)).collect::<Result<_>>().map(Some)
}

impl Settings {
    /// The settings with a change made.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn with(&self, update: SettingsUpdate) -> Result<Self> {
        let mut next = self.clone();
        if let Some(value) = update.locale {
            next.locale = value.as_deref().map(locale).transpose()?;
        }
        if let Some(value) = update.timezone {
            next.timezone = value.as_deref().map(timezone).transpose()?;
        }
        if let Some(value) = update.brand_voice {
            next.brand_voice = input::paragraph("settings.brandVoice", value.as_deref(), 2000)?;
        }
        if let Some(value) = update.brand_colors {
            next.brand_colors =
                each("settings.brandColors", value, |color| input::color("settings.brandColors", color))?;
        }
        if let Some(value) = update.default_hashtags {
            next.default_hashtags = each("settings.defaultHashtags", value, hashtag)?;
        }
        if let Some(value) = update.calls_to_action {
            if value.as_ref().is_some_and(|calls| calls.len() > CALLS) {
                let message = format!("`callsToAction` has at most {CALLS} items.");
                return Err(Error::fault(Fault::at(FaultCode::TooLong, "settings.callsToAction", message)));
            }
            next.calls_to_action = each("settings.callsToAction", value, call_to_action)?;
        }
        if let Some(value) = update.banned_words {
            next.banned_words = each("settings.bannedWords", value, banned_word)?;
        }
        Ok(next)
    }

    /// The settings with the rest from others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            locale: self.locale.or(others.locale),
            timezone: self.timezone.or(others.timezone),
            brand_voice: self.brand_voice.or(others.brand_voice),
            brand_colors: self.brand_colors.or(others.brand_colors),
            default_hashtags: self.default_hashtags.or(others.default_hashtags),
            calls_to_action: self.calls_to_action.or(others.calls_to_action),
            banned_words: self.banned_words.or(others.banned_words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_leaves_and_null_clears() {
        let first = Settings::default()
            .with(SettingsUpdate {
                locale: Some(Some("de-AT".into())),
                timezone: Some(Some("Europe/Vienna".into())),
                brand_colors: Some(Some(vec!["#1a2b3c".into()])),
                default_hashtags: Some(Some(vec!["frühling".into(), "#sommer".into()])),
                ..SettingsUpdate::default()
            })
            .unwrap();
        assert_eq!(first.brand_colors.as_deref(), Some(&["#1A2B3C".to_owned()][..]));
        assert_eq!(
            first.default_hashtags.as_deref(),
            Some(&["#frühling".to_owned(), "#sommer".to_owned()][..])
        );
        let second = first.with(SettingsUpdate { locale: Some(None), ..SettingsUpdate::default() }).unwrap();
        assert_eq!((second.locale, second.timezone.as_deref()), (None, Some("Europe/Vienna")));
    }

    #[test]
    fn malformed_settings_are_refused_at_their_field() {
        for update in [
            SettingsUpdate { locale: Some(Some("German!".into())), ..SettingsUpdate::default() },
            SettingsUpdate { timezone: Some(Some("Mars/Olympus".into())), ..SettingsUpdate::default() },
            SettingsUpdate { brand_colors: Some(Some(vec!["red".into()])), ..SettingsUpdate::default() },
            SettingsUpdate {
                default_hashtags: Some(Some(vec!["two words".into()])),
                ..SettingsUpdate::default()
            },
            SettingsUpdate {
                calls_to_action: Some(Some(vec!["Come.".into(); CALLS + 1])),
                ..SettingsUpdate::default()
            },
            SettingsUpdate {
                calls_to_action: Some(Some(vec!["Come\nnow.".into()])),
                ..SettingsUpdate::default()
            },
            SettingsUpdate {
                banned_words: Some(Some(vec!["x".repeat(BANNED_CHARACTERS + 1)])),
                ..SettingsUpdate::default()
            },
        ] {
            assert!(Settings::default().with(update).is_err());
        }
    }
}
