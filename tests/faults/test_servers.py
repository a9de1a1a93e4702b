"""The servers answer their own page alone: by the rules of the door, and in a real browser."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pipelines.guard import LOGIN, SERVED_AS, TOKEN, guarded
from pipelines.settings.city import CityError
from tests.browser.pictures import SCREENSHOTS
from tests.runs import PROJECT, copy_of

HERE = "http://127.0.0.1:3000"
SECRET = "correct horse battery staple and some more"
HEBREW = re.compile("[א-ת]{3}")


def client(**environment):
    """A server behind the door that counts what reaches it."""
    reached = []

    async def page(request):
        reached.append(f"{request.method} {request.url.path}")
        return PlainTextResponse("page", headers={"access-control-allow-origin": "*"})

    async def socket_(websocket):
        await websocket.accept()
        reached.append("websocket")
        await websocket.send_text("hello")
        await websocket.close()

    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]
    app = Starlette(
        routes=[WebSocketRoute("/ws", socket_), Route("/{rest:path}", page, methods=methods)]
    )
    made = TestClient(
        guarded(app, environment.pop("host", "127.0.0.1"), 3000, environment),
        base_url=HERE,
        follow_redirects=False,
    )
    made.reached = reached
    return made


LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
REFUSED = {
    "mutation by link": ("GET", "/graphql?query=mutation{a}", {}, 405),
    "mutation by HEAD": ("HEAD", "/graphql?query=mutation{a}", {}, 405),
    "mutation by a followed link": ("GET", "/graphql?query=mutation{a}", LINK, 405),
    "query by link under a prefix": ("GET", "/x/graphql/?query={a}", {}, 405),
    "foreign name (DNS rebinding)": ("GET", "/", {"host": "evil.example:3000"}, 421),
    "own name without its port": ("GET", "/", {"host": "127.0.0.1"}, 421),
    "another port": ("GET", "/", {"host": "127.0.0.1:3001"}, 421),
    "no name": ("GET", "/", {"host": ""}, 421),
    "foreign origin reads": ("GET", "/", {"origin": "http://evil.example"}, 403),
    "foreign origin posts": ("POST", "/graphql", {"origin": "http://evil.example"}, 403),
    "origin of another port": ("POST", "/graphql", {"origin": "http://127.0.0.1:3001"}, 403),
    "origin that begins alike": ("POST", "/graphql", {"origin": f"{HERE}.evil.example"}, 403),
    "origin of a file": ("POST", "/graphql", {"origin": "null"}, 403),
    "preflight of another site": ("OPTIONS", "/graphql", {"origin": "http://evil.example"}, 403),
    "image on another site": (
        "GET",
        "/logs",
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        403,
    ),
    "script on another port": (
        "GET",
        "/",
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        403,
    ),
    "frame on another site": ("GET", "/", LINK | {"sec-fetch-dest": "iframe"}, 403),
    "form of another site": ("POST", "/graphql", LINK, 403),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_no_page_of_ours_asks_is_refused_in_both_languages(fault):
    method, path, headers, code = REFUSED[fault]
    asked = client()
    found = asked.request(method, path, headers=headers)
    assert found.status_code == code
    assert asked.reached == []
    if method != "HEAD":
        assert HEBREW.search(found.text)
        assert re.search("[a-z]{3}", found.text)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/", {"host": "LOCALHOST:3000"}),
        ("GET", "/runs", LINK),
        ("GET", "/graphql", {}),
        ("POST", "/graphql", {}),
        ("POST", "/graphql", {"origin": HERE, "sec-fetch-site": "same-origin"}),
        ("GET", "/", {"sec-fetch-site": "none"}),
    ],
)
def test_what_our_page_asks_is_answered_and_is_for_no_other(method, path, headers):
    asked = client()
    found = asked.request(method, path, headers=headers)
    assert (found.status_code, found.text) == (200, "page")
    assert "access-control-allow-origin" not in found.headers
    assert found.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert found.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"host": "evil.example:3000"}],
)
def test_a_socket_of_another_site_is_closed(headers):
    asked = client()
    with pytest.raises(WebSocketDisconnect), asked.websocket_connect("/ws", headers=headers):
        pass
    assert asked.reached == []
    with asked.websocket_connect("/ws", headers={"host": "127.0.0.1:3000", "origin": HERE}) as mine:
        assert mine.receive_text() == "hello"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "tikkun.example"])
@pytest.mark.parametrize("token", ["", "short", " " * 40])
def test_others_are_not_listened_to_without_a_token(host, token):
    with pytest.raises(CityError, match=TOKEN) as refused:
        client(host=host, **{TOKEN: token})
    assert HEBREW.search(refused.value.he)


@pytest.mark.parametrize("named", ["tikkun.example", "ftp://a", "https://*", "https://a/b", "//a"])
def test_a_name_that_is_no_origin_is_refused(named):
    with pytest.raises(CityError, match=SERVED_AS):
        client(**{SERVED_AS: named})


def test_who_knows_the_token_enters_and_no_other():
    outside = "https://tikkun.example"
    asked = client(host="0.0.0.0", **{TOKEN: SECRET, SERVED_AS: outside})
    from_outside = {"host": "tikkun.example"}
    assert asked.get("/", headers=from_outside).status_code == 401
    assert asked.get("/", headers=from_outside | {"authorization": "Bearer no"}).status_code == 401
    assert asked.get(f"/?token={SECRET}", headers=from_outside).status_code == 401
    wrong = asked.post(LOGIN, headers=from_outside, data={"token": SECRET[:-1]})
    long = asked.post(LOGIN, headers=from_outside, data={"token": "x" * 100_000})
    assert (wrong.status_code, long.status_code) == (401, 401)
    foreign = from_outside | {"origin": "https://evil.example"}
    assert asked.post(LOGIN, headers=foreign, data={"token": SECRET}).status_code == 403
    with pytest.raises(WebSocketDisconnect), asked.websocket_connect("/ws", headers=from_outside):
        pass
    assert asked.reached == []

    known = from_outside | {"authorization": f"Bearer {SECRET}"}
    assert asked.get("/", headers=known).text == "page"
    entered = asked.post(LOGIN, headers=from_outside | {"origin": outside}, data={"token": SECRET})
    assert entered.status_code == 303
    cookie = entered.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Secure"))
    assert SECRET not in cookie
    shown = from_outside | {"cookie": cookie.split(";")[0]}
    assert asked.get("/", headers=shown).text == "page"
    with asked.websocket_connect("/ws", headers=shown | {"origin": outside}) as mine:
        assert mine.receive_text() == "hello"


# ---- the servers themselves, and a browser ------------------------------------------------------


def _free():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _started(command, env, path):
    port = _free()
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--port", str(port)],
        cwd=PROJECT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(address + path, timeout=2).read()
            return process, address
        except OSError:
            assert process.poll() is None, "the server ended"
            time.sleep(0.5)
    raise AssertionError("waited in vain")


@pytest.fixture(scope="module")
def place(published, tmp_path_factory):
    return copy_of(published, tmp_path_factory.mktemp("served"))


EVERYTHING, TO_LOOK = (), ("--view",)


@pytest.fixture(scope="module", params=[EVERYTHING, TO_LOOK], ids=["whole", "view"])
def dagster(place, request):
    env = place.env | {"TIKKUN_CITY": place.raw.name}
    process, address = _started(["pipelines.commands.page", *request.param], env, "/server_info")
    yield address, bool(request.param)
    process.terminate()
    process.wait(timeout=60)


@pytest.fixture(scope="module")
def studio(place):
    process, address = _started(
        ["pipelines.commands.studio", place.raw.name, "--view"], place.env, "/health"
    )
    yield address
    process.terminate()
    process.wait(timeout=60)


_ATTACK = """<!doctype html><title>another site</title><script>
window.found = {};
const target = new URLSearchParams(location.search).get("target");
const note = (name, got) => { window.found[name] = got; };
const mutation = encodeURIComponent(%(mutation)s);
async function attack() {
  for (const [name, path, options] of [
    ["read", "/", {}],
    ["read without cors", "/", {mode: "no-cors"}],
    ["mutation by GET", "/graphql?query=" + mutation, {mode: "no-cors"}],
    ["mutation by POST", "/graphql", {method: "POST", mode: "no-cors",
      body: JSON.stringify({query: %(mutation)s})}],
    ["mutation as JSON", "/graphql", {method: "POST",
      headers: {"content-type": "application/json"}, body: JSON.stringify({query: %(mutation)s})}],
  ]) {
    try { const r = await fetch(target + path, options); note(name, r.type + " " + r.status); }
    catch (error) { note(name, "refused"); }
  }
  for (const path of ["/graphql", "/ws?session_id=s_abcdef"]) {
    note("socket " + path, await new Promise((done) => {
      const s = new WebSocket(target.replace("http", "ws") + path, "graphql-ws");
      s.onopen = () => done("open"); s.onerror = () => done("refused");
    }));
  }
  await new Promise((done) => { const i = new Image(); i.onload = i.onerror = done;
    i.src = target + "/graphql?query=" + mutation; });
  window.done = true;
}
attack();
</script>"""
# The schedule's own identifiers are read from the page that serves it.
_SCHEDULES = '{schedulesOrError(repositorySelector:{repositoryName:"%s",repositoryLocationName:"%s"}){... on Schedules{results{name scheduleState{status}}}}}'  # noqa: E501
_REPOSITORIES = "{repositoriesOrError{... on RepositoryConnection{nodes{name location{name}}}}}"


@pytest.fixture
def other_site():
    """A page of a second origin on this machine."""
    pages = {}

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages["page"].encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield pages, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def _asked(page, query):
    """Ask GraphQL as the server's own page does."""
    return page.evaluate(
        "(query) => fetch('/graphql', {method: 'POST', headers: {'content-type':"
        " 'application/json'}, body: JSON.stringify({query})}).then((r) => r.json())",
        query,
    )


