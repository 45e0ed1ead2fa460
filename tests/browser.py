"""The page for administrators in a real browser: BROWSER.py ROLLCALL [FOLDER FOR SCREENSHOTS].

Every screen in both themes and languages, with axe-core; at 320 pixels; without JavaScript; the policy, the number and
weight of requests; the walk of each application's document from the link to the first user; a restore; the checks; and the
page in a product and in its frame. Needs Chromium, at the path in
CHROMIUM or /usr/bin/chromium.
"""

import base64
import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import axe_playwright_python
from playwright.sync_api import sync_playwright

from bench import server

AXE = (pathlib.Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SCREENS = ["overview", "connect", "connect?provider=okta", "keys", "automation", "settings", "activity",
           "activity?kind=refusal", "people?q=lela", "groups?q=Staff", "doctor", "operator/tenants", "nothing"]
THEMES = [("light", "en"), ("dark", "en"), ("light", "de"), ("dark", "de")]
# Page, style sheet, script and icon.
MAX_REQUESTS, MAX_BYTES = 4, 60_000
PASSED, FAILED, WEIGHTS = [], [], []


def check(holds, what):
    (PASSED if holds else FAILED).append(what)
    if not holds:
        print(f"FAILED {what}")


def scim(url, credential, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, method=method)
    request.add_header("Authorization", credential)
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
    for theme, language in THEMES:
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
            WEIGHTS.append((weight, len(answers), what))
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


# What each document of docs/src/apps/ asks for: the key's type, the fields that the customer finds on the page, and a user.
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
JOSTLE = "urn:ietf:params:scim:schemas:extension:jostle:2.0:User"
APPLICATIONS = {
    "jostle": {
        "type": "bearer", "steps": 0, "fields": ["Tenant URL", "Secret Token"], "path": "/scim/v2",
        "user": {"userName": "ada@example.com", "emails": [{"type": "work", "value": "ada@example.com"}]},
        "refused": {"userName": "grace", "emails": [{"type": "personal", "value": "grace@example.org"}]},
        "change": {"op": "Replace", "path": f"{JOSTLE}:alternateEmail1Label", "value": "Chess club"},
    },
    "juno-journey": {
        "type": "bearer", "steps": 0, "fields": ["Tenant URL", "Secret Token"], "path": "/scim/v2",
        "user": {"userName": "linus@example.com", "title": "Engineer", ENTERPRISE: {"employeeNumber": "701984"}},
        "change": {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "26118915"},
    },
    "mindtickle": {
        "type": "jwt", "steps": 1, "fields": ["Tenant URL", "Secret Token"], "path": "/scim",
        "user": {"userName": "katherine@example.com", "title": "Analyst", "roles": []},
        "change": {"op": "Replace", "path": "title", "value": "Head of analysis"},
    },
    "jive": {
        "type": "basic", "steps": 1, "fields": ["Admin User Name", "Admin Password", "Tenant URL"], "path": "/scim/v2",
        "user": {"userName": "alan@example.com", "emails": [{"type": "work", "value": "alan@example.com"}], "roles": []},
        "change": {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "turing@example.com"},
    },
}
ROBOT = "provisioning-bot"


class Hand:
    """What somebody does on the page, counted: pages that open, clicks, and fields that are filled in."""

    def __init__(self, page):
        self.page, self.clicks, self.fields, self.started = page, 0, 0, time.monotonic()

    def click(self, selector):
        self.clicks += 1
        self.page.click(selector)

    def fill(self, selector, text):
        self.fields += 1
        self.page.fill(selector, text)

    def select(self, selector, value):
        self.fields += 1
        self.page.select_option(selector, value)


def authorization(kind, secret):
    if kind != "basic":
        return f"Bearer {secret}"
    return "Basic " + base64.b64encode(f"{ROBOT}:{secret}".encode()).decode()


def walk(browser, rollcall_run, shots, application, has_script):
    """The document of an application: the automation user, a key in its name, the values for Entra ID; then what Entra ID
    sends: Test Connection, the first user, a change, a deactivation. What becomes of it stands on the page."""
    of = APPLICATIONS[application]
    tenant = f"{application}-{'script' if has_script else 'plain'}"
    rollcall_run("tenant", "create", tenant, "--profile", application)
    context = browser.new_context(java_script_enabled=has_script, permissions=["clipboard-read", "clipboard-write"],
                                  locale="en")
    page = context.new_page()
    link = rollcall_run("link", tenant)
    hand = Hand(page)
    page.goto(link)
    if not has_script:
        hand.fill("#token", link)
        hand.click("main button")
    page.wait_for_url("**/connect")
    steps = lambda: page.locator("li.ticked").count()  # noqa: E731
    check(steps() == 0, f"{tenant}: no step is done yet")
    labels = page.locator("section[aria-labelledby=values] > dl dt").all_inner_texts()
    check([label for label in labels if label != "Provisioning Mode"] == of["fields"], f"{tenant}: fields {labels}")
    url = page.locator("dl div", has_text="Tenant URL").first.locator("code").inner_text()
    check(url.endswith(f"/{tenant}{of['path']}"), f"{tenant}: its base URL is {url}")
    check(page.locator("button.copy").first.is_visible() == has_script, f"{tenant}: only the script copies")
    if has_script:
        hand.click("dl div:has-text('Tenant URL') >> nth=0 >> button")
        check(page.evaluate("navigator.clipboard.readText()") == url, f"{tenant}: the base URL is copied")
        check(page.locator("[role=status]").inner_text() == "Copied", f"{tenant}: the page says so")
    hand.click("nav >> text=Automation users")
    hand.fill("#name", ROBOT)
    hand.click("main button:has-text('Add')")
    page.wait_for_url("**/automation?done=added")
    hand.click("nav >> text=Keys")
    hand.select("#automation", ROBOT)
    hand.fill("#description", "Entra ID")
    check(page.locator("#type").input_value() == of["type"], f"{tenant}: the usual type of key is chosen already")
    hand.click("main button:has-text('Add')")
    secret = page.locator("dl div").last.locator("code").inner_text()
    if has_script:
        axe(page, f"the new key of {tenant}")
    page.screenshot(path=shots / f"secret-{tenant}.png", full_page=True)
    check(secret.startswith("eyJ" if of["type"] == "jwt" else f"scim_{tenant}_"), f"{tenant}: the key, once")
    hand.click("input[type=checkbox]")
    hand.click("main button:has-text('Continue')")
    page.wait_for_url("**/connect*")
    check(steps() == 1 + of["steps"], f"{tenant}: {steps()} steps are ticked after the key")
    credential = authorization(of["type"], secret)
    send = lambda *request: scim(url, credential, *request)  # noqa: E731
    check(send("GET", "/Users?filter=userName%20eq%20%22x%22")[0] == 200, f"{tenant}: the connection works")
    status, user = send("POST", "/Users", of["user"])
    check(status == 201, f"{tenant}: the first user arrives: {status}")
    seconds, clicks = time.monotonic() - hand.started, hand.clicks
    if has_script:
        # The steps tick themselves off.
        page.locator("main").evaluate("element => document.activeElement.blur()")
        page.locator("li.ticked").nth(3 + of["steps"]).wait_for(timeout=20_000)
    else:
        page.reload()
    check(steps() >= 4 + of["steps"], f"{tenant}: the steps are ticked: {steps()}")
    page.screenshot(path=shots / f"connect-{tenant}.png", full_page=True)
    if "refused" in of:
        check(send("POST", "/Users", of["refused"])[0] == 400, f"{tenant}: a user without a work address is refused")
        hand.click("nav >> text=Activity")
        page.goto(page.url + "?kind=refusal")
        page.locator(".entry summary").first.click()
        page.locator(".entry", has_text="What to do").first.wait_for()
        check("required" in page.locator(".entry").first.inner_text(), f"{tenant}: the page says why")
    for operation in [of["change"], {"op": "Replace", "path": "active", "value": "False"}]:
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
        check(send("PATCH", f"/Users/{user['id']}", body)[0] == 200, f"{tenant}: {operation['path']} changes")
    page.goto(f"{page.url.split('/manage')[0]}/manage/people?q={of['user']['userName']}")
    find(page, "user.deactivated")
    text = page.locator("main").inner_text()
    check("user.created" in text and "user.updated" in text, f"{tenant}: the history has what Entra ID did")
    page.screenshot(path=shots / f"people-{tenant}.png", full_page=True)
    page.click("button:has-text('Sign out')")
    check("signed out" in page.content(), f"{tenant}: the session ends")
    context.close()
    print(f"{tenant}: {clicks} clicks and {hand.fields} fields to the first user, {seconds:.1f} s by machine")


def find(page, text, seconds=10):
    """Loads a page until it has a text: the log is written a moment after the request."""
    for _ in range(2 * seconds):
        if text in page.locator("main").inner_text():
            return
        time.sleep(0.5)
        page.reload()
    check(False, f"{page.url} has {text}")


def restores(browser, run, url, token, shots):
    """A user is deleted, and comes back from the history by a plan."""
    _, user = scim(url, token, "POST", "/Users", {"userName": "undo", "title": "Engineer"})
    scim(url, token, "DELETE", f"/Users/{user['id']}")
    context = browser.new_context(locale="en")
    page = context.new_page()
    trouble = watch(page)
    page.goto(run("link", "demo", "--role", "operate", "--for", "jane@acme.example"))
    page.wait_for_url("**/overview")
    page.goto(page.url.replace("overview", f"people?id={user['id']}"))
    find(page, "user.deleted")
    page.click("text=Plan to give back what this user lost last")
    # A deleted user comes back 25 seconds after its deletion at the earliest; until then the plan says to wait.
    check("still under way" in page.locator("main").inner_text(), "the plan says that it is too early")
    find(page, "comes back", 60)
    in_each_theme(page, "restore-plan", shots)
    page.click("text=Restore now")
    check(page.url.split("?")[0].endswith("/restore"), "the box must be ticked")
    page.check("main input[type=checkbox]")
    page.click("main form.panel button")
    check("Restored: 1." in page.locator("main").inner_text(), "the user comes back")
    for theme in ["dark", "light"]:
        page.emulate_media(color_scheme=theme)
        axe(page, f"result of a restore {theme}")
        page.screenshot(path=shots / f"restore-result-{theme}.png", full_page=True)
    check(scim(url, token, "GET", f"/Users/{user['id']}")[0] == 200, "the user is there again")
    check(not trouble, f"policy and script on a restore: {trouble}")
    context.close()


def in_each_theme(page, name, shots):
    """The screen in both themes and languages, and at 320 pixels."""
    address = page.url + ("&" if "?" in page.url else "?")
    for theme, language in reversed(THEMES):
        page.emulate_media(color_scheme=theme)
        page.goto(f"{address}lang={language}")
        axe(page, f"{name} {theme} {language}")
        page.set_viewport_size({"width": 1100, "height": 800})
        page.screenshot(path=shots / f"{name}-{theme}-{language}.png", full_page=True)
        page.set_viewport_size({"width": 320, "height": 640})
        check(page.evaluate("document.documentElement.scrollWidth") <= 320, f"{name} fits 320 pixels")
        page.screenshot(path=shots / f"{name}-320-{theme}-{language}.png", full_page=True)
    page.set_viewport_size({"width": 1100, "height": 800})


def held(browser, run, url, shots):
    """A window of the protection on the overview, rejected, and the plan of what it has counted."""
    run("tenant", "create", "held")
    run("tenant", "set", "held", "--protect", "hold", "--protect-users", "1%/1")
    base, bearer = url.replace("/demo/", "/held/"), "Bearer " + run("key", "create", "held", "--description", "x")
    off = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
           "Operations": [{"op": "replace", "path": "active", "value": False}]}
    users = [scim(base, bearer, "POST", "/Users", {"userName": name, "active": True})[1] for name in ["ann", "bob"]]
    answers = [scim(base, bearer, "PATCH", f"/Users/{user['id']}", off)[0] for user in users]
    check(answers == [200, 429], f"the second removal is held: {answers}")
    context = browser.new_context(locale="en")
    page = context.new_page()
    trouble = watch(page)
    page.goto(run("link", "held", "--role", "operate"))
    page.wait_for_url("**/overview")
    page.click("text=Keep holding")
    page.wait_for_url("**/overview?done=decided")
    in_each_theme(page, "overview-held", shots)
    page.goto(page.url.split("?")[0])
    page.click("text=Plan to restore what was counted")
    find(page, "ann")
    in_each_theme(page, "restore-held", shots)
    page.check("main input[type=checkbox]")
    page.click("main form.panel button")
    check("Restored: 1." in page.locator("main").inner_text(), "what was counted is restored")
    check(not trouble, f"policy and script on a hold: {trouble}")
    context.close()


