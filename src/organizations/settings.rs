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
}

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
        Ok(next)
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
        ] {
            assert!(Settings::default().with(update).is_err());
        }
    }
}
