//! The form that the secret of a link goes into.

use askama::Template;

use super::super::RequestContext;
use super::asset::{self, PageLook};
use super::catalogue::{Catalogue, Language};
use super::request;

/// The page of who is not signed in.
#[derive(Template)]
#[template(path = "entry.html")]
pub(super) struct EntryPage {
    t: &'static Catalogue,
    language: Language,
    languages: [Language; 2],
    base: String,
    look: PageLook,
    message: Option<String>,
}

impl EntryPage {
    /// The page, above the form a message.
    pub(super) fn new(context: &RequestContext<'_>, message: Option<String>) -> Self {
        let language = request::language(context);
        let (t, base, look) = (language.catalogue(), context.page_base(), asset::look(context));
        Self { t, language, languages: Language::ALL, base, look, message }
    }
}