@pytest.mark.browser
def test_a_page_of_another_site_starts_nothing_and_ours_does(dagster, other_site, browser):
    address, only_shows = dagster
    own = browser.new_page()
    own.goto(address)
    own.get_by_text("Runs").first.wait_for(timeout=60_000)  # the page itself works
    (repository,) = _asked(own, _REPOSITORIES)["data"]["repositoriesOrError"]["nodes"]
    where = (repository["name"], repository["location"]["name"])

    def status():
        found = _asked(own, _SCHEDULES % where)["data"]["schedulesOrError"]["results"]
        return {one["name"]: one["scheduleState"]["status"] for one in found}["nightly"]

    mutation = (
        'mutation{startSchedule(scheduleSelector:{repositoryName:"R",'
        'repositoryLocationName:"L",scheduleName:"nightly"}){__typename}}'
    )
    mutation = mutation.replace('"R"', f'"{where[0]}"').replace('"L"', f'"{where[1]}"')
    assert status() == "STOPPED"
    pages, site = other_site
    pages["page"] = _ATTACK % {"mutation": json.dumps(mutation)}
    other = browser.new_page()
    other.goto(f"{site}/?target={address}")
    other.wait_for_function("window.done === true", timeout=60_000)
    found = other.evaluate("window.found")
    assert found["read"] == "refused"
    assert found["mutation as JSON"] == "refused"
    assert found["socket /graphql"] == "refused"
    assert status() == "STOPPED"
    # The same mutation, followed as a link.
    answered = other.goto(f"{address}/graphql?query={quote(mutation)}")
    assert answered is not None
    assert answered.status == 405
    assert status() == "STOPPED"

    _asked(own, mutation)
    assert status() == ("STOPPED" if only_shows else "RUNNING")
    if not only_shows:
        _asked(own, mutation.replace("startSchedule", "resetSchedule"))
    own.close()
    other.close()


