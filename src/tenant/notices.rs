//! Who hears of what somebody should look at, and from when on a tenant is silent or failing. These settings stand in the
//! tenant's own record alone: no request needs them, so no key has a copy.

use std::fmt;
use std::str::FromStr;

use crate::limits::{
    DEFAULT_FAILING_REQUESTS, MAX_FAILING_REQUESTS, MAX_MAIL_ADDRESS_BYTES, MAX_NOTIFY_ADDRESSES, MAX_SILENT_DAYS,
    SILENT_TENANT_DAYS,
};

/// Longest part of a mail address before the `@` (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL_PART_BYTES: usize = 64;

/// Longest label of a domain (RFC 1035 section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// What an operator clears a setting with.
const OFF: &str = "off";

/// Who hears of a tenant's notices, and what becomes one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoticeSettings {
    /// Who gets each notice as a mail.
    pub notify: NotifyList,
    /// After how many days without a request the tenant is silent.
    pub silent_after: SilentAfter,
    /// With how many refused requests within an hour the tenant is failing.
    pub failing_above: FailingAbove,
}

/// A mail address: `local@domain` in ASCII, as SES takes it. A domain with other letters is written in Punycode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress(String);

/// The mail addresses of a tenant, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotifyList(Vec<MailAddress>);

/// Days without a request; none where nobody wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilentAfter(pub Option<u32>);

/// Refused requests within an hour that are not yet a failure; none where nobody wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailingAbove(pub Option<u32>);

impl MailAddress {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MailAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('@').filter(|(local, domain)| is_local_part(local) && is_domain(domain));
        match parts {
            Some(_) if text.len() <= MAX_MAIL_ADDRESS_BYTES => Ok(Self(text.to_owned())),
            _ => Err(format!("{text:?} is not a mail address; send addresses such as ops@example.com")),
        }
    }
}

/// A `dot-atom` of RFC 5322: quoted local parts are refused, as nobody has one.
fn is_local_part(text: &str) -> bool {
    let is_atom = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c);
    text.len() <= MAX_LOCAL_PART_BYTES && text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom))
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

impl NotifyList {
    /// The addresses.
    pub fn addresses(&self) -> &[MailAddress] {
        &self.0
    }

    /// A list of those addresses; each counts once.
    ///
    /// # Errors
    /// The address that is none, or that there are too many.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut addresses = Vec::new();
        for text in texts {
            let address = text.parse()?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.len() > MAX_NOTIFY_ADDRESSES {
            return Err(format!("has more than {MAX_NOTIFY_ADDRESSES} addresses; name a mailing list instead"));
        }
        Ok(Self(addresses))
    }

    /// The addresses as texts.
    pub fn texts(&self) -> Vec<&str> {
        self.0.iter().map(MailAddress::as_str).collect()
    }
}

impl FromStr for NotifyList {
    type Err = String;

    /// Addresses with commas between; `off` for none.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            OFF => Ok(Self::default()),
            text => Self::parse(text.split(',').map(str::trim)),
        }
    }
}

impl Default for SilentAfter {
    fn default() -> Self {
        Self(Some(SILENT_TENANT_DAYS))
    }
}

impl fmt::Display for SilentAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(days) => write!(f, "{days}d"),
            None => f.write_str(OFF),
        }
    }
}

impl FromStr for SilentAfter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        match days.filter(|days| (1..=MAX_SILENT_DAYS).contains(days)) {
            Some(days) => Ok(Self(Some(days))),
            None if text == OFF => Ok(Self(None)),
            None => Err(format!("{text:?} is not 1d to {MAX_SILENT_DAYS}d; send days such as 3d, or off")),
        }
    }
}

impl Default for FailingAbove {
    fn default() -> Self {
        Self(Some(DEFAULT_FAILING_REQUESTS))
    }
}

impl fmt::Display for FailingAbove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(requests) => write!(f, "{requests}"),
            None => f.write_str(OFF),
        }
    }
}

impl FromStr for FailingAbove {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let requests = text.parse().ok().filter(|requests| (0..=MAX_FAILING_REQUESTS).contains(requests));
        match requests {
            Some(requests) => Ok(Self(Some(requests))),
            None if text == OFF => Ok(Self(None)),
            None => Err(format!("{text:?} is not 0 to {MAX_FAILING_REQUESTS}; send a number such as 20, or off")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_address_is_what_ses_takes() {
        for text in ["a@x.yz", "first.last+tag@sub.example.com", "o'neil@xn--bcher-kva.example", "A@X.YZ"] {
            assert_eq!(text.parse::<MailAddress>().map(|address| address.as_str().to_owned()), Ok(text.to_owned()));
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "a",
            "@x.yz",
            "a@",
            "a@x",
            "a@x..y",
            "a@-x.y",
            "a b@x.yz",
            "a@x.yz\r\nBcc: b@x.yz",
            "a@b@x.yz",
            ".a@x.yz",
            "a..b@x.yz",
            "\"a\"@x.yz",
            "ä@x.yz",
            "a@bücher.example",
            "<a@x.yz>",
            "a@[127.0.0.1]",
            &long,
        ] {
            assert!(text.parse::<MailAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_bounded_and_has_each_address_once() {
        let list: NotifyList = "a@x.yz, b@x.yz,a@x.yz".parse().unwrap();
        assert_eq!(list.texts(), ["a@x.yz", "b@x.yz"]);
        assert_eq!("off".parse(), Ok(NotifyList::default()));
        let so_many = |count: usize| (0..count).map(|n| format!("a{n}@x.yz")).collect::<Vec<_>>().join(",");
        assert!(so_many(MAX_NOTIFY_ADDRESSES).parse::<NotifyList>().is_ok());
        assert!(so_many(MAX_NOTIFY_ADDRESSES + 1).parse::<NotifyList>().is_err());
        assert!("a@x.yz,".parse::<NotifyList>().is_err());
    }

    #[test]
    fn thresholds_are_read_as_they_are_written() {
        for text in ["1d", "90d", "off"] {
            assert_eq!(text.parse::<SilentAfter>().unwrap().to_string(), text);
        }
        for text in ["0d", "91d", "3", "d", "-1d", "none"] {
            assert!(text.parse::<SilentAfter>().is_err(), "{text}");
        }
        for text in ["0", "10000", "off"] {
            assert_eq!(text.parse::<FailingAbove>().unwrap().to_string(), text);
        }
        for text in ["10001", "-1", "", "5%"] {
            assert!(text.parse::<FailingAbove>().is_err(), "{text}");
        }
        assert_eq!(NoticeSettings::default().silent_after, SilentAfter(Some(SILENT_TENANT_DAYS)));
    }
}
