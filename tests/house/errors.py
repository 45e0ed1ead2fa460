"""Every error text states what to do: `<field> <problem>; <what to do>`, or `<field> must <rule>`, which is both.

Run by `make names`. Looked at is each text of three words or more in a call that refuses or fails, in the rooms whose
errors a client or an operator reads. tests/support/mod.rs checks the same of every error that a test is answered.
"""

import pathlib
import re
import sys

ROOMS = ["scim", "tenant", "auth", "admin", "api", "cli"]
# A call whose texts reach who sent the request or typed the command.
CALL = re.compile(
    r"\b(?:ScimError::(?:new|retry|invalid_\w+|expired_cursor|no_target|mutability|too_many|uniqueness|unavailable)"
    r"|Refused::bad|AdminError::\w+|BadProfile|SyntaxError|Err|ok_or|ok_or_else|map_err|at_start"
    r"|(?:\w+\.)?(?:refuse|error|no_target|syntax|unusable))\s*(?=[({])"
)
DISPLAY = re.compile(r'#\[error\("((?:\\.|[^"\\])*)"')
DETAIL = re.compile(r"\blet (?:detail|message|why|description) =\s*(?=format!|\")")
TOKEN = re.compile(r'//[^\n]*|r(#*)"(.*?)"\1|"((?:\\.|[^"\\])*)"|\'(?:\\.|[^\'\\])\'|[()\[\]{}]|;', re.S)
# A text that repeats another error has that one's remedy.
PATTERN = re.compile(r"\S;(?: \S|\\n)|\bmust\b|\{(?:detail|why|rule|reason|bad)\}")
# Pieces that a caller completes, and what is no error text.
EXCEPT = {
    # SyntaxError prints `<message> at position <position>; <remedy>`.
    "src/scim/filter.rs", "src/scim/filter/parse.rs", "src/scim/path.rs",
    # What a check of the doctor found: the check itself has a line `change`.
    "src/cli/doctor/answer.rs", "src/cli/doctor/clean_up.rs", "src/cli/doctor/groups.rs", "src/cli/doctor/lists.rs",
    "src/cli/doctor/spellings.rs", "src/cli/doctor/updates.rs", "src/cli/doctor/users.rs",
}
PIECES: set[tuple[str, str]] = {
    # `<field> must be <piece>`.
    ("src/scim/document.rs", "a boolean, true or false"), ("src/scim/list.rs", "an array of attribute names"),
    ("src/scim/document.rs", "a dateTime such as 2026-01-31T12:00:00Z"),
    # `the request body is not acceptable JSON: <piece> at line 1 column 2; correct it there`.
    ("src/scim/json.rs", "the request body"),
    ("src/scim/json.rs", "nested deeper than {MAX_JSON_DEPTH} levels"),
    ("src/scim/json.rs", "a number is too large to be stored exactly, unless it is sent as text,"),
    ("src/scim/json.rs", 'the name \\"{excerpt}\\" is given twice in one object'),
    ("src/scim/json.rs", "an object has more than {MAX_MEMBERS} members"),
    # What follows is a SyntaxError or a ScimError, which has the remedy.
    ("src/scim/patch/target.rs", 'attribute \\"{}\\" {e}'), ("src/scim/patch.rs", 'path \\"{}\\" {e}'),
    ("src/scim/projection.rs", '{parameter} \\"{text}\\" {e}'), ("src/tenant/profile/read.rs", "cannot be used: {}"),
    # The place of a BadProfile.
    ("src/tenant/profile/read.rs", "line {} column {}"),
    # For the log alone.
    ("src/auth/issuer.rs", "it is no JWK Set"),
    # What the doctor prints of a failed check, and what a schema says of an attribute.
    ("src/cli/doctor/report.rs",
     "          sent      {sent}\\n          expected  {expected}\\n          came      {came}\\n          change    {change}\\n"),
    ("src/tenant/profile/publish.rs", "{held} The profile {profile} requires {path} of every user{unless}."),
    # `at the URL: <reason>` of the doctor, with what to do around it.
    ("src/cli/doctor/endpoint.rs", "cannot be sent: {e}"),
    ("src/cli/doctor/endpoint.rs", "the endpoint closed the connection during its answer ({e})"),
    ("src/cli/doctor/endpoint.rs", "no answer within {} s"),
}


def texts(code: str, start: int) -> list[tuple[int, str]]:
    """The texts up to the end of the call, or of the statement, that starts there."""
    depth, found = 0, []
    for token in TOKEN.finditer(code, start):
        word = token[0]
        if word.startswith(('"', "r")):
            text = re.sub(r"\\\n\s*", "", token[2] if token[3] is None else token[3])
            found.append((code.count("\n", 0, token.start()) + 1, text))
        elif word in "([{" :
            depth += 1
        elif word in ")]}":
            depth -= 1
        if depth <= 0 and word in ")]};":
            break
    return found


def main() -> int:
    failures, seen = [], set()
    for room in ROOMS:
        for file in sorted([pathlib.Path(f"src/{room}.rs"), *pathlib.Path(f"src/{room}").rglob("*.rs")]):
            code = file.read_text().split("#[cfg(test)]\nmod ")[0]
            if str(file) in EXCEPT:
                continue
            found = [(code.count("\n", 0, m.start()) + 1, m[1]) for m in DISPLAY.finditer(code)]
            for call in [*CALL.finditer(code), *DETAIL.finditer(code)]:
                line = code[code.rfind("\n", 0, call.start()) + 1 : call.start()]
                if "//" not in line and not re.search(r"\bfn $", line):
                    found += texts(code, call.end())
            for number, text in found:
                is_piece = (str(file), text) in PIECES or len(text.split()) < 3
                if not is_piece and not PATTERN.search(text) and (file, number) not in seen:
                    seen.add((file, number))
                    failures.append(f"{file}:{number}: an error text does not state what to do: {text}")
    print("\n".join(failures) or "every error text states what to do")
    return 1 if failures else 0


sys.exit(main())
