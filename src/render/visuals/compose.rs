//! Laying out: texts, template, brand and background become scenes.
//!
//! Sizes are found by halving: the stack of headline, body and attribution grows until it fills its column, with the
//! headline always in the same proportion to the body, so that the hierarchy holds at every length.

use unicode_segmentation::UnicodeSegmentation;

use super::alt::{self, Written};
use super::color::Color;
use super::fonts::{Face, Typeface, Voice};
use super::protect::{Group, Veils, protect};
use super::scene::{Anchor, Border, Layer, Pattern, Rect, Role, Scene, Slot, Stop, TextLayer};
use super::split::{sentences, spread};
use super::text::{Align, Setting, Shaped, clean, height, largest};
use super::{
    BODY, Background, HEADLINE, LABEL, Layout, Note, Pictures, SLIDES, Template, VisualError, VisualFormat,
    VisualSpec,
};

/// Scenes with their alt texts, and notes.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    /// At least one.
    pub slides: Vec<(Scene, String)>,
    /// What the caller should know.
    pub notes: Vec<Note>,
}

/// Lays a post out. The texts' colours and veils are set by measuring the drawn background.
pub fn compose(spec: &VisualSpec, pictures: &Pictures<'_>) -> Result<Composed, VisualError> {
    let texts = Texts::read(spec)?;
    check_background(spec, pictures)?;
    check_slides(spec)?;
    let mut notes = texts.notes.clone();
    let pages = pages(spec, &texts, &mut notes);
    if let (Background::Picture { .. }, Some(picture)) = (&spec.background, pictures.background) {
        let (width, height) = spec.format.size();
        let (w, h) = (u64::from(picture.width()), u64::from(picture.height()));
        // Covering enlarges when the picture is smaller across or down, whichever decides.
        if w < u64::from(width) || h < u64::from(height) {
            notes.push(Note::PictureEnlarged);
        }
    }
    let design = Design::new(spec, pictures);
    let scale = design.common_scale(&pages);
    let count = pages.len();
    let mut slides = Vec::with_capacity(count);
    for (index, page) in pages.iter().enumerate() {
        let numbered = (count > 1).then_some((index + 1, count));
        let credit = texts.credit.as_deref().filter(|_| index == 0);
        let scene = design.scene(page, numbered, credit, &texts, scale)?;
        let written = Written {
            headline: page.headline.as_deref(),
            body: page.body.as_deref(),
            attribution: page.attribution.as_deref(),
            period: texts.period.as_deref(),
            credit,
            page: numbered,
        };
        slides.push((scene, alt::alt_text(&written, spec.language)));
    }
    Ok(Composed { slides, notes })
}

/// The caller's texts, cleaned.
struct Texts {
    headline: Option<String>,
    body: Option<String>,
    attribution: Option<String>,
    period: Option<String>,
    credit: Option<String>,
    notes: Vec<Note>,
}

impl Texts {
    fn read(spec: &VisualSpec) -> Result<Self, VisualError> {
        let mut left_out = Vec::<String>::new();
        let mut emoji = false;
        let (mut drawn, mut missing) = (0, 0);
        let mut take =
            |field, text: Option<&str>, limit: usize, voice| -> Result<Option<String>, VisualError> {
                let Some(text) = text else { return Ok(None) };
                // A grapheme is at least a byte, so that this bounds the work on the rest.
                if text.len() > limit * 64 || text.graphemes(true).count() > limit {
                    let reason = format!("it has more than {limit} characters: shorten it");
                    return Err(VisualError::Invalid { field, reason });
                }
                let clean = clean(text, Face::of(spec.brand.typeface, voice));
                missing += clean.missing;
                drawn += clean.text.graphemes(true).filter(|cluster| !cluster.trim().is_empty()).count();
                emoji |=
                    clean.text.graphemes(true).any(|c| Face::InterMedium.for_cluster(c) == Some(Face::Emoji));
                for character in clean.left_out {
                    if left_out.len() < 20 && !left_out.contains(&character) {
                        left_out.push(character);
                    }
                }
                Ok(Some(clean.text).filter(|text| !text.is_empty()))
            };
        let headline = take("headline", spec.headline.as_deref(), HEADLINE, Voice::Display)?;
        let body = take("body", spec.body.as_deref(), BODY, Voice::Text)?;
        let attribution = take("attribution", spec.attribution.as_deref(), LABEL, Voice::Label)?;
        let period =
            take("period", spec.period.as_ref().map(|period| period.name.as_str()), LABEL, Voice::Label)?;
        let credit = match &spec.background {
            Background::Picture { credit } => take("credit", credit.as_deref(), LABEL, Voice::Label)?,
            _ => None,
        };
        if missing * 4 > drawn + missing {
            let characters = left_out.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(" ");
            let reason = format!(
                "most of the text is in a script that no embedded font has ({characters}): Latin, Greek, Cyrillic, Hebrew, Arabic and emoji can be drawn"
            );
            return Err(VisualError::InsufficientInput { field: "text", reason });
        }
        if headline.is_none() && body.is_none() {
            let reason = "there is no text to draw: give a headline or a body".to_owned();
            return Err(VisualError::InsufficientInput { field: "text", reason });
        }
        let mut notes = Vec::new();
        if !left_out.is_empty() {
            notes.push(Note::CharactersLeftOut { characters: left_out });
        }
        if emoji {
            notes.push(Note::EmojiInOneColor);
        }
        Ok(Self { headline, body, attribution, period, credit, notes })
    }
}