def doctor(browser, run, shots):
    """The checks, in both themes and languages."""
    for theme, language in THEMES:
        context = browser.new_context(color_scheme=theme, locale=language, viewport={"width": 1100, "height": 800})
        page = context.new_page()
        trouble = watch(page)
        page.goto(run("link", "demo", "--role", "view"))
        page.wait_for_url("**/overview")
        page.goto(page.url.replace("overview", "doctor"))
        page.click("main form button")
        check(page.locator(".findings .good").count() >= 6, "the checks find a tenant in order")
        check(page.locator(".findings .fault").count() == 0, "the checks find no fault")
        axe(page, f"doctor {theme} {language}")
        page.screenshot(path=shots / f"doctor-run-{theme}-{language}.png", full_page=True)
        page.set_viewport_size({"width": 320, "height": 640})
        check(page.evaluate("document.documentElement.scrollWidth") <= 320, "the findings fit 320 pixels")
        page.screenshot(path=shots / f"doctor-run-320-{theme}-{language}.png", full_page=True)
        check(not trouble, f"policy and script on the checks: {trouble}")
        context.close()


LOGO = "data:image/svg+xml;base64," + base64.b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="11" fill="#d81b60"/></svg>'
).decode()


class Product(http.server.BaseHTTPRequestHandler):
    """A page of a product, with a frame."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Product</title><h1>Product</h1>"
                         b"<iframe width=900 height=900 allow=clipboard-write></iframe>")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def product(host="127.0.0.1"):
    """The origin of a product."""
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Product)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://{host}:{serving.server_port}"
    serving.shutdown()


def new_link(rollcall, store):
    """A link by the address on which the server listens, whatever its public one is."""
    link = subprocess.run([rollcall, "link", "demo", "--data", store], capture_output=True, text=True, check=True).stdout
    local = json.loads((pathlib.Path(store) / "server.json").read_text())["url"]
    return local + "/demo/manage#" + link.strip().partition("#")[2]


def framed(browser, origin, link):
    """A product's page with the link in its frame."""
    context = browser.new_context(locale="en", viewport={"width": 1000, "height": 1000})
    page = context.new_page()
    page.goto(origin)
    page.locator("iframe").evaluate("(frame, link) => { frame.src = link; }", link)
    return context, page, page.frame_locator("iframe")


