//! Words that must not be in a post.

use std::collections::BTreeSet;

use crate::agents::text::Language;
use crate::retrieval::reading;

/// The most words that are looked for.
const WORDS: usize = 500;

/// Words and phrases to look for.
#[derive(Debug, Clone, Default)]
pub struct Banned {
    phrases: Vec<(String, Vec<String>)>,
    words: Vec<(String, String, String)>,
    language: Option<Language>,
}

impl Banned {
    /// Reads a list; an entry of several words is looked for as it is, one word in all its forms and at either end of a
    /// compound, from five letters on.
    pub fn read<S: AsRef<str>>(list: &[S], language: Language) -> Self {
        let mut banned = Self { language: Some(language), ..Self::default() };
        for entry in list.iter().map(AsRef::as_ref).take(WORDS) {
            let words: Vec<String> = reading::words(entry).map(|(_, word)| reading::normal(word)).collect();
            match words.as_slice() {
                [] => {}
                [word] => {
                    let stem = reading::stem(word, language);
                    banned.words.push((entry.trim().to_owned(), word.clone(), stem));
                }
                _ => banned.phrases.push((entry.trim().to_owned(), words)),
            }
        }
        banned
    }

    /// The entries that a text has, each once, in the order of the list.
    pub fn find(&self, text: &str) -> Vec<String> {
        if self.words.is_empty() && self.phrases.is_empty() {
            return Vec::new();
        }
        let language = self.language.unwrap_or(Language::English);
        let words: Vec<String> = reading::words(text).map(|(_, word)| reading::normal(word)).collect();
        let distinct: BTreeSet<&String> = words.iter().collect();
        let stems: BTreeSet<String> = distinct.iter().map(|word| reading::stem(word, language)).collect();
        let has = |(_, word, stem): &&(String, String, String)| {
            let part = |other: &&&String| {
                word.chars().count() >= 5
                    && (other.starts_with(word.as_str()) || other.ends_with(word.as_str()))
            };
            distinct.contains(word) || stems.contains(stem) || distinct.iter().any(|other| part(&other))
        };
        let single = self.words.iter().filter(has).map(|(entry, ..)| entry.clone());
        let joined = self
            .phrases
            .iter()
            .filter(|(_, phrase)| words.windows(phrase.len()).any(|window| window == phrase.as_slice()));
        single.chain(joined.map(|(entry, _)| entry.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_all_forms() {
        let banned = Banned::read(&["billig", "Made in China", "Diät", ""], Language::German);
        assert_eq!(banned.find("Jetzt noch billiger!"), ["billig"]);
        assert_eq!(banned.find("Ein Billigangebot, made in China."), ["billig", "Made in China"]);
        assert_eq!(banned.find("Keine Diäten."), ["Diät"]);
        assert_eq!(banned.find("Günstig, in China gemacht."), Vec::<String>::new());
        assert_eq!(Banned::default().find("billig"), Vec::<String>::new());
    }
}