fn check_background(spec: &VisualSpec, pictures: &Pictures<'_>) -> Result<(), VisualError> {
    match &spec.background {
        Background::Picture { .. } if pictures.background.is_none() => Err(VisualError::InsufficientInput {
            field: "background",
            reason: "a picture is wanted behind the text, but none was given".to_owned(),
        }),
        Background::Gradient { angle, .. } if !angle.is_finite() || angle.abs() > 3_600.0 => {
            Err(VisualError::Invalid {
                field: "background.angle",
                reason: "it must be a number of degrees".to_owned(),
            })
        }
        Background::Noise { colors } if colors.len() > 8 => {
            Err(VisualError::Invalid { field: "background.colors", reason: "at most 8 colours".to_owned() })
        }
        _ => Ok(()),
    }
}

fn check_slides(spec: &VisualSpec) -> Result<(), VisualError> {
    let most = usize::from(SLIDES);
    if spec.slide_per_line {
        let text = spec.body.as_deref().unwrap_or_default();
        if slides_of_lines(spec.headline.as_deref(), text) > most {
            let reason = format!("each line is a slide, and there are at most {most} with the headline's");
            return Err(VisualError::Invalid { field: "body", reason });
        }
    } else if spec.slides.is_some_and(|count| !(1..=SLIDES).contains(&count)) {
        return Err(VisualError::Invalid { field: "slides", reason: format!("between 1 and {most}") });
    }
    Ok(())
}

/// What one slide says.
#[derive(Debug, Clone, PartialEq, Default)]
struct Page {
    headline: Option<String>,
    body: Option<String>,
    attribution: Option<String>,
    /// Whether the text set large is long, or belongs to a series in which one is: it speaks in a lighter voice, or it
    /// would be a wall.
    long: bool,
}

impl Page {
    /// The text set large, and its role: the headline, or the body when it stands alone.
    fn display(&self) -> Option<(&str, Role)> {
        match (&self.headline, &self.body) {
            (Some(headline), _) => Some((headline, Role::Headline)),
            (None, Some(body)) => Some((body, Role::Body)),
            (None, None) => None,
        }
    }

    fn voice(&self) -> Voice {
        if self.long { Voice::Text } else { Voice::Display }
    }

    /// The text set small under a headline.
    fn running(&self) -> Option<&str> {
        self.headline.as_ref().and(self.body.as_deref())
    }
}

/// Characters that one slide carries without becoming a page to read.
const COMFORTABLE: usize = 280;
/// Characters of a slide in a series.
const IN_SERIES: usize = 200;

/// The lines of a text that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// How many slides there are when each line is one, under a headline of their own when there is one.
pub fn slides_of_lines(headline: Option<&str>, text: &str) -> usize {
    usize::from(headline.is_some_and(|headline| !headline.trim().is_empty())) + lines(text).count()
}

fn pages(spec: &VisualSpec, texts: &Texts, notes: &mut Vec<Note>) -> Vec<Page> {
    let characters = |text: Option<&String>| text.map_or(0, |text| text.graphemes(true).count());
    let total = characters(texts.headline.as_ref()) + characters(texts.body.as_ref());
    let whole = Page {
        headline: texts.headline.clone(),
        body: texts.body.clone(),
        attribution: texts.attribution.clone(),
        long: characters(texts.headline.as_ref().or(texts.body.as_ref())) > LONG,
    };
    // A headline alone is what is spread when there is nothing else.
    let (cover, source) = match (&texts.headline, &texts.body) {
        (Some(headline), Some(body)) => (Some(headline), body),
        (Some(only), None) | (None, Some(only)) => (None, only),
        (None, None) => return vec![whole],
    };
    let wanted = match spec.slides {
        _ if spec.slide_per_line => usize::from(cover.is_some()) + lines(source).count(),
        Some(count) => usize::from(count),
        None if total <= COMFORTABLE => 1,
        None => usize::from(cover.is_some()) + characters(Some(source)).div_ceil(IN_SERIES),
    };
    let wanted = wanted.clamp(1, usize::from(SLIDES));
    if wanted == 1 {
        return vec![whole];
    }
    let pieces = if spec.slide_per_line {
        lines(source).map(str::to_owned).collect()
    } else {
        let for_body = (wanted - usize::from(cover.is_some())).max(1);
        spread(source, for_body.min(sentences(source, spec.language).len()), spec.language)
    };
    let mut pages: Vec<Page> = cover
        .map(|headline| Page { headline: Some(headline.clone()), ..Page::default() })
        .into_iter()
        .collect();
    let long = pieces.iter().any(|piece| characters(Some(piece)) > LONG);
    pages.extend(pieces.into_iter().map(|body| Page { body: Some(body), long, ..Page::default() }));
    if let Some(last) = pages.last_mut() {
        last.attribution.clone_from(&texts.attribution);
    }
    if let Some(count) = spec.slides.filter(|_| !spec.slide_per_line)
        && pages.len() < usize::from(count)
    {
        notes.push(Note::FewerSlides { wanted: count, made: u8::try_from(pages.len()).unwrap_or(SLIDES) });
    }
    pages
}