def goes_on(inner):
    """Signed in, and still so on the next screen."""
    inner.locator("h1", has_text="Connect").wait_for()
    inner.locator("nav >> text=Keys").click()
    inner.locator("h1", has_text="Keys").wait_for()


def of_another_site(browser, rollcall):
    """localhost and 127.0.0.1 are two sites: a cookie is sent in such a frame if it is partitioned."""
    with product("localhost") as origin, tempfile.TemporaryDirectory() as store:
        options = ["--frame-origins", origin, "--public-url", "https://scim.example.net"]
        with server(rollcall, store, options=options):
            context, _, inner = framed(browser, origin, new_link(rollcall, store))
            goes_on(inner)
            [cookie] = [cookie for cookie in context.cookies() if cookie["name"].startswith("__Host-")]
            check((cookie["sameSite"], cookie["partitionKey"]) == ("None", "http://localhost"), f"the cookie: {cookie}")
            context.close()


def in_a_product(playwright_browser, rollcall, shots):
    """The name, logo and colour of a product, and the page in a frame of an origin that may, and of one that may not."""
    with product() as known, product() as unknown, contextlib.ExitStack() as stack:
        store = stack.enter_context(tempfile.TemporaryDirectory())
        options = ["--product-name", "Example", "--product-logo", LOGO, "--product-color", "#ffb300"]
        stack.enter_context(server(rollcall, store, options=[*options, "--frame-origins", known]))
        for theme, language in THEMES:
            context = playwright_browser.new_context(color_scheme=theme, locale=language)
            page = context.new_page()
            trouble = watch(page)
            page.goto(new_link(rollcall, store))
            page.wait_for_url("**/connect")
            check("Example" in page.title() and page.locator("img.logo").evaluate("image => image.naturalWidth > 0"),
                  "name and logo of the product")
            axe(page, f"a product's colour {theme} {language}")
            check(not trouble, f"policy and script in a product: {trouble}")
            page.screenshot(path=shots / f"product-{theme}-{language}.png", full_page=True)
            context.close()
        context, page, inner = framed(playwright_browser, known, new_link(rollcall, store))
        goes_on(inner)
        page.screenshot(path=shots / "framed.png")
        context.close()
        context, page, inner = framed(playwright_browser, unknown, new_link(rollcall, store))
        page.wait_for_timeout(1_500)
        check(inner.locator("main#main").count() == 0, "an origin that is not named frames nothing")
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

        bearer = f"Bearer {token}"
        fill_tenant(url, bearer)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            each_screen(browser, url, run, shots)
            by_keyboard(browser, run)
            for application in APPLICATIONS:
                for has_script in [True, False]:
                    walk(browser, run, shots, application, has_script)
            restores(browser, run, url, bearer, shots)
            held(browser, run, url, shots)
            doctor(browser, run, shots)
            in_a_product(browser, rollcall, shots)
            of_another_site(browser, rollcall)
        finally:
            browser.close()
    print("heaviest screen: {} bytes in {} requests, {}".format(*max(WEIGHTS)))
    print(f"{len(PASSED)} passed, {len(FAILED)} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
