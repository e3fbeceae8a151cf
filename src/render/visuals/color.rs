//! Colours: sRGB values, contrast as WCAG measures it, and tones of one hue.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An opaque sRGB colour, written `#RRGGBB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color {
    /// Red, 0 to 255.
    pub r: u8,
    /// Green, 0 to 255.
    pub g: u8,
    /// Blue, 0 to 255.
    pub b: u8,
}

/// A text is no colour: it is not `#RRGGBB`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a colour: write it as #RRGGBB")]
pub struct NotAColor(String);

impl Color {
    /// White.
    pub const WHITE: Self = Self { r: 255, g: 255, b: 255 };
    /// Black.
    pub const BLACK: Self = Self { r: 0, g: 0, b: 0 };

    /// A colour of its three channels.
    pub const fn new(r: u8, g: u8, b: u8) -> Self {
        Self { r, g, b }
    }

    /// Relative luminance, 0 (black) to 1 (white): WCAG 2.2, "relative luminance".
    pub fn luminance(self) -> f32 {
        luminance([linear(self.r), linear(self.g), linear(self.b)])
    }

    /// The contrast ratio with another colour, 1 to 21: WCAG 2.2, "contrast ratio".
    pub fn contrast(self, other: Self) -> f32 {
        contrast(self.luminance(), other.luminance())
    }

    /// The mixture with another colour in sRGB, as alpha blending makes it: 0 is this colour, 1 the other.
    #[must_use]
    pub fn mix(self, other: Self, share: f32) -> Self {
        let channel =
            |a: u8, b: u8| byte(f32::from(a) + (f32::from(b) - f32::from(a)) * share.clamp(0.0, 1.0));
        Self { r: channel(self.r, other.r), g: channel(self.g, other.g), b: channel(self.b, other.b) }
    }

    /// The same hue at another lightness (0 to 1, perceptual) and at most this chroma (0 to about 0.37).
    ///
    /// Works in `OKLab` (Ottosson 2020, "A perceptual color space for image processing"). Chroma is lowered until the
    /// colour exists in sRGB, so that the hue stays.
    #[must_use]
    pub fn tone(self, lightness: f32, chroma: f32) -> Self {
        let [_, a, b] = self.oklab();
        let own = a.hypot(b);
        let (ua, ub) = if own < 1e-4 { (0.0, 0.0) } else { (a / own, b / own) };
        let mut chroma = chroma.min(own);
        for _ in 0..24 {
            let rgb = from_oklab([lightness, ua * chroma, ub * chroma]);
            if rgb.iter().all(|value| (-0.002..=1.002).contains(value)) {
                break;
            }
            chroma *= 0.9;
        }
        let [r, g, b] = from_oklab([lightness, ua * chroma, ub * chroma]).map(encoded);
        Self { r, g, b }
    }

    /// The same lightness and chroma with the hue turned by so many degrees.
    #[must_use]
    #[expect(clippy::many_single_char_names, reason = "colour channels have letters for names")]
    pub fn turned(self, degrees: f32) -> Self {
        let [l, a, b] = self.oklab();
        let (sin, cos) = degrees.to_radians().sin_cos();
        let [r, g, blue] = from_oklab([l, a * cos - b * sin, a * sin + b * cos]).map(encoded);
        Self { r, g, b: blue }.tone(l, a.hypot(b))
    }

    /// Perceptual lightness, 0 to 1 (`OKLab`'s L).
    pub fn lightness(self) -> f32 {
        self.oklab()[0]
    }

    #[expect(clippy::many_single_char_names, reason = "colour channels have letters for names")]
    pub(crate) fn oklab(self) -> [f32; 3] {
        let (r, g, b) = (linear(self.r), linear(self.g), linear(self.b));
        let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
        let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
        let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
        [
            0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
            1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
            0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
        ]
    }
}

/// Linear sRGB of an `OKLab` colour; outside 0 to 1 where sRGB does not have it.
fn from_oklab([l, a, b]: [f32; 3]) -> [f32; 3] {
    let cube = |value: f32| value * value * value;
    let lms = [
        cube(l + 0.396_337_78 * a + 0.215_803_76 * b),
        cube(l - 0.105_561_346 * a - 0.063_854_17 * b),
        cube(l - 0.089_484_18 * a - 1.291_485_5 * b),
    ];
    [
        4.076_741_7 * lms[0] - 3.307_711_6 * lms[1] + 0.230_969_94 * lms[2],
        -1.268_438 * lms[0] + 2.609_757_4 * lms[1] - 0.341_319_38 * lms[2],
        -0.004_196_086_3 * lms[0] - 0.703_418_6 * lms[1] + 1.707_614_7 * lms[2],
    ]
}

/// The contrast ratio of two relative luminances.
pub(crate) fn contrast(a: f32, b: f32) -> f32 {
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Relative luminance of linear sRGB.
pub(crate) fn luminance([r, g, b]: [f32; 3]) -> f32 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// The linear value of an sRGB channel.
pub(crate) fn linear(value: u8) -> f32 {
    let value = f32::from(value) / 255.0;
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// The sRGB channel of a linear value.
fn encoded(value: f32) -> u8 {
    let value = value.clamp(0.0, 1.0);
    byte(255.0 * if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 })
}

/// The nearest byte of a value from 0 to 255.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte first")]
pub(crate) fn byte(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02X}{:02X}{:02X}", self.r, self.g, self.b)
    }
}

impl FromStr for Color {
    type Err = NotAColor;

    fn from_str(text: &str) -> Result<Self, NotAColor> {
        let wrong = || NotAColor(text.chars().take(20).collect());
        let digits = text.strip_prefix('#').ok_or_else(wrong)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let value = u32::from_str_radix(digits, 16).map_err(|_| wrong())?;
        let [_, r, g, b] = value.to_be_bytes();
        Ok(Self { r, g, b })
    }
}

impl TryFrom<String> for Color {
    type Error = NotAColor;

    fn try_from(text: String) -> Result<Self, NotAColor> {
        text.parse()
    }
}

impl From<Color> for String {
    fn from(color: Color) -> Self {
        color.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_recommendation() {
        assert!((Color::BLACK.contrast(Color::WHITE) - 21.0).abs() < 0.01);
        assert!((Color::WHITE.contrast(Color::WHITE) - 1.0).abs() < 0.001);
        // The well-known grey that just passes on white.
        assert!((Color::new(0x76, 0x76, 0x76).contrast(Color::WHITE) - 4.54).abs() < 0.02);
    }

    #[test]
    fn a_tone_keeps_the_hue_and_hits_the_lightness() {
        for color in ["#DAA520", "#2196F3", "#F44336", "#FFD700", "#CC0066", "#4CAF50", "#9C27B0", "#808080"]
        {
            let color: Color = color.parse().unwrap();
            for lightness in [0.18, 0.3, 0.62, 0.9, 0.97] {
                let tone = color.tone(lightness, 0.12);
                assert!((tone.lightness() - lightness).abs() < 0.02, "{color} {lightness} {tone}");
            }
        }
    }

    #[test]
    fn colours_are_read_and_written() {
        assert_eq!("#daa520".parse::<Color>().unwrap().to_string(), "#DAA520");
        for wrong in ["", "#", "DAA520", "#12345", "#1234567", "#GGGGGG", "#+12345", "#ää1", "red"] {
            assert!(wrong.parse::<Color>().is_err(), "{wrong}");
        }
    }
}