/// The tones of one hue that a design is painted in.
#[derive(Debug, Clone, Copy)]
struct Tones {
    /// Nearly white.
    paper: Color,
    /// Pale.
    wash: Color,
    /// The colour itself, for bars and marks.
    vivid: Color,
    /// Dark, for text on paper.
    ink: Color,
    /// Dark and coloured.
    deep: Color,
    /// Nearly black.
    night: Color,
}

impl Tones {
    fn of(theme: Color, accent: Color) -> Self {
        Self {
            paper: theme.tone(0.972, 0.014),
            wash: theme.tone(0.91, 0.055),
            vivid: accent,
            ink: theme.tone(0.23, 0.06),
            deep: theme.tone(0.31, 0.10),
            night: theme.tone(0.16, 0.045),
        }
    }
}

/// The colour of a post without period and brand: a calm blue grey.
const NEUTRAL: Color = Color::new(0x3E, 0x5C, 0x76);

/// The direction of a gradient in degrees, where nobody asks for another one: down, and a little to the right.
pub const SLOPE: f32 = 62.0;
/// Characters from which a text set large is read rather than seen.
const LONG: usize = 120;

/// Everything that the slides of a post share.
struct Design<'a> {
    spec: &'a VisualSpec,
    pictures: &'a Pictures<'a>,
    template: Template,
    tones: Tones,
    theme: Color,
    width: f32,
    height: f32,
    /// Where texts stand.
    area: Rect,
    /// How large things are against a canvas 1080 pixels wide.
    unit: f32,
    align: Align,
    anchor: Anchor,
}

/// The text column of a slide and what else stands on it.
struct Frame {
    column: Rect,
    card: Option<Rect>,
}

/// A text of the stack at its place.
struct Placed {
    role: Role,
    text: String,
    rect: Rect,
    size: f32,
    leading: f32,
    voice: Voice,
}

const DISPLAY_LEADING: f32 = 1.12;
const TEXT_LEADING: f32 = 1.42;

impl<'a> Design<'a> {
    #[expect(clippy::cast_precision_loss, reason = "a canvas is small")]
    fn new(spec: &'a VisualSpec, pictures: &'a Pictures<'a>) -> Self {
        let (width, height) = spec.format.size();
        let theme = spec.period.as_ref().map(|period| period.color).or(spec.brand.primary).unwrap_or(NEUTRAL);
        let template = if spec.template == Template::Default { Template::Minimal } else { spec.template };
        let Layout { align, anchor } = spec.layout.unwrap_or(match template {
            Template::Minimal | Template::Default => Layout { align: Align::Start, anchor: Anchor::Middle },
            Template::Dramatic => Layout { align: Align::Start, anchor: Anchor::Bottom },
            Template::Gradient | Template::QuoteCard | Template::PeriodBranding => {
                Layout { align: Align::Center, anchor: Anchor::Middle }
            }
        });
        Self {
            spec,
            pictures,
            template,
            tones: Tones::of(theme, spec.brand.accent.unwrap_or(theme)),
            theme,
            width: width as f32,
            height: height as f32,
            area: spec.format.text_area(),
            unit: if spec.format == VisualFormat::Link { 0.74 } else { 1.0 },
            align,
            anchor,
        }
    }

    fn is_link(&self) -> bool {
        self.spec.format == VisualFormat::Link
    }

    fn has_picture(&self) -> bool {
        matches!(self.spec.background, Background::Picture { .. })
    }

    /// Whether something stands in the row at the top.
    fn has_top_row(&self) -> bool {
        self.spec.period.is_some() || self.pictures.logo.is_some()
    }

    /// The largest size of display text: short texts may shout, long ones are read.
    fn display_limit(&self, text: &str) -> f32 {
        let size = match text.graphemes(true).count() {
            0..=24 => 148.0,
            25..=60 => 118.0,
            61..=LONG => 96.0,
            121..=200 => 70.0,
            _ => 60.0,
        };
        let louder = if self.template == Template::Dramatic { 1.12 } else { 1.0 };
        size * louder * self.unit
    }

    fn setting(&self, voice: Voice, typeface: Typeface) -> Setting {
        Setting {
            face: Face::of(typeface, voice),
            language: self.spec.language,
            hyphenate: self.spec.hyphenate,
            tracking: self.tracking(voice),
        }
    }

    /// Large sans type is set a little tighter, as its spacing is drawn for reading sizes.
    fn tracking(&self, voice: Voice) -> f32 {
        if voice == Voice::Display && self.spec.brand.typeface == Typeface::Sans { -0.022 } else { 0.0 }
    }

    /// The leading of display text: a serif's ascenders are taller.
    fn leading(&self, voice: Voice) -> f32 {
        match voice {
            Voice::Ornament => 1.0,
            Voice::Display if self.spec.brand.typeface == Typeface::Sans => DISPLAY_LEADING,
            Voice::Display => DISPLAY_LEADING + 0.06,
            Voice::Text | Voice::Label => TEXT_LEADING,
        }
    }

