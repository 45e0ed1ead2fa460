//! A colour, and what becomes of it where text of that colour, or on it, must be readable.

use std::fmt;
use std::str::FromStr;

/// The contrast that WCAG 2.2 asks of text (success criterion 1.4.3, level AA).
const READABLE: f64 = 4.5;

/// How many steps a colour takes to black or white.
const STEPS: u16 = 64;

/// The backgrounds of the light theme in `style.css` on which a link stands: of the page, panels, warnings and alerts.
const LIGHT: [Rgb; 4] = [Rgb(0xff, 0xff, 0xff), Rgb(0xf3, 0xf4, 0xf6), Rgb(0xff, 0xf4, 0xdc), Rgb(0xfd, 0xec, 0xec)];

/// Those of the dark theme.
const DARK: [Rgb; 4] = [Rgb(0x14, 0x16, 0x1a), Rgb(0x1f, 0x23, 0x29), Rgb(0x33, 0x28, 0x0f), Rgb(0x3a, 0x1a, 0x1c)];

/// A colour of sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(u8, u8, u8);

/// The colour of a product in both themes: as it was set, or the nearest one towards black or white that can be read.
/// White text stands on it in the light theme, and nearly black text in the dark one; both differ more from it than the
/// backgrounds do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accent {
    /// In the light theme.
    pub light: Rgb,
    /// In the dark theme.
    pub dark: Rgb,
}

impl Accent {
    /// The colours of a product's own.
    pub fn of(color: Rgb) -> Self {
        let nearest = |end: Rgb, backgrounds: &[Rgb]| {
            let mut steps = (0..=STEPS).map(|step| color.towards(end, step));
            steps
                .find(|color| backgrounds.iter().all(|background| color.contrast(*background) >= READABLE))
                .unwrap_or(end)
        };
        Self { light: nearest(Rgb(0, 0, 0), &LIGHT), dark: nearest(Rgb(0xff, 0xff, 0xff), &DARK) }
    }
}

impl Rgb {
    fn towards(self, end: Self, step: u16) -> Self {
        let part = |from: u8, to: u8| {
            let mixed = (u16::from(from) * (STEPS - step) + u16::from(to) * step) / STEPS;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        Self(part(self.0, end.0), part(self.1, end.1), part(self.2, end.2))
    }

    /// The ratio of WCAG 2.2.
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126f64.mul_add(linear(self.0), 0.7152f64.mul_add(linear(self.1), 0.0722 * linear(self.2)))
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

impl FromStr for Rgb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is no colour; set one such as #0b4fb3".to_owned();
        let mut parts = [0; 3];
        let digits = text.strip_prefix('#').unwrap_or(text);
        hex::decode_to_slice(digits, &mut parts).map_err(|_| wrong())?;
        let [red, green, blue] = parts;
        Ok(Self(red, green, blue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_can_be_read_in_both_themes() {
        let (white, near_black) = (Rgb(0xff, 0xff, 0xff), Rgb(0x0c, 0x15, 0x24));
        for red in (0..=255).step_by(15) {
            for green in (0..=255).step_by(15) {
                for blue in (0..=255).step_by(15) {
                    let accent = Accent::of(Rgb(red, green, blue));
                    assert!(LIGHT.iter().all(|it| accent.light.contrast(*it) >= READABLE), "{accent:?}");
                    assert!(DARK.iter().all(|it| accent.dark.contrast(*it) >= READABLE), "{accent:?}");
                    assert!(accent.light.contrast(white) >= READABLE && accent.dark.contrast(near_black) >= READABLE);
                }
            }
        }
    }

    #[test]
    fn what_can_be_read_stays_and_the_ratio_is_that_of_wcag() {
        let blue: Rgb = "#0B4FB3".parse().unwrap();
        assert_eq!(Accent::of(blue).light, blue);
        assert_ne!(Accent::of(blue).dark, blue);
        assert!((Rgb(0, 0, 0).contrast(Rgb(0xff, 0xff, 0xff)) - 21.0).abs() < 1e-9);
        assert_eq!(blue.to_string(), "0b4fb3");
        for wrong in ["", "#fff", "blue", "#0b4fb", "#0b4fb3ff"] {
            assert!(wrong.parse::<Rgb>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_backgrounds_are_those_of_the_style_sheet() {
        let style = include_str!("../../api/pages/style.css");
        let rule = |at: usize| style.split(":root{").nth(at).unwrap().split('}').next().unwrap();
        for (at, backgrounds) in [(1, LIGHT), (2, DARK)] {
            for (name, color) in ["--bg:#", "--soft:#", "--warnbg:#", "--badbg:#"].iter().zip(backgrounds) {
                let written = rule(at).split(name).nth(1).unwrap().split(';').next().unwrap();
                let written = if written.len() == 3 {
                    written.chars().flat_map(|c| [c, c]).collect()
                } else {
                    written.to_owned()
                };
                assert_eq!(written, color.to_string(), "{name}");
            }
        }
    }
}