@pytest.fixture
def looked_at(dagster, browser):
    """Open a page of the Dagster UI; nothing but its own server may be asked for anything."""
    address, _ = dagster
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    def open_page(path):
        page.goto(address + path)
        return page

    yield open_page
    page.close()
    own = (address, "data:", "blob:", address.replace("http", "ws"))
    assert [url for url in asked if not url.startswith(own)] == []


@pytest.mark.browser
@pytest.mark.parametrize("dagster", [EVERYTHING], ids=["whole"], indirect=True)
def test_lineage_page(looked_at):
    page = looked_at("/asset-groups")
    page.get_by_text("collect", exact=False).first.wait_for(timeout=90_000)
    for stage in ("aim", "collect", "diagnose", "decide", "act", "review"):
        expect(page.locator("body")).to_contain_text(stage, timeout=30_000)
    page.wait_for_timeout(1000)
    page.screenshot(path=SCREENSHOTS / "lineage.png")
    assert "Join the" not in page.inner_text("body")  # no pop-up


@pytest.mark.browser
@pytest.mark.parametrize("dagster", [EVERYTHING], ids=["whole"], indirect=True)
def test_asset_page(looked_at):
    page = looked_at("/assets/mart/mart_gap_school")
    said = page.get_by_text("one school × subject over the years of the window", exact=False)
    said.first.wait_for(timeout=90_000)
    expect(page.locator("body")).to_contain_text("mart_gap_school", timeout=30_000)
    page.wait_for_timeout(1000)
    page.screenshot(path=SCREENSHOTS / "asset.png")


@pytest.mark.browser
def test_a_page_of_another_site_reaches_no_studio_and_viewers_decide_nothing(
    studio, other_site, browser, place
):
    pages, site = other_site
    pages["page"] = _ATTACK % {"mutation": '""'}
    other = browser.new_page()
    other.goto(f"{site}/?target={studio}")
    other.wait_for_function("window.done === true", timeout=60_000)
    found = other.evaluate("window.found")
    assert found["socket /ws?session_id=s_abcdef"] == "refused"
    assert found["read"] == "refused"
    other.close()
    own = browser.new_page()
    own.goto(studio)
    own.locator("table[data-studio=schools]").wait_for(timeout=120_000)
    assert own.locator("[data-studio=decide] button").count() == 0
    assert own.locator("[data-studio=save] button").count() == 0
    own.close()
    assert not list((place.raw / "decided").glob("20*"))