    /// The texts of a page at a share of their largest sizes, from the top of a column, and their height.
    fn stack(&self, page: &Page, column: Rect, scale: f32) -> (Vec<Placed>, f32, bool) {
        let mut placed = Vec::new();
        let mut y = 0.0;
        let mut sound = true;
        let mut put = |text: &str, role: Role, voice: Voice, size: f32, gap: f32| {
            let setting = self.setting(voice, self.spec.brand.typeface);
            let leading = self.leading(voice);
            let block = Shaped::new(text, setting).at(size, column.width, f32::INFINITY, leading);
            sound &= !block.forced;
            let high = height(block.lines.len(), size, leading, setting.face.cap_height());
            if y > 0.0 {
                y += gap;
            }
            let rect = Rect::new(column.x, y, column.width, high);
            placed.push(Placed { role, text: text.to_owned(), rect, size, leading, voice });
            y += high;
        };
        if let Some((text, role)) = page.display() {
            let size = (self.display_limit(text) * scale).max(34.0 * self.unit).round();
            put(text, role, page.voice(), size, 0.0);
            if let Some(running) = page.running() {
                let body = (50.0 * self.unit * scale.max(0.58)).clamp(29.0 * self.unit, 0.62 * size).round();
                put(running, Role::Body, Voice::Text, body, 0.5 * size);
            }
            if let Some(name) = &page.attribution {
                let label = (36.0 * self.unit * scale.max(0.85)).round();
                put(
                    &format!("— {name}"),
                    Role::Attribution,
                    Voice::Label,
                    label,
                    (0.55 * size).max(44.0 * self.unit),
                );
            }
        }
        (placed, y, sound)
    }

    /// The share of the largest sizes that suits a page best: near the largest at which it fits its column, a little
    /// smaller where that makes its lines more even.
    fn scale(&self, page: &Page) -> f32 {
        let most = self.largest_scale(page);
        let Some((text, _)) = page.display() else { return most };
        let column = self.frame(page, false, None).column;
        let voice = page.voice();
        let shaped = Shaped::new(text, self.setting(voice, self.spec.brand.typeface));
        let mut best = (f32::INFINITY, most);
        for step in 0..=12_u8 {
            let scale = most * (1.0 - 0.02 * f32::from(step));
            let size = (self.display_limit(text) * scale).max(34.0 * self.unit).round();
            let block = shaped.at(size, column.width, f32::INFINITY, self.leading(voice));
            let cost = shaped.unevenness(&block.lines) + 0.12 * (1.0 - scale / most);
            if cost < best.0 - 1e-4 {
                best = (cost, scale);
            }
        }
        best.1
    }

    /// The largest share of the sizes at which a page fits its column, in hundredths.
    fn largest_scale(&self, page: &Page) -> f32 {
        let column = self.frame(page, false, None).column;
        // Text to the edges has no air: it fills at most so much of its column.
        let limit = column.height * if self.is_link() { 0.94 } else { 0.86 };
        let fits = |percent: f32, sound: bool| {
            let (_, high, undivided) = self.stack(page, column, percent / 100.0);
            high <= limit && (undivided || !sound)
        };
        let percent = largest(30.0, 100.0, |percent| fits(percent, true));
        // A word that is wider than the column at every size is divided anyway: better than tiny.
        let percent =
            if fits(percent, true) { percent } else { largest(30.0, 60.0, |percent| fits(percent, false)) };
        percent / 100.0
    }

    /// One scale for the pages of a series after the cover, so that the type does not jump from slide to slide.
    fn common_scale(&self, pages: &[Page]) -> Option<f32> {
        let body: Vec<&Page> = pages.iter().filter(|page| page.headline.is_none()).collect();
        if body.len() < 2 {
            return None;
        }
        // The sizes count, not the shares: a longer text has a smaller limit.
        let size = |page: &&Page| {
            page.display().map_or(f32::INFINITY, |(text, _)| self.display_limit(text) * self.scale(page))
        };
        Some(body.iter().map(size).fold(f32::INFINITY, f32::min))
    }

    /// Where the text may stand.
    fn frame(&self, page: &Page, numbered: bool, credit: Option<&str>) -> Frame {
        let unit = self.unit;
        let mut column = self.area;
        if self.template == Template::PeriodBranding {
            let ((top, _), (bottom, _)) = (self.band_top(), self.band_bottom());
            column.y = top + 48.0 * unit;
            column.height = self.height - bottom - 48.0 * unit - column.y;
        } else if self.has_top_row() {
            column.y += 104.0 * unit;
            column.height -= 104.0 * unit;
        }
        if numbered || (credit.is_some() && self.template != Template::PeriodBranding) {
            column.height -= 64.0 * unit;
        }
        if self.template != Template::QuoteCard {
            if self.align != Align::Center && !self.is_link() {
                column.width *= 0.96;
            }
            return Frame { column, card: None };
        }
        // The card hugs its text and never gets smaller than a third of the height.
        let padding = 78.0 * unit;
        let mark = if self.is_link() { 56.0 } else { 118.0 } * unit;
        let side = if self.is_link() { 0.0 } else { 24.0 };
        let outer = Rect::new(column.x - side, column.y, column.width + 2.0 * side, column.height);
        let room = Rect::new(
            outer.x + padding,
            outer.y + padding + mark,
            outer.width - 2.0 * padding,
            (outer.height - 2.0 * padding - mark).max(80.0),
        );
        let high = if page.display().is_some() { room.height } else { 0.0 };
        Frame { column: Rect { height: high, ..room }, card: Some(outer) }
    }

