"""The page for administrators in a real browser: BROWSER.py ROLLCALL [FOLDER FOR SCREENSHOTS].

Every screen in both themes and languages, with axe-core; at 320 pixels; without JavaScript; the policy, the number and
weight of requests; and the walk of Jostle's document from the link to the first user. Needs Chromium, at the path in
CHROMIUM or /usr/bin/chromium.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import axe_playwright_python
from playwright.sync_api import sync_playwright

from bench import server

AXE = (pathlib.Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SCREENS = ["overview", "connect", "connect?provider=okta", "keys", "automation", "settings", "activity",
           "activity?kind=refusal", "people?q=lela", "groups?q=Staff", "operator/tenants", "nothing"]
# Page, style sheet, script and icon.
MAX_REQUESTS, MAX_BYTES = 4, 60_000
PASSED, FAILED = [], []


def check(holds, what):
    (PASSED if holds else FAILED).append(what)
    if not holds:
        print(f"FAILED {what}")


def scim(url, token, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, method=method)
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, None


def fill_tenant(url, token):
    """A user with a history, a group, and a refused request."""
    _, user = scim(url, token, "POST", "/Users", {"userName": "lela", "displayName": "Lela Block", "title": "Engineer",
                                                  "emails": [{"value": "lela@acme.example", "type": "work"}]})
    patch = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
             "Operations": [{"op": "replace", "path": "title", "value": "Lead"}]}
    scim(url, token, "PATCH", f"/Users/{user['id']}", patch)
    scim(url, token, "POST", "/Groups", {"displayName": "Staff", "members": [{"value": user["id"]}]})
    scim(url, token, "POST", "/Users", {"userName": "LELA"})


def watch(page):
    """Notes what the policy of the page stops, and what its script throws."""
    trouble = []
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    return trouble


def axe(page, what):
    page.evaluate(AXE)
    result = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',"
                           " 'best-practice']})")
    found = [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in result["violations"]]
    check(not found, f"axe {what}: {found}")


def each_screen(browser, url, run, shots):
    for theme, language in [("light", "en"), ("dark", "en"), ("light", "de"), ("dark", "de")]:
        context = browser.new_context(color_scheme=theme, locale=language, viewport={"width": 1100, "height": 800})
        page = context.new_page()
        trouble = watch(page)
        page.goto(run("link", "demo", "--operator", "--for", "jane@acme.example"))
        page.wait_for_url("**/overview")
        page.wait_for_load_state("networkidle")
        base = page.url.rsplit("/", 1)[0]
        for screen in SCREENS:
            what = f"{screen} {theme} {language}"
            answers = []
            note = lambda answer: answers.append(answer)  # noqa: E731
            page.on("response", note)
            page.goto(f"{base}/{screen}")
            page.wait_for_load_state("networkidle")
            page.remove_listener("response", note)
            weight = sum(int(answer.headers.get("content-length", 0)) for answer in answers)
            check(len(answers) <= MAX_REQUESTS and weight <= MAX_BYTES, f"weight of {what}: {len(answers)}, {weight}")
            for details in page.locator("main details").all()[:3]:
                details.evaluate("element => element.open = true")
            axe(page, what)
            name = screen.replace("?", "-").replace("=", "-").replace("/", "-")
            page.screenshot(path=shots / f"{name}-{theme}-{language}.png", full_page=True)
            page.set_viewport_size({"width": 320, "height": 640})
            width = page.evaluate("document.documentElement.scrollWidth")
            check(width <= 320, f"{what} at 320 pixels is {width} wide")
            if theme == "light":
                page.screenshot(path=shots / f"{name}-320-{language}.png", full_page=True)
            page.set_viewport_size({"width": 1100, "height": 800})
            # The page that is not there answers 404, which the browser reports as an error.
            wrong = [text for text in trouble if "404" not in text]
            check(not wrong, f"policy and script on {what}: {wrong}")
            trouble.clear()
        context.close()
    context = browser.new_context()
    page = context.new_page()
    page.goto(url.replace("/scim/v2", "/manage"))
    axe(page, "entry")
    page.screenshot(path=shots / "entry.png")
    context.close()


def by_keyboard(browser, run):
    """From the top of the page by the tabulator alone: each stop can be seen."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(run("link", "demo", "--role", "operate"))
    page.wait_for_url("**/overview")
    page.goto(page.url.replace("overview", "keys"))
    page.keyboard.press("Tab")
    check(page.evaluate("document.activeElement.className") == "skip", "the first stop skips to the content")
    stops = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        visible = page.evaluate("""() => { const e = document.activeElement, r = e.getBoundingClientRect();
            return e === document.body || (r.width > 0 && r.height > 0 && getComputedStyle(e).outlineStyle !== 'none'); }""")
        stops.add(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim().slice(0, 20)"))
        check(visible, "the focus is visible")
    check({"description", "type", "automation"} <= stops, f"the form is reached by keyboard: {stops}")
    context.close()


def first_user(browser, rollcall_run, url, shots, has_script):
    """Jostle's document: base URL, automation user, key with a description, shown once; then the first user arrives."""
    tenant = "jostle-script" if has_script else "jostle-plain"
    rollcall_run("tenant", "create", tenant, "--profile", "jostle")
    context = browser.new_context(java_script_enabled=has_script, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    link = rollcall_run("link", tenant)
    page.goto(link)
    if not has_script:
        page.fill("#token", link)
        page.click("text=Sign in >> nth=-1")
    page.wait_for_url("**/connect")
    steps = lambda: page.locator("li.ticked").count()  # noqa: E731
    check(steps() == 0, "no step is done yet")
    url = page.locator("#value-2").inner_text()
    check(page.locator("button.copy").first.is_visible() == has_script, "only the script copies")
    if has_script:
        page.click("button[data-copy=value-2]")
        check(page.evaluate("navigator.clipboard.readText()") == url, "the base URL is copied")
        check(page.locator("[role=status]").inner_text() == "Copied", "the page says so")
    page.click("nav >> text=Automation users")
    page.fill("#name", "Azure robot")
    page.click("text=Add >> nth=-1")
    page.wait_for_url("**/automation?done=added")
    page.click("nav >> text=Keys")
    page.select_option("#automation", "Azure robot")
    page.fill("#description", "Entra ID")
    page.click("button:has-text('Add')")
    key = page.locator("#value-1").inner_text()
    page.screenshot(path=shots / f"secret-{tenant}.png", full_page=True)
    check(key.startswith(f"scim_{tenant}_"), "the key stands on the page once")
    page.check("input[type=checkbox]")
    page.click("text=Continue")
    page.wait_for_url("**/connect*")
    check(steps() == 1, "the key is ticked")
    check(scim(url, key, "GET", "/Users?filter=userName%20eq%20%22x%22")[0] == 200, "the connection works")
    user = {"userName": "lela", "emails": [{"value": "lela@acme.example", "type": "work"}]}
    check(scim(url, key, "POST", "/Users", user)[0] == 201, "the first user arrives")
    if has_script:
        # The steps tick themselves off.
        page.locator("main").evaluate("element => document.activeElement.blur()")
        page.locator("li.ticked").nth(3).wait_for(timeout=20_000)
    else:
        page.reload()
    check(steps() >= 4, f"the steps are ticked: {steps()}")
    page.screenshot(path=shots / f"connect-{tenant}.png", full_page=True)
    page.click("button:has-text('Sign out')")
    check("signed out" in page.content(), "the session ends")
    context.close()


def main(rollcall, folder="build/screenshots"):
    shots = pathlib.Path(folder)
    shots.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as store,
        server(rollcall, store) as (url, token, _),
        sync_playwright() as playwright,
    ):

        def run(*args):
            command = [rollcall, *args, "--data", store]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

        fill_tenant(url, token)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            each_screen(browser, url, run, shots)
            by_keyboard(browser, run)
            for has_script in [True, False]:
                first_user(browser, run, url, shots, has_script)
        finally:
            browser.close()
    print(f"{len(PASSED)} passed, {len(FAILED)} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
