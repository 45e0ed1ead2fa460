"""Names that Rollcall does not use, and type names that stand for two things.

Run by `make check`. A retired name is an identifier of the project's own dialect that has a word of the field in its
place; the second column says which. A private word is no part of any identifier, and comments do not use it either.
Strings are not looked at.
"""

import collections
import pathlib
import re
import sys

RETIRED = {
    "let_in": "authorize", "authenticate_beside": "authenticate_with_read", "made_before": "find_replayed",
    "check_offered": "ensure_resource_type_enabled", "operate": "handle_as_operator", "request_to": "sub_request_builder",
    "Claim": "PresentedCredential", "in_vain": "dummy_verification", "NOBODYS_KEY": "DUMMY_KEY", "prove": "verify_proof",
    "Trust": "FederatedIssuer", "OtherForm": "WrongCredentialType", "NoIssuer": "IssuerUnavailable",
    "CredentialForm": "CredentialType", "TenantShape": "TenantConfig", "shape": "config", "at_the_tables": "local_operator",
    "tell_use": "record_last_used", "is_use_news": "last_used_is_stale", "let_key_work": "activate_key",
    "end_key": "expire_key_at", "is_over": "is_expired_token", "give_token": "issue_token", "is_still": "require_tenant_version",
    "blind": "without_returning_old", "unless_changed": "commit_if_current", "unmoved": "require_membership_version",
    "guarded": "require_version", "lacks": "missing_attribute", "Work": "DeferredJob", "unregistration": "complete",
    "settles_in": "ready_in", "Job": "MemberBatch", "ghost": "tombstone", "ghosts": "tombstones", "look_up": "prefetch_members",
    "bump": "increment_version", "is_guarded": "requires_version", "is_as": "same_version_as", "ends_at": "is_exhausted",
    "EarlyFound": "Prefetched", "Among": "MembershipFilter", "Chunk": "MembershipPage", "waves": "round_trips",
    "Answered": "RequestRecord", "Spent": "StoreUsage", "storable": "validate_for_storage", "contended": "conflict_exhausted",
    "Reply": "ScimResponse", "in_values": "edit_values", "takes_a_list": "accepts_list",
    "settle_primary": "enforce_single_primary", "is_shell": "has_only_labels", "is_echo": "is_read_only_echo",
    "keep_selected": "preserve_selector_values", "is_offered": "is_enabled", "shown_extensions": "published_extensions",
    "asked_count": "requested_count", "members_asked": "requested_members", "Visit": "Session",
    "takes_capitals": "accepts_capitalized_op", "KEY_USE_IS_TOLD_SECONDS": "LAST_USED_RESOLUTION_SECONDS",
    "KEY_WARNS_DAYS": "KEY_EXPIRY_WARNING_DAYS", "WORK_SETTLES_SECONDS": "JOB_GRACE_SECONDS",
    "RESOURCES_A_STEP": "SCAN_BATCH_SIZE", "KEPT_REQUESTS": "WRITER_HISTORY", "MAX_UNION": "MAX_OR_BRANCHES",
}
# Words that are no part of an identifier, `written_so` or `WrittenSo`: participles and coined words.
PRIVATE = {
    "told": "record, report or return", "tells": "report or return", "shown": "return, publish or print",
    "made": "create, generate or build", "beside": "next to", "ghost": "tombstone", "ghosts": "tombstones",
    "wave": "round trip", "waves": "round trips", "within": "in, or a word for the container",
}
# Of these, the ones that no comment needs: `within 60 seconds` is plain English.
IN_COMMENTS = re.compile(r"\b(told|tells?|shown|made|beside|ghosts?|waves?|let in|takes? away|taken away)\b", re.I)
# The command `rollcall work`; what the test of layers guards; a trait of syn.
EXCEPT = {("src/cli.rs", "Work"), ("tests/layers.rs", "guarded"), ("tests/circles.rs", "Visit")}
# Type names that are defined more than once, each with its reason.
TWICE: dict[str, str] = {}
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
OTHER_THAN_CODE = re.compile(r'//[^\n]*|r(#+)".*?"\1|b?"(?:\\.|[^"\\])*"', re.S)


def main() -> int:
    failures, types = [], collections.defaultdict(set)
    for file in sorted([*pathlib.Path("src").rglob("*.rs"), *pathlib.Path("tests").rglob("*.rs")]):
        text = file.read_text()
        code = OTHER_THAN_CODE.sub(lambda m: "\n" * m[0].count("\n"), text)
        for number, line in enumerate(code.splitlines(), 1):
            for word in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", line):
                if word in RETIRED and (str(file), word) not in EXCEPT:
                    failures.append(f"{file}:{number}: {word}; use {RETIRED[word]}")
                for part in {part.lower() for part in PARTS.findall(word)} & PRIVATE.keys():
                    failures.append(f"{file}:{number}: {word}; not {part}, but {PRIVATE[part]}")
        for found in OTHER_THAN_CODE.finditer(text):
            if found[0].startswith("//") and (word := IN_COMMENTS.search(found[0])):
                failures.append(f"{file}:{text.count(chr(10), 0, found.start()) + 1}: a comment says {word[0]}")
        if file.parts[0] == "src":
            for name in re.findall(r"^\s*(?:pub(?:\([a-z: ]+\))? )?(?:struct|enum|trait) (\w+)", code, re.M):
                types[name].add(str(file))
    for name, files in sorted(types.items()):
        if len(files) > 1 and name not in TWICE:
            failures.append(f"{name} is defined {len(files)} times: {', '.join(sorted(files))}")
    print("\n".join(failures) or "no retired names, no private words, no type name for two things")
    return 1 if failures else 0


sys.exit(main())