    /// Height of the band at the top and of what stands in it; in a story that is under the app's bar.
    fn band_top(&self) -> (f32, f32) {
        match self.spec.format {
            VisualFormat::Story => (self.area.y + 110.0, 110.0),
            VisualFormat::Link => (104.0, 104.0),
            VisualFormat::Post | VisualFormat::Square => (150.0, 150.0),
        }
    }

    /// The same of the band at the bottom.
    fn band_bottom(&self) -> (f32, f32) {
        match self.spec.format {
            VisualFormat::Story => (self.height - self.area.bottom() + 92.0, 92.0),
            VisualFormat::Link => (104.0, 104.0),
            VisualFormat::Post | VisualFormat::Square => (150.0, 150.0),
        }
    }

    fn scene(
        &self,
        page: &Page,
        numbered: Option<(usize, usize)>,
        credit: Option<&str>,
        texts: &Texts,
        common: Option<f32>,
    ) -> Result<Scene, VisualError> {
        let mut layers = self.backdrop();
        let frame = self.frame(page, numbered.is_some(), credit);
        // In bands the attribution has a place of its own.
        let banded = self.template == Template::PeriodBranding;
        let in_stack = Page { attribution: page.attribution.clone().filter(|_| !banded), ..page.clone() };
        let scale = match (common, page.headline.is_none(), page.display()) {
            (Some(size), true, Some((text, _))) => size / self.display_limit(text),
            _ => self.scale(&in_stack),
        };
        let (placed, high, _) = self.stack(&in_stack, frame.column, scale);
        let card = frame.card.map(|outer| self.card(outer, high, &mut layers));
        let column = card.unwrap_or(frame.column);
        let free = column.height - high;
        let top = column.y
            + match self.anchor {
                Anchor::Top => 0.0,
                // A little above the middle looks like the middle.
                Anchor::Middle => (free * if card.is_some() || self.is_link() { 0.5 } else { 0.46 }).max(0.0),
                Anchor::Bottom => free.max(0.0),
            };
        if card.is_none() && !banded && self.align != Align::Center && !self.is_link() {
            self.bar(top, column, &mut layers);
        }
        let mut words = Vec::new();
        self.furniture(&mut layers, &mut words, texts, page, credit);
        if let Some((at, count)) = numbered {
            self.dots(at, count, &mut layers);
        }
        for text in placed {
            let rect = Rect {
                y: text.rect.y + top,
                height: text.rect.height.min(column.bottom() - text.rect.y - top),
                ..text.rect
            };
            words.push(Layer::Text(TextLayer {
                role: text.role,
                text: text.text,
                rect: Rect { height: rect.height.max(text.size), ..rect },
                size: text.size,
                leading: text.leading,
                voice: text.voice,
                color: self.tones.ink,
                align: self.align,
                anchor: Anchor::Top,
                hyphenate: self.spec.hyphenate,
                tracking: self.tracking(text.voice),
            }));
        }
        if let Some(name) = credit.filter(|_| !banded) {
            let rect = Rect::new(self.area.x, self.area.bottom() - 26.0, self.area.width, 26.0);
            let align =
                if numbered.is_some() || self.align == Align::Start { Align::Start } else { Align::Center };
            let text = alt::credit(name, self.spec.language);
            words.push(self.label(Role::Credit, text, rect, 24.0 * self.unit.max(0.9), align));
        }
        layers.extend(words);
        let (width, height) = self.spec.format.size();
        let mut scene = Scene {
            width,
            height,
            typeface: self.spec.brand.typeface,
            language: self.spec.language,
            safe: self.spec.format.safe_area(),
            layers,
        };
        let veils = Veils { dark: self.tones.night, light: self.tones.paper };
        protect(&mut scene, self.pictures, &self.groups(), veils)?;
        Ok(scene)
    }

