//! How a tenant is protected against mass deprovisioning: what happens once many users have lost access within a window.

use std::fmt;
use std::str::FromStr;

use crate::limits::{
    DEFAULT_PROTECTED_PERCENT, DEFAULT_PROTECTED_USERS, DEFAULT_PROTECTION_MINUTES, MAX_PROTECTION_MINUTES,
};

/// The protection of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protection {
    /// What happens over the bound.
    pub mode: ProtectionMode,
    /// How many users may lose access within the window.
    pub users: UserBound,
    /// How long a window is.
    pub window: ProtectionWindow,
}

/// What happens to a request that takes access away, over the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtectionMode {
    /// Rollcall counts nothing.
    Off,
    /// The request goes on, and Rollcall logs a warning.
    #[default]
    Warn,
    /// Rollcall answers 429 until an operator approves, or the window ends.
    Hold,
}

/// How many users may lose access: a share of all, or a number if that is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserBound {
    /// Per cent of the tenant's users.
    pub percent: u8,
    /// Users, however few there are.
    pub floor: u32,
}

/// The length of a window in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtectionWindow(pub u32);

impl Default for UserBound {
    fn default() -> Self {
        Self { percent: DEFAULT_PROTECTED_PERCENT, floor: DEFAULT_PROTECTED_USERS }
    }
}

impl Default for ProtectionWindow {
    fn default() -> Self {
        Self(DEFAULT_PROTECTION_MINUTES)
    }
}

impl ProtectionMode {
    /// The name in records and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Hold => "hold",
        }
    }
}

impl fmt::Display for ProtectionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProtectionMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Off, Self::Warn, Self::Hold]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| format!("{text} is unknown; use off, warn or hold"))
    }
}

impl fmt::Display for UserBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%/{}", self.percent, self.floor)
    }
}

impl FromStr for UserBound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once("%/").and_then(|(percent, floor)| Some((percent.parse().ok()?, floor.parse().ok()?)));
        match parts {
            Some((percent, floor)) if percent <= 100 => Ok(Self { percent, floor }),
            _ => Err(format!("{text} is not PERCENT%/USERS; send a bound such as 20%/25")),
        }
    }
}

impl fmt::Display for ProtectionWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}m", self.0)
    }
}

impl FromStr for ProtectionWindow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minutes = match (text.strip_suffix('m'), text.strip_suffix('h')) {
            (Some(minutes), _) => minutes.parse::<u32>().ok(),
            (_, Some(hours)) => hours.parse::<u32>().ok().and_then(|hours| hours.checked_mul(60)),
            _ => None,
        };
        match minutes {
            Some(minutes) if (1..=MAX_PROTECTION_MINUTES).contains(&minutes) => Ok(Self(minutes)),
            _ => Err(format!("{text} is not 1m to {MAX_PROTECTION_MINUTES}m; send a length such as 60m or 2h")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_windows_are_read_as_they_are_written() {
        for text in ["20%/25", "0%/0", "100%/1"] {
            assert_eq!(text.parse::<UserBound>().unwrap().to_string(), text);
        }
        for text in ["20", "20%", "101%/1", "-1%/5", "20/25", "%/"] {
            assert!(text.parse::<UserBound>().is_err(), "{text}");
        }
        assert_eq!("2h".parse(), Ok(ProtectionWindow(120)));
        assert_eq!("60m".parse(), Ok(ProtectionWindow::default()));
        for text in ["0m", "60", "25h", "m", "-5m", "99999999h"] {
            assert!(text.parse::<ProtectionWindow>().is_err(), "{text}");
        }
    }
}
