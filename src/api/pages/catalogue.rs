//! Every word of the page, in each language. A row has the key, English and German; the compiler misses a key that one
//! language lacks, and a test compares the placeholders.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::English, Self::German];

    /// The tag of BCP 47.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// What its speakers call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    pub(super) fn catalogue(self) -> &'static Catalogue {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
        }
    }

    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// The first language of `Accept-Language` that the page has. Browsers list them by preference.
    pub(super) fn of_headers(headers: &HeaderMap) -> Self {
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let tags = accepted.split(',').filter_map(|range| range.trim().get(..2));
        tags.map(str::to_ascii_lowercase).find_map(|tag| Self::of_tag(&tag)).unwrap_or(Self::English)
    }
}

/// A text with its placeholders filled in.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Writes [`Catalogue`] and one constant for each language.
macro_rules! catalogue {
    ($($key:ident $english:literal $german:literal;)*) => {
        /// The words of one language.
        pub(super) struct Catalogue { $(pub(super) $key: &'static str,)* }
        static ENGLISH: Catalogue = Catalogue { $($key: $english,)* };
        static GERMAN: Catalogue = Catalogue { $($key: $german,)* };
        #[cfg(test)]
        const ROWS: &[(&str, &str, &str)] = &[$((stringify!($key), $english, $german),)*];
    };
}

catalogue! {
    product "Manage user provisioning" "Benutzerbereitstellung verwalten";
    skip "Skip to content" "Zum Inhalt springen";
    navigation "Pages" "Seiten";
    language "Language" "Sprache";
    sign_out "Sign out" "Abmelden";
    signed_in_as "Signed in for {person}" "Angemeldet für {person}";
    session_rule "The session ends after 60 minutes without use, and after 8 hours." "Die Sitzung endet nach 60 Minuten ohne Nutzung und nach 8 Stunden.";
    role "Your role: {role}" "Ihre Rolle: {role}";
    role_view "view" "Ansehen";
    role_setup "setup" "Einrichten";
    role_operate "operate" "Betreiben";
    copy "Copy" "Kopieren";
    copied "Copied" "Kopiert";
    yes "Yes" "Ja";
    no "No" "Nein";
    never "never" "nie";

    entry_title "Sign in" "Anmelden";
    entry_wait "Signing you in …" "Sie werden angemeldet …";
    entry_text "Open the link that you were sent. It works once." "Öffnen Sie den Link, den Sie erhalten haben. Er funktioniert einmal.";
    entry_paste "If nothing happens, paste the whole link, or the part after the sign #, and select Sign in." "Wenn nichts geschieht, fügen Sie den ganzen Link oder den Teil nach dem Zeichen # ein und wählen Sie Anmelden.";
    entry_field "Link" "Link";
    entry_continue "You have signed in already? Continue to the overview." "Sie sind schon angemeldet? Weiter zur Übersicht.";
    entry_refused "This link does not work: it was used, has expired or was revoked. Ask for a new link." "Dieser Link funktioniert nicht: Er wurde benutzt, ist abgelaufen oder wurde widerrufen. Bitten Sie um einen neuen Link.";
    entry_session_over "You are not signed in, or your session has ended. Open a new link." "Sie sind nicht angemeldet, oder Ihre Sitzung ist beendet. Öffnen Sie einen neuen Link.";
    entry_signed_out "You have signed out." "Sie haben sich abgemeldet.";

    error_title "This did not work" "Das hat nicht geklappt";
    error_text "Rollcall rejected the request: {detail}" "Rollcall hat die Anfrage abgelehnt: {detail}";
    error_request "Request {request}" "Anfrage {request}";
    error_foreign "the form came from another site; open the page again and repeat" "das Formular kam von einer anderen Seite; öffnen Sie die Seite neu und wiederholen Sie es";
    error_role "your link does not allow this; ask for a link with a role that does" "Ihr Link erlaubt das nicht; bitten Sie um einen Link mit einer passenden Rolle";
    error_page "no page is here; choose one from the list of pages" "hier ist keine Seite; wählen Sie eine aus der Liste der Seiten";

    overview "Overview" "Übersicht";
    overview_nothing "Nothing has arrived yet." "Noch ist nichts angekommen.";
    overview_next "Connect your identity provider" "Verbinden Sie Ihren Identitätsanbieter";
    overview_arriving "Requests arrive." "Anfragen kommen an.";
    overview_silent "Nothing has arrived for three days. Check whether provisioning is on at your identity provider." "Seit drei Tagen ist nichts angekommen. Prüfen Sie, ob die Bereitstellung bei Ihrem Identitätsanbieter eingeschaltet ist.";
    overview_last "Last request" "Letzte Anfrage";
    overview_last_note "within 15 minutes" "auf 15 Minuten genau";
    overview_users "Users" "Benutzer";
    overview_groups "Groups" "Gruppen";
    overview_refused "Refused in 24 hours" "Abgelehnt in 24 Stunden";
    overview_refused_link "Read why" "Gründe lesen";
    overview_keys "Working keys" "Gültige Schlüssel";
    overview_expiring "The key “{description}” stops working soon. Rotate it." "Der Schlüssel „{description}“ läuft bald ab. Erneuern Sie ihn.";
    overview_recent "Latest entries" "Neueste Einträge";

    held_title "Removals are held" "Entfernungen werden zurückgehalten";
    held_warn_title "Many users lost access" "Viele Benutzer haben den Zugang verloren";
    held_users "{count} users lost access since {opened}. The bound is {bound}." "{count} Benutzer haben seit {opened} den Zugang verloren. Die Grenze ist {bound}.";
    held_group "{count} members left the group {group} since {opened}. The bound is {bound}." "{count} Mitglieder haben seit {opened} die Gruppe {group} verlassen. Die Grenze ist {bound}.";
    held_decision "Decision: {decision}" "Entscheidung: {decision}";
    held_until "The window ends at {until}." "Das Fenster endet um {until}.";
    held_approve "Approve all" "Alles zulassen";
    held_reject "Keep holding" "Weiter zurückhalten";
    held_once "Let this many more through" "So viele weitere zulassen";
    held_once_button "Let them through" "Zulassen";

    connect "Connect" "Verbinden";
    connect_choose "Which identity provider do you use?" "Welchen Identitätsanbieter nutzen Sie?";
    connect_steps "Steps" "Schritte";
    connect_done "done" "erledigt";
    connect_open "open" "offen";
    connect_step_key "Create a key" "Schlüssel erstellen";
    connect_step_key_link "Create a key" "Schlüssel erstellen";
    connect_step_values "Enter these values at {provider}" "Diese Werte bei {provider} eintragen";
    connect_step_test "Test the connection: the first request arrives" "Verbindung testen: Die erste Anfrage kommt an";
    connect_step_user "Assign a user: the first user arrives" "Benutzer zuweisen: Der erste Benutzer kommt an";
    connect_step_group "Assign a group, if you use groups: the first group arrives" "Gruppe zuweisen, falls Sie Gruppen nutzen: Die erste Gruppe kommt an";
    connect_values "Values, in the order of the form" "Werte in der Reihenfolge des Formulars";
    connect_secret_value "the key: you see it once, when you create it" "der Schlüssel: Sie sehen ihn einmal, beim Erstellen";
    connect_required "Attributes that this application requires" "Attribute, die diese Anwendung verlangt";
    connect_entra_where "In the Entra admin center, open Enterprise applications, your application, Provisioning." "Öffnen Sie im Entra Admin Center Unternehmensanwendungen, Ihre Anwendung, Bereitstellung.";
    connect_entra_test "Select Test Connection, then Save. Then assign users to the application and set Provisioning Status to On." "Wählen Sie Verbindung testen und Speichern. Weisen Sie der Anwendung dann Benutzer zu und setzen Sie den Bereitstellungsstatus auf Ein.";
    connect_okta_where "In the Okta admin console, open your application, Provisioning, Integration." "Öffnen Sie in der Okta Admin Console Ihre Anwendung, Provisioning, Integration.";
    connect_okta_test "Select Test Connector Configuration, then Save. Then assign people to the application." "Wählen Sie Test Connector Configuration und Save. Weisen Sie der Anwendung dann Personen zu.";

    keys "Keys" "Schlüssel";
    keys_description "Description" "Beschreibung";
    keys_type "Type" "Typ";
    keys_automation "Automation user" "Automatisierungsbenutzer";
    keys_state "State" "Zustand";
    keys_used "Last use" "Letzte Nutzung";
    keys_expires "Expires" "Läuft ab";
    keys_actions "Actions" "Aktionen";
    keys_none "There is no key yet." "Es gibt noch keinen Schlüssel.";
    keys_rotate "Rotate" "Erneuern";
    keys_rotate_text "You get a new key. The old key works for 24 more hours." "Sie erhalten einen neuen Schlüssel. Der alte funktioniert noch 24 Stunden.";
    keys_revoke "Revoke" "Widerrufen";
    keys_revoke_text "The next request with this key is refused. This cannot be undone." "Die nächste Anfrage mit diesem Schlüssel wird abgelehnt. Das lässt sich nicht rückgängig machen.";
    keys_add "Add a new key" "Neuen Schlüssel hinzufügen";
    keys_add_hint "A name by which you know it, such as Entra ID" "Ein Name, an dem Sie ihn erkennen, zum Beispiel Entra ID";
    keys_add_button "Add" "Hinzufügen";
    keys_no_user "no automation user" "kein Automatisierungsbenutzer";
    state_live "works" "gültig";
    state_expiring "expires soon" "läuft bald ab";
    state_waiting "waits for its automation user" "wartet auf seinen Automatisierungsbenutzer";
    state_pending "not yet valid" "noch nicht gültig";
    state_expired "expired" "abgelaufen";
    state_revoked "revoked" "widerrufen";

    secret_title "Your new key" "Ihr neuer Schlüssel";
    secret_text "Copy the key now. Rollcall does not store it and cannot return it again." "Kopieren Sie den Schlüssel jetzt. Rollcall speichert ihn nicht und kann ihn nicht noch einmal ausgeben.";
    secret_field "Key" "Schlüssel";
    secret_waiting "The key works once its automation user is active." "Der Schlüssel funktioniert, sobald sein Automatisierungsbenutzer aktiv ist.";
    secret_saved "I have saved the key" "Ich habe den Schlüssel gespeichert";
    secret_continue "Continue" "Weiter";
    link_title "The new link" "Der neue Link";
    link_text "Copy the link now and send it. It works once, until {expires}." "Kopieren Sie den Link jetzt und senden Sie ihn. Er funktioniert einmal, bis {expires}.";
    link_saved "I have saved the link" "Ich habe den Link gespeichert";

    automation "Automation users" "Automatisierungsbenutzer";
    automation_text "A key can act in the name of an automation user. The key works once that user is active." "Ein Schlüssel kann im Namen eines Automatisierungsbenutzers handeln. Er funktioniert, sobald dieser aktiv ist.";
    automation_name "Name" "Name";
    automation_active "Active" "Aktiv";
    automation_created "Created" "Erstellt";
    automation_none "There is no automation user yet." "Es gibt noch keinen Automatisierungsbenutzer.";
    automation_activate "Activate" "Aktivieren";
    automation_add "Add an automation user" "Automatisierungsbenutzer hinzufügen";

    settings "Settings" "Einstellungen";
    settings_accounts "User account settings" "Einstellungen für Benutzerkonten";
    settings_invite "Invite new users automatically" "Neue Benutzer automatisch einladen";
    settings_deactivation "When a user is deactivated" "Wenn ein Benutzer deaktiviert wird";
    settings_disable "disable the account" "Konto deaktivieren";
    settings_suspend "suspend the account" "Konto sperren";
    settings_protection "Protection against mass deprovisioning" "Schutz vor massenhaftem Entzug";
    settings_protect "When more users lose access than the bound" "Wenn mehr Benutzer den Zugang verlieren als die Grenze erlaubt";
    settings_off "do nothing" "nichts tun";
    settings_warn "warn" "warnen";
    settings_hold "hold the removals until somebody approves" "Entfernungen zurückhalten, bis jemand zustimmt";
    settings_users "Bound" "Grenze";
    settings_users_hint "A share and a number, such as 20%/25: the larger one counts" "Ein Anteil und eine Zahl, zum Beispiel 20%/25: Das Größere gilt";
    settings_window "Window" "Fenster";
    settings_window_hint "Minutes, such as 60m" "Minuten, zum Beispiel 60m";
    settings_save "Save" "Speichern";
    settings_read_only "Your role reads the settings and does not change them." "Ihre Rolle liest die Einstellungen und ändert sie nicht.";

    activity "Activity" "Aktivität";
    activity_filter "Filter" "Filtern";
    activity_kind "Kind" "Art";
    activity_all "all" "alle";
    activity_change "changes" "Änderungen";
    activity_refusal "refused requests" "abgelehnte Anfragen";
    activity_admin "administration" "Verwaltung";
    activity_since "Since (UTC)" "Seit (UTC)";
    activity_until "Until (UTC)" "Bis (UTC)";
    activity_request "Request id" "Anfrage-ID";
    activity_key "Key id" "Schlüssel-ID";
    activity_none "No entry matches." "Kein Eintrag passt.";
    activity_older "Older entries" "Ältere Einträge";
    activity_export "Download this page as CSV" "Diese Seite als CSV herunterladen";
    activity_live "Update every 10 seconds" "Alle 10 Sekunden aktualisieren";
    kind_change "change" "Änderung";
    kind_refusal "refused" "abgelehnt";
    kind_admin "administration" "Verwaltung";
    entry_by "By" "Von";
    entry_error "Why" "Warum";
    entry_remedy "What to do" "Was zu tun ist";
    entry_rules "Rules applied" "Angewandte Regeln";
    entry_id "Request id" "Anfrage-ID";
    entry_attribute "Attribute" "Attribut";
    entry_before "Before" "Vorher";
    entry_after "After" "Nachher";
    entry_changes "What changed" "Was sich änderte";
    entry_status "Status" "Status";
    entry_subject "Subject" "Betrifft";

    people "People" "Personen";
    people_hint "User name, e-mail address, external id or id" "Benutzername, E-Mail-Adresse, externe ID oder ID";
    people_none "No user matches." "Kein Benutzer passt.";
    groups "Groups" "Gruppen";
    groups_hint "Name, external id or id" "Name, externe ID oder ID";
    groups_none "No group matches." "Keine Gruppe passt.";
    find "Find" "Suchen";
    lookup_name "Name" "Name";
    lookup_active "Active" "Aktiv";
    lookup_emails "E-mail addresses" "E-Mail-Adressen";
    lookup_external "External id" "Externe ID";
    lookup_id "Id" "ID";
    lookup_groups "Member of" "Mitglied von";
    lookup_created "Created" "Erstellt";
    lookup_changed "Last change" "Letzte Änderung";
    lookup_history "History" "Verlauf";
    lookup_gone "No user or group has this id now. The log may still have its history." "Kein Benutzer und keine Gruppe hat jetzt diese ID. Das Protokoll kann den Verlauf noch enthalten.";

    tenants "Tenants" "Mandanten";
    tenants_name "Tenant" "Mandant";
    tenants_profile "Profile" "Profil";
    tenants_link "Create a link" "Link erstellen";
    tenants_role "Role" "Rolle";
    tenants_person "For whom" "Für wen";

    done_saved "Saved." "Gespeichert.";
    done_revoked "The key is revoked." "Der Schlüssel ist widerrufen.";
    done_activated "The automation user is active." "Der Automatisierungsbenutzer ist aktiv.";
    done_added "Added." "Hinzugefügt.";
    done_decided "Recorded." "Erfasst.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn each_language_has_each_text_and_the_same_placeholders() {
        for (key, english, german) in ROWS {
            assert!(!english.trim().is_empty() && !german.trim().is_empty(), "{key}");
            assert_eq!(placeholders(english), placeholders(german), "{key}");
        }
        let keys: BTreeSet<_> = ROWS.iter().map(|(key, ..)| key).collect();
        assert_eq!(keys.len(), ROWS.len());
    }

    #[test]
    fn the_browser_chooses_the_language() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, text.parse().unwrap());
            Language::of_headers(&headers)
        };
        assert_eq!(of("de-CH,de;q=0.9,en;q=0.8"), Language::German);
        assert_eq!(of("fr, en-GB"), Language::English);
        assert_eq!(of("fr"), Language::English);
        assert_eq!(Language::of_headers(&HeaderMap::new()), Language::English);
        assert_eq!(fill("{a} and {b}", &[("a", "1"), ("b", "{a}")]), "1 and {a}");
    }
}