    /// Which texts share a colour, and which colours they may have.
    fn groups(&self) -> Vec<Group> {
        let dark_first = match self.template {
            Template::QuoteCard => true,
            Template::Dramatic | Template::Gradient => false,
            _ => !self.has_picture(),
        };
        let (light, dark) = (self.tones.paper, self.tones.ink);
        let any = vec![light, dark, Color::WHITE, Color::BLACK];
        // Over a picture, a veil under light text looks better than dark text on half-dark colours; only a bright
        // picture carries dark text.
        let (inks, instead) = match (self.has_picture(), dark_first) {
            (true, false) => (vec![light, Color::WHITE], Some(dark)),
            (_, true) => (vec![dark, light, Color::WHITE, Color::BLACK], None),
            (false, false) => (any.clone(), None),
        };
        let group =
            |roles, inks: &Vec<Color>, instead, wide| Group { roles, inks: inks.clone(), instead, wide };
        match self.template {
            Template::PeriodBranding => vec![
                group(vec![Role::Headline, Role::Body], &inks, instead, true),
                group(vec![Role::Attribution, Role::Credit], &any, None, false),
                group(vec![Role::Period], &any, None, false),
            ],
            Template::QuoteCard => vec![
                group(vec![Role::Headline, Role::Body, Role::Attribution], &inks, instead, false),
                group(vec![Role::Period], &any, None, false),
                group(vec![Role::Credit], &any, None, false),
            ],
            _ => vec![
                group(vec![Role::Headline, Role::Body, Role::Attribution], &inks, instead, true),
                group(vec![Role::Period], &inks, instead, true),
                group(vec![Role::Credit], &inks, instead, true),
            ],
        }
    }

    /// What is behind the text.
    fn backdrop(&self) -> Vec<Layer> {
        let Tones { paper, wash, vivid, deep, night, .. } = self.tones;
        let full = Rect::new(0.0, 0.0, self.width, self.height);
        let stop = |at, color, opacity| Stop { at, color, opacity };
        let fill = |color, opacity| Layer::Fill { color, opacity };
        let seed = self.spec.seed;
        match &self.spec.background {
            Background::Solid { color } => vec![fill(color.unwrap_or(deep), 1.0)],
            Background::Gradient { from, to, angle } => {
                let (usual_from, usual_to) = self.slope();
                let (from, to) = (from.unwrap_or(usual_from), to.unwrap_or(usual_to));
                vec![Layer::Gradient { angle: *angle, stops: vec![stop(0.0, from, 1.0), stop(1.0, to, 1.0)] }]
            }
            Background::Pattern { pattern, color } => {
                let base = color.unwrap_or(wash);
                let hue = color.unwrap_or(self.theme);
                let shift = if base.lightness() > 0.6 { -0.07 } else { 0.07 };
                let over = hue.tone(base.lightness() + shift, 0.13);
                vec![fill(base, 1.0), Layer::Pattern { pattern: *pattern, color: over, opacity: 0.75, seed }]
            }
            Background::Noise { colors } if colors.is_empty() => vec![self.clouds(paper, wash)],
            Background::Noise { colors } => {
                let base = colors.first().copied().unwrap_or(paper);
                vec![Layer::Clouds { base, colors: colors.clone(), seed }]
            }
            Background::Picture { .. } => {
                let mut layers = vec![Layer::Picture { slot: Slot::Background, rect: full, radius: 0.0 }];
                layers.extend(match self.template {
                    Template::Minimal | Template::Default => vec![fill(deep, 0.3)],
                    Template::Dramatic => vec![
                        fill(Color::BLACK, 0.38),
                        Layer::Gradient {
                            angle: 90.0,
                            stops: vec![stop(0.3, night, 0.0), stop(1.0, night, 0.85)],
                        },
                    ],
                    Template::Gradient => vec![Layer::Gradient {
                        angle: 90.0,
                        stops: vec![
                            stop(0.0, deep, 0.55),
                            stop(0.33, deep, 0.3),
                            stop(0.67, deep, 0.3),
                            stop(1.0, deep, 0.55),
                        ],
                    }],
                    Template::QuoteCard => vec![fill(deep, 0.12)],
                    Template::PeriodBranding => vec![fill(deep, 0.25)],
                });
                layers
            }
            Background::Template => match self.template {
                Template::Minimal | Template::Default => vec![self.clouds(paper, wash)],
                Template::Dramatic => {
                    let (glow, far) = (self.theme.tone(0.5, 0.2), self.theme.turned(-32.0).tone(0.4, 0.17));
                    vec![
                        Layer::Clouds { base: deep, colors: vec![glow, night, far], seed },
                        Layer::Gradient {
                            angle: 90.0,
                            stops: vec![stop(0.0, night, 0.1), stop(1.0, night, 0.88)],
                        },
                    ]
                }
                Template::Gradient => {
                    let (from, to) = self.slope();
                    vec![Layer::Gradient {
                        angle: SLOPE,
                        stops: vec![stop(0.0, from, 1.0), stop(1.0, to, 1.0)],
                    }]
                }
                Template::QuoteCard => {
                    let middle = self.theme.tone(0.72, 0.13);
                    let far = self.theme.turned(30.0).tone(0.6, 0.13);
                    vec![Layer::Clouds {
                        base: middle,
                        colors: vec![middle, far, self.theme.tone(0.82, 0.1)],
                        seed,
                    }]
                }
                Template::PeriodBranding => vec![
                    fill(paper, 1.0),
                    Layer::Pattern {
                        pattern: Pattern::Rings,
                        color: vivid.mix(paper, 0.55).tone(0.88, 0.07),
                        opacity: 0.9,
                        seed,
                    },
                ],
            },
        }
    }

    /// The two ends of a gradient in the tones of the period or brand.
    fn slope(&self) -> (Color, Color) {
        (self.theme.tone(0.56, 0.17), self.theme.turned(38.0).tone(0.36, 0.14))
    }

