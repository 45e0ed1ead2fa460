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
pub(super) fn fill(text: &str, values: &[(&str, impl AsRef<str>)]) -> String {
    let one = |text: String, (name, value): &(&str, _)| text.replace(&format!("{{{name}}}"), AsRef::as_ref(value));
    values.iter().fold(text.to_owned(), one)
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
    error_text "{product} rejected the request: {detail}" "{product} hat die Anfrage abgelehnt: {detail}";
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
    held_users "Users who lost access since {opened}: {count}. The bound is {bound}." "Benutzer, die seit {opened} den Zugang verloren haben: {count}. Die Grenze ist {bound}.";
    held_group "Members who left the group {group} since {opened}: {count}. The bound is {bound}." "Mitglieder, die seit {opened} die Gruppe {group} verlassen haben: {count}. Die Grenze ist {bound}.";
    held_decision "Decision: {decision}" "Entscheidung: {decision}";
    held_approved "everything is let through" "alles wird zugelassen";
    held_rejected "everything is held" "alles wird zurückgehalten";
    held_some "so many more are let through" "eine Anzahl wird noch zugelassen";
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
    connect_step_automation "Create an automation user, in whose name the key acts" "Einen Automatisierungsbenutzer erstellen, in dessen Namen der Schlüssel handelt";
    connect_step_key "Create a key" "Schlüssel erstellen";
    connect_step_key_link "Create a key" "Schlüssel erstellen";
    connect_step_values "Enter these values at {provider}" "Diese Werte bei {provider} eintragen";
    connect_step_values_done "Enter the values at your identity provider" "Die Werte bei Ihrem Identitätsanbieter eintragen";
    connect_step_test "Test the connection: the first request arrives" "Verbindung testen: Die erste Anfrage kommt an";
    connect_step_user "Assign a user: the first user arrives" "Benutzer zuweisen: Der erste Benutzer kommt an";
    connect_step_group "Assign a group, if you use groups: the first group arrives" "Gruppe zuweisen, falls Sie Gruppen nutzen: Die erste Gruppe kommt an";
    connect_http "This address begins with http. Identity providers in the cloud call by https alone, and cannot reach it." "Diese Adresse beginnt mit http. Identitätsanbieter in der Cloud rufen nur über https auf und erreichen sie nicht.";
    connect_values "Values, in the order of the form" "Werte in der Reihenfolge des Formulars";
    connect_secret_value "the key, of the type {type}: you see it once, when you create it" "der Schlüssel, vom Typ {type}: Sie sehen ihn einmal, beim Erstellen";
    connect_user_value "the name of the key's automation user" "der Name des Automatisierungsbenutzers, zu dem der Schlüssel gehört";
    connect_client_value "the id of a key of the type client" "die ID eines Schlüssels vom Typ client";
    connect_oauth "Instead: an OAuth client" "Stattdessen: ein OAuth-Client";
    connect_oauth_text "Create a key of the type client. Entra ID calls this OAuth 2.0 client credentials." "Erstellen Sie einen Schlüssel vom Typ client. Entra ID nennt das OAuth 2.0 Client Credentials.";
    connect_required "Attributes that this application requires" "Attribute, die diese Anwendung verlangt";
    connect_entra_where "In the Entra admin center, open Enterprise applications and the application for {product}. If there is none, select New application, Create your own application, and one that is not in the gallery. Then open Provisioning." "Öffnen Sie im Entra Admin Center Unternehmensanwendungen und die Anwendung für {product}. Gibt es noch keine, wählen Sie Neue Anwendung, Eigene Anwendung erstellen, und eine, die nicht im Katalog ist. Öffnen Sie dann Bereitstellung.";
    connect_entra_test "Select Test Connection, then Save. Then assign users to the application and set Provisioning Status to On: Entra ID begins within 40 minutes. To send one user at once, select Provision on demand." "Wählen Sie Verbindung testen und Speichern. Weisen Sie der Anwendung dann Benutzer zu und setzen Sie den Bereitstellungsstatus auf Ein: Entra ID beginnt innerhalb von 40 Minuten. Um einen Benutzer sofort zu senden, wählen Sie Bei Bedarf bereitstellen.";
    connect_guide "Guide of {product} for {provider}" "Anleitung von {product} für {provider}";
    connect_okta_where "In the Okta admin console, open the application for {product}. If there is none, select Create App Integration, and choose SCIM under General, App Settings, Provisioning. Then open Provisioning, Integration." "Öffnen Sie in der Okta Admin Console die Anwendung für {product}. Gibt es noch keine, wählen Sie Create App Integration und dann SCIM unter General, App Settings, Provisioning. Öffnen Sie dann Provisioning, Integration.";
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
    keys_type_hint "{type} is what the page Connect asks for: choose another one only if your identity provider does" "{type} ist, was die Seite Verbinden verlangt: Wählen Sie nur dann einen anderen, wenn Ihr Identitätsanbieter ihn verlangt";
    keys_user_hint "A key of the type jwt or basic needs one" "Ein Schlüssel vom Typ jwt oder basic braucht einen";
    keys_add_button "Add" "Hinzufügen";
    keys_no_user "no automation user" "kein Automatisierungsbenutzer";
    state_live "works" "gültig";
    state_expiring "expires soon" "läuft bald ab";
    state_waiting "waits for its automation user" "wartet auf seinen Automatisierungsbenutzer";
    state_pending "not yet valid" "noch nicht gültig";
    state_expired "expired" "abgelaufen";
    state_revoked "revoked" "widerrufen";

    secret_title "Your new key" "Ihr neuer Schlüssel";
    secret_text "Copy the key now. {product} does not store it and cannot return it again." "Kopieren Sie den Schlüssel jetzt. {product} speichert ihn nicht und kann ihn nicht noch einmal ausgeben.";
    secret_field "Key" "Schlüssel";
    secret_place "Paste it into the field Secret Token at Entra ID, or Authorization at Okta. The page Connect has the other values." "Fügen Sie ihn bei Entra ID in das Feld Secret Token ein, bei Okta in Authorization. Die Seite Verbinden hat die anderen Werte.";
    secret_expires "It works until {expires}." "Er funktioniert bis {expires}.";
    secret_waiting "The key works once its automation user is active." "Der Schlüssel funktioniert, sobald sein Automatisierungsbenutzer aktiv ist.";
    secret_saved "I have saved the key" "Ich habe den Schlüssel gespeichert";
    secret_continue "Continue" "Weiter";
    link_title "The new link" "Der neue Link";
    link_text "Copy the link now and send it. It works once, until {expires}." "Kopieren Sie den Link jetzt und senden Sie ihn. Er funktioniert einmal, bis {expires}.";
    link_saved "I have saved the link" "Ich habe den Link gespeichert";

    automation "Automation users" "Automatisierungs\u{ad}benutzer";
    automation_text "A key can act in the name of an automation user. The key works once that user is active." "Ein Schlüssel kann im Namen eines Automatisierungsbenutzers handeln. Er funktioniert, sobald dieser aktiv ist.";
    automation_name "Name" "Name";
    automation_active "Active" "Aktiv";
    automation_created "Created" "Erstellt";
    automation_none "There is no automation user yet." "Es gibt noch keinen Automatisierungsbenutzer.";
    automation_activate "Activate" "Aktivieren";
    automation_add "Add an automation user" "Automatisierungs\u{ad}benutzer hinzufügen";

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
    settings_read_only "Your role reads the settings and does not change them. Whoever sent you the link can, or can send one with the role operate." "Ihre Rolle liest die Einstellungen und ändert sie nicht. Das kann, wer Ihnen den Link gesandt hat, oder ein Link mit der Rolle Betreiben.";

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

    restore "Restore" "Wiederherstellen";
    restore_plan "Plan of a restore" "Plan einer Wiederherstellung";
    restore_result "Restored" "Wiederhergestellt";
    restore_user "user" "Benutzer";
    restore_group "group" "Gruppe";
    restore_of_user "This undoes the last time that the user {user} lost access." "Dies macht rückgängig, dass der Benutzer {user} zuletzt den Zugang verloren hat.";
    restore_of_user_since "This undoes everything that has happened to the user {user} since {since}." "Dies macht alles rückgängig, was dem Benutzer {user} seit {since} geschehen ist.";
    restore_of_key "This undoes everything that the key {key} has changed since {since}." "Dies macht alles rückgängig, was der Schlüssel {key} seit {since} geändert hat.";
    restore_of_hold "This undoes what the protection has counted in its window: deactivations, deletions, and removals from groups." "Dies macht rückgängig, was der Schutz in seinem Fenster gezählt hat: Deaktivierungen, Löschungen und Entfernungen aus Gruppen.";
    restore_planned "Users and groups that change: {restored}. As they should be already: {unchanged}. Conflicts: {conflicts}." "Benutzer und Gruppen, die sich ändern: {restored}. Schon wie sie sein sollen: {unchanged}. Konflikte: {conflicts}.";
    restore_ran "Restored: {restored}. Were as they should be: {unchanged}. Conflicts: {conflicts}." "Wiederhergestellt: {restored}. Waren schon, wie sie sein sollen: {unchanged}. Konflikte: {conflicts}.";
    restore_cause_title "First correct the cause at your identity provider" "Beheben Sie zuerst die Ursache bei Ihrem Identitätsanbieter";
    restore_cause "Otherwise its next cycle does the same again. Correct its scope, its assignments or its mapping." "Sonst tut sein nächster Zyklus dasselbe noch einmal. Berichtigen Sie dort den Geltungsbereich, die Zuweisungen oder die Zuordnung.";
    restore_would "What would change" "Was sich ändern würde";
    restore_did "What has changed" "Was sich geändert hat";
    restore_revived "comes back" "kommt zurück";
    restore_now "Now" "Jetzt";
    restore_then "Restored" "Wiederhergestellt";
    restore_joins "Joins the groups" "Kommt in die Gruppen";
    restore_leaves "Leaves the groups" "Verlässt die Gruppen";
    restore_conflicts "Conflicts" "Konflikte";
    restore_conflicts_text "These stay as they are. Everything else is restored." "Diese bleiben, wie sie sind. Alles andere wird wiederhergestellt.";
    restore_more "The next page of the plan" "Nächste Seite des Plans";
    restore_confirm "The cause is corrected at the identity provider, or I want to restore all the same." "Die Ursache beim Identitätsanbieter ist behoben, oder ich will trotzdem wiederherstellen.";
    restore_run "Restore now" "Jetzt wiederherstellen";
    restore_partial "There is more to restore." "Es gibt noch mehr wiederherzustellen.";
    restore_continue "Continue" "Fortsetzen";
    restore_over "The restore has ended. Each change is in the log:" "Die Wiederherstellung ist beendet. Jede Änderung steht im Protokoll:";
    restore_link_user "Plan to undo what happened to this user since then" "Planen, was diesem Benutzer seitdem geschah, rückgängig zu machen";
    restore_link_key "Plan to undo what this key has changed since then" "Planen, was dieser Schlüssel seitdem geändert hat, rückgängig zu machen";
    restore_link_last "Plan to give back what this user lost last" "Planen, dem Benutzer zurückzugeben, was er zuletzt verloren hat";
    restore_link_hold "Plan to restore what was counted" "Planen, das Gezählte wiederherzustellen";
    conflict_changed_since "It was changed again since. Compare the history, then change it yourself." "Es wurde seither noch einmal geändert. Vergleichen Sie den Verlauf und ändern Sie es selbst.";
    conflict_deleted_since "Somebody else deleted it. Restore it from its own history." "Jemand anderes hat es gelöscht. Stellen Sie es aus seinem eigenen Verlauf wieder her.";
    conflict_created_since "It was created by what is undone. A restore deletes nothing: delete it yourself." "Es wurde durch das erstellt, was rückgängig gemacht wird. Eine Wiederherstellung löscht nichts: Löschen Sie es selbst.";
    conflict_name_taken "The name belongs to another user or group now. Rename that one, then restore again." "Der Name gehört jetzt einem anderen Benutzer oder einer anderen Gruppe. Benennen Sie diesen um und stellen Sie noch einmal wieder her.";
    conflict_group_gone "The group is deleted. Restore the group first, then restore again." "Die Gruppe ist gelöscht. Stellen Sie zuerst die Gruppe wieder her, dann noch einmal dies.";
    conflict_try_later "The deletion is still under way. Restore again in two minutes." "Die Löschung läuft noch. Stellen Sie in zwei Minuten noch einmal wieder her.";
    conflict_not_kept "The log does not have the old values: they were too long." "Das Protokoll hat die alten Werte nicht: Sie waren zu lang.";
    conflict_not_found "Nothing is known of it, or its history has ended. Look for it in the log." "Davon ist nichts bekannt, oder sein Verlauf ist zu Ende. Suchen Sie es im Protokoll.";
    conflict_too_many "It changed too often since. Choose a later change." "Es wurde seither zu oft geändert. Wählen Sie eine spätere Änderung.";
    conflict_refused "A bound stands against it, such as that of the groups of a user." "Eine Grenze steht dagegen, etwa die der Gruppen eines Benutzers.";
    conflict_busy "Other requests keep changing it. Restore again." "Andere Anfragen ändern es laufend. Stellen Sie noch einmal wieder her.";

    people "People" "Personen";
    people_hint "The whole user name, e-mail address, external id or id" "Der ganze Benutzername, die ganze E-Mail-Adresse, externe ID oder ID";
    people_none "No user matches." "Kein Benutzer passt.";
    groups "Groups" "Gruppen";
    groups_hint "The whole name, external id or id" "Der ganze Name, die ganze externe ID oder ID";
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

    doctor "Doctor" "Diagnose";
    doctor_text "The checks read the state of this tenant, and do what an identity provider does first. They write nothing." "Die Prüfungen lesen den Zustand dieses Mandanten und tun, was ein Identitätsanbieter zuerst tut. Sie schreiben nichts.";
    doctor_run "Run the checks" "Prüfungen ausführen";
    doctor_again "Run the checks again" "Prüfungen noch einmal ausführen";
    doctor_findings "Findings" "Befunde";
    doctor_outside "What this page cannot check" "Was diese Seite nicht prüfen kann";
    doctor_outside_text "The page has no key, and stands behind the network. To check DNS, TLS, the key and every request of Entra ID and Okta, set ROLLCALL_TOKEN to a key and run this command where your identity provider would call from:" "Die Seite hat keinen Schlüssel und steht hinter dem Netz. Um DNS, TLS, den Schlüssel und jede Anfrage von Entra ID und Okta zu prüfen, setzen Sie ROLLCALL_TOKEN auf einen Schlüssel und führen Sie diesen Befehl von außen aus:";
    check_good "in order" "in Ordnung";
    check_advice "look at this" "ansehen";
    check_fault "fault" "Fehler";
    check_skipped "skipped" "übersprungen";
    check_summary "In order: {good}. Faults: {fault}. To look at: {advice}. Skipped: {skipped}." "In Ordnung: {good}. Fehler: {fault}. Anzusehen: {advice}. Übersprungen: {skipped}.";
    check_address "Address" "Adresse";
    check_address_text "Clients call {address}." "Clients rufen {address} auf.";
    check_address_remedy "Identity providers in the cloud call by HTTPS alone. Ask the operator of this application for an address that begins with https://." "Identitätsanbieter in der Cloud rufen nur über HTTPS auf. Bitten Sie den Betreiber dieser Anwendung um eine Adresse, die mit https:// beginnt.";
    check_closing "Tenant" "Mandant";
    check_closing_text "This tenant is deleted at {time}." "Dieser Mandant wird um {time} gelöscht.";
    check_closing_remedy "If that is a mistake, ask the operator of this application to reopen it." "Falls das ein Versehen ist, bitten Sie den Betreiber dieser Anwendung, ihn wieder zu öffnen.";
    check_keys_none "No key works." "Kein Schlüssel ist gültig.";
    check_keys_remedy "Create a key, and enter it at your identity provider." "Erstellen Sie einen Schlüssel und tragen Sie ihn bei Ihrem Identitätsanbieter ein.";
    check_keys_text "Keys that work: {count}." "Gültige Schlüssel: {count}.";
    check_keys_waiting "The key “{description}” waits for its automation user." "Der Schlüssel „{description}“ wartet auf seinen Automatisierungsbenutzer.";
    check_keys_activate "Activate the automation user." "Aktivieren Sie den Automatisierungsbenutzer.";
    check_requests "Requests" "Anfragen";
    check_requests_remedy "Enter the values at your identity provider, and test the connection there." "Tragen Sie die Werte bei Ihrem Identitätsanbieter ein und testen Sie dort die Verbindung.";
    check_requests_silent "Nothing has arrived for three days." "Seit drei Tagen ist nichts angekommen.";
    check_requests_start "Check at your identity provider whether provisioning is on." "Prüfen Sie bei Ihrem Identitätsanbieter, ob die Bereitstellung eingeschaltet ist.";
    check_requests_text "The last request arrived at {time}, within 15 minutes." "Die letzte Anfrage kam um {time} an, auf 15 Minuten genau.";
    check_refusals "Refused requests" "Abgelehnte Anfragen";
    check_refusals_none "No request was refused in 24 hours." "In 24 Stunden wurde keine Anfrage abgelehnt.";
    check_refusals_text "Refused in 24 hours: {count}. The latest reason:" "Abgelehnt in 24 Stunden: {count}. Der neueste Grund:";
    check_refusals_remedy "Read each reason in the log." "Lesen Sie jeden Grund im Protokoll.";
    check_protection "Protection" "Schutz";
    check_protection_off "Nothing protects against mass deprovisioning." "Nichts schützt vor massenhaftem Entzug.";
    check_protection_remedy "Choose to warn, or to hold." "Wählen Sie warnen oder zurückhalten.";
    check_protection_over "More users or members lost access than the bound." "Mehr Benutzer oder Mitglieder haben den Zugang verloren, als die Grenze erlaubt.";
    check_protection_decide "Compare your identity provider, then decide." "Vergleichen Sie Ihren Identitätsanbieter und entscheiden Sie dann.";
    check_protection_text "Beyond {bound}: {mode}." "Über {bound}: {mode}.";
    check_rate "Rate" "Rate";
    check_rate_off "This tenant has no limit of requests a second." "Dieser Mandant hat keine Grenze für Anfragen je Sekunde.";
    check_rate_text "This tenant may send {rate} requests a second. Entra ID asks for {needed}." "Dieser Mandant darf {rate} Anfragen je Sekunde senden. Entra ID verlangt {needed}.";
    check_rate_remedy "Ask the operator of this application for a higher rate." "Bitten Sie den Betreiber dieser Anwendung um eine höhere Rate.";
    check_feed "Log and feed" "Protokoll und Feed";
    check_feed_empty "Nothing has changed yet, so that nothing can be said." "Noch hat sich nichts geändert, daher lässt sich nichts sagen.";
    check_feed_late "The worker was last seen at {time}. What has changed since may be missing." "Der Worker wurde zuletzt um {time} gesehen. Was sich seitdem geändert hat, kann fehlen.";
    check_feed_remedy "Ask the operator of this application to look after the worker." "Bitten Sie den Betreiber dieser Anwendung, nach dem Worker zu sehen.";
    check_feed_text "The newest change in the log is of {time}." "Die neueste Änderung im Protokoll ist von {time}.";
    check_feed_runs "The worker runs. Nothing has changed yet." "Der Worker läuft. Noch hat sich nichts geändert.";
    check_documents "Description of the endpoint" "Beschreibung des Endpunkts";
    check_find "Find a user who does not exist" "Einen Benutzer suchen, den es nicht gibt";
    check_find_taken "A user has the name that the check looks for." "Ein Benutzer hat den Namen, den die Prüfung sucht.";
    check_find_remedy "Delete the user whose name begins with rollcall-doctor." "Löschen Sie den Benutzer, dessen Name mit rollcall-doctor beginnt.";
    check_create "Create a user, as a dry run" "Einen Benutzer erstellen, als Probelauf";
    check_create_remedy "If the reason names an attribute, your application requires it: map it at your identity provider." "Wenn der Grund ein Attribut nennt, verlangt Ihre Anwendung es: Ordnen Sie es bei Ihrem Identitätsanbieter zu.";
    check_change "Change a user, as a dry run" "Einen Benutzer ändern, als Probelauf";
    check_change_nobody "No user was changed lately." "In letzter Zeit wurde kein Benutzer geändert.";
    check_group "Create a group, as a dry run" "Eine Gruppe erstellen, als Probelauf";
    check_answered "Answered as identity providers expect." "Beantwortet, wie Identitätsanbieter es erwarten.";
    check_refused "Refused with status {status}:" "Abgelehnt mit dem Status {status}:";
    check_answer_remedy "Ask the operator of this application, and send the reason." "Fragen Sie den Betreiber dieser Anwendung und senden Sie ihm den Grund.";

    tenants "Tenants" "Mandanten";
    tenants_name "Tenant" "Mandant";
    tenants_profile "Profile" "Profil";
    tenants_users "Users" "Benutzer";
    tenants_events "Changes kept" "Aufbewahrte Änderungen";
    tenants_cost "About, in $ a month" "Etwa, in $ im Monat";
    tenants_cost_note "The costs are an estimate from the number of users, for one region of AWS. Rollcall does not read your invoice." "Die Kosten sind aus der Zahl der Benutzer für eine Region von AWS geschätzt. Rollcall liest Ihre Rechnung nicht.";
    tenants_more "More tenants" "Weitere Mandanten";
    tenants_add "Create a tenant" "Mandanten anlegen";
    tenants_name_hint "Small letters, digits and hyphens. The name is part of each address, and never changes." "Kleinbuchstaben, Ziffern und Bindestriche. Der Name ist Teil jeder Adresse und ändert sich nie.";
    tenants_profile_hint "What the tenant's identity provider may send. You can choose another profile later." "Was der Identitätsanbieter des Mandanten senden darf. Sie können später ein anderes Profil wählen.";
    tenants_link "Create a link" "Link erstellen";
    tenants_role "Role" "Rolle";
    tenants_person "For whom" "Für wen";

    done_saved "Saved." "Gespeichert.";
    done_revoked "The key is revoked." "Der Schlüssel ist widerrufen.";
    done_activated "The automation user is active." "Der Automatisierungsbenutzer ist aktiv.";
    done_created "The tenant exists. Create a link for its administrator." "Der Mandant ist angelegt. Erstellen Sie einen Link für seine Administratorin oder seinen Administrator.";
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