    fn clouds(&self, paper: Color, wash: Color) -> Layer {
        let warm = self.theme.turned(36.0).tone(0.935, 0.045);
        Layer::Clouds { base: paper, colors: vec![wash, paper, warm], seed: self.spec.seed }
    }

    /// The white card around a text of some height; gives the column within.
    fn card(&self, outer: Rect, high: f32, layers: &mut Vec<Layer>) -> Rect {
        let unit = self.unit;
        let padding = 78.0 * unit;
        let mark = if self.is_link() { 56.0 } else { 118.0 } * unit;
        let wanted = (high + 2.0 * padding + mark).max(self.height * 0.34).min(outer.height);
        let rect = Rect::new(outer.x, outer.y + (outer.height - wanted) * 0.48, outer.width, wanted);
        layers.push(Layer::Panel {
            rect,
            radius: 28.0 * unit,
            color: Color::WHITE,
            opacity: if self.has_picture() { 0.93 } else { 1.0 },
            border: Some(Border { color: self.tones.vivid, width: 5.0 }),
            shadow: true,
        });
        // The opening mark of the language, as an ornament: the text itself stays as it is.
        let quote = match self.spec.language {
            crate::Language::German => "„",
            crate::Language::English => "“",
        };
        let size = if self.is_link() { 120.0 } else { 230.0 } * unit;
        // A low mark hangs on the baseline, a high one under the ascender: both end up in the same place.
        let lift = if quote == "„" { 0.62 } else { -0.03 } * size;
        layers.push(Layer::Text(TextLayer {
            role: Role::Ornament,
            text: quote.to_owned(),
            rect: Rect::new(
                rect.x + padding,
                rect.y + padding * 0.92 - lift,
                rect.width - 2.0 * padding,
                size * 1.4,
            ),
            size,
            leading: 1.0,
            voice: Voice::Ornament,
            color: self.tones.vivid,
            align: self.align,
            anchor: Anchor::Top,
            hyphenate: false,
            tracking: 0.0,
        }));
        Rect::new(
            rect.x + padding,
            rect.y + padding + mark,
            rect.width - 2.0 * padding,
            rect.height - 2.0 * padding - mark,
        )
    }

    /// The short bar over the text.
    fn bar(&self, top: f32, column: Rect, layers: &mut Vec<Layer>) {
        let unit = self.unit;
        let (width, thick) = if self.template == Template::Dramatic { (150.0, 14.0) } else { (92.0, 10.0) };
        let gap = if self.template == Template::Dramatic { 58.0 } else { 52.0 };
        let rect = Rect::new(column.x, top - gap * unit, width * unit, thick * unit);
        layers.push(Layer::Panel {
            rect,
            radius: thick * unit / 2.0,
            color: self.tones.vivid,
            opacity: 1.0,
            border: None,
            shadow: false,
        });
    }

    /// Period, logo and, with bands, the attribution.
    fn furniture(
        &self,
        layers: &mut Vec<Layer>,
        words: &mut Vec<Layer>,
        texts: &Texts,
        page: &Page,
        credit: Option<&str>,
    ) {
        let unit = self.unit;
        if self.template == Template::PeriodBranding {
            let ((top, upper), (bottom, lower)) = (self.band_top(), self.band_bottom());
            let band = |rect, color, opacity| Layer::Panel {
                rect,
                radius: 0.0,
                color,
                opacity,
                border: None,
                shadow: false,
            };
            let (above, below) = if self.has_picture() { (0.9, 0.75) } else { (1.0, 1.0) };
            layers.push(band(Rect::new(0.0, 0.0, self.width, top), self.tones.vivid, above));
            layers.push(band(
                Rect::new(0.0, self.height - bottom, self.width, bottom),
                self.tones.deep,
                below,
            ));
            let row = Rect::new(self.area.x, top - upper, self.area.width, upper);
            if let Some(name) = &texts.period {
                let rect = Rect { width: row.width - 250.0 * unit, ..row };
                let mut label = self.label(Role::Period, name.clone(), rect, 52.0 * unit, Align::Start);
                if let Layer::Text(text) = &mut label {
                    text.voice = Voice::Display;
                    text.tracking = self.tracking(Voice::Display);
                }
                words.push(label);
            }
            self.logo(
                Rect::new(
                    row.right() - 220.0 * unit,
                    row.y + (row.height - 64.0 * unit) / 2.0,
                    220.0 * unit,
                    64.0 * unit,
                ),
                layers,
                self.tones.vivid,
            );
            // Attribution and credit share the lower band.
            let rect = Rect::new(self.area.x, self.height - bottom, self.area.width, lower);
            let both = page.attribution.is_some() && credit.is_some();
            if let Some(name) = &page.attribution {
                let align = if both { Align::Start } else { Align::Center };
                words.push(self.label(
                    Role::Attribution,
                    format!("— {name}"),
                    rect,
                    34.0 * unit.max(0.85),
                    align,
                ));
            }
            if let Some(name) = credit {
                let align = if both { Align::End } else { Align::Center };
                let text = alt::credit(name, self.spec.language);
                words.push(self.label(Role::Credit, text, rect, 24.0 * unit.max(0.9), align));
            }
            return;
        }
        let row = Rect::new(self.area.x, self.area.y, self.area.width, 60.0 * unit);
        if let Some(name) = &texts.period {
            let radius = 11.0 * unit;
            layers.push(Layer::Panel {
                rect: Rect::new(row.x, row.y + row.height / 2.0 - radius, 2.0 * radius, 2.0 * radius),
                radius,
                color: self.tones.vivid,
                opacity: 1.0,
                border: (self.template != Template::Minimal)
                    .then_some(Border { color: Color::WHITE, width: 3.0 * unit }),
                shadow: false,
            });
            let indent = 40.0 * unit;
            let rect = Rect { x: row.x + indent, width: row.width - indent - 250.0 * unit, ..row };
            let mut label = self.label(Role::Period, name.clone(), rect, 32.0 * unit.max(0.85), Align::Start);
            if let Layer::Text(text) = &mut label {
                text.tracking = 0.02;
            }
            words.push(label);
        }
        let behind = if self.template == Template::Dramatic { self.tones.night } else { self.tones.paper };
        self.logo(
            Rect::new(row.right() - 220.0 * unit, row.y - 8.0 * unit, 220.0 * unit, 76.0 * unit),
            layers,
            behind,
        );
    }

    /// The logo, at the right of a rectangle, on a plate if it would not stand out.
    #[expect(clippy::cast_precision_loss, reason = "a logo is small")]
    fn logo(&self, room: Rect, layers: &mut Vec<Layer>, behind: Color) {
        let Some(logo) = self.pictures.logo else { return };
        let shape = logo.width() as f32 / logo.height() as f32;
        let width = (room.height * shape).min(room.width);
        let high = width / shape;
        let rect = Rect::new(room.right() - width, room.y + (room.height - high) / 2.0, width, high);
        let unsure = self.has_picture()
            || matches!(
                self.spec.background,
                Background::Solid { .. }
                    | Background::Gradient { .. }
                    | Background::Noise { .. }
                    | Background::Pattern { .. }
            );
        let mean = mean_color(logo);
        if !logo.is_opaque() && (unsure || mean.contrast(behind) < 2.0) {
            let plate = if mean.luminance() > 0.4 { self.tones.night } else { Color::WHITE };
            layers.push(Layer::Panel {
                rect: rect.inset(-14.0 * self.unit),
                radius: 16.0 * self.unit,
                color: plate,
                opacity: 0.94,
                border: None,
                shadow: false,
            });
        }
        layers.push(Layer::Picture { slot: Slot::Logo, rect, radius: 0.0 });
    }

    /// Which slide this is: dots at the bottom, the present one long.
    #[expect(clippy::cast_precision_loss, reason = "there are at most ten slides")]
    fn dots(&self, at: usize, count: usize, layers: &mut Vec<Layer>) {
        let unit = self.unit;
        let (dot, long, gap) = (12.0 * unit, 40.0 * unit, 12.0 * unit);
        let total = (count - 1) as f32 * (dot + gap) + long;
        let mut x = match self.align {
            Align::Center | Align::End => (self.width - total) / 2.0,
            Align::Start => self.area.right() - total,
        };
        let banded = self.template == Template::PeriodBranding;
        let bottom =
            if banded { self.height - self.band_bottom().0 - 30.0 * unit } else { self.area.bottom() };
        let light = !banded
            && (self.has_picture()
                || matches!(self.template, Template::Dramatic | Template::Gradient | Template::QuoteCard));
        for page in 1..=count {
            let width = if page == at { long } else { dot };
            layers.push(Layer::Panel {
                rect: Rect::new(x, bottom - dot, width, dot),
                radius: dot / 2.0,
                color: if light { Color::WHITE } else { self.tones.ink },
                opacity: if page == at { 0.95 } else { 0.4 },
                border: None,
                shadow: false,
            });
            x += width + gap;
        }
    }

    fn label(&self, role: Role, text: String, rect: Rect, size: f32, align: Align) -> Layer {
        Layer::Text(TextLayer {
            role,
            text,
            rect,
            size: size.round(),
            leading: 1.2,
            voice: Voice::Label,
            color: self.tones.ink,
            align,
            anchor: Anchor::Middle,
            hyphenate: false,
            tracking: 0.0,
        })
    }
}

/// The mean colour of a picture, weighted by its opacity.
fn mean_color(picture: &super::Picture) -> Color {
    let mut sum = [0_u64; 4];
    for pixel in picture.rgba().as_chunks::<4>().0 {
        let alpha = u64::from(pixel[3]);
        for (sum, value) in sum.iter_mut().zip([
            u64::from(pixel[0]) * alpha,
            u64::from(pixel[1]) * alpha,
            u64::from(pixel[2]) * alpha,
            alpha,
        ]) {
            *sum += value;
        }
    }
    let [r, g, b, alpha] = sum;
    let mean = |value: u64| u8::try_from(value / alpha.max(1)).unwrap_or(255);
    Color::new(mean(r), mean(g), mean(b))
}
