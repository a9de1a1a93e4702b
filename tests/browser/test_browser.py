"""What a person sees of pages and studio in a real browser; the pages of Dagster are looked at in
`tests/faults/test_servers.py`, where its server runs.

Pictures are kept in tests/screenshots.
"""

import contextlib
import re
import socket
import subprocess
import sys
import time
import urllib.request

import polars as pl
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

from tests.browser.pictures import SCREENSHOTS
from tests.runs import PROJECT

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    page.close()


def only_here(page, address):
    return [
        url
        for url in page.asked
        if not url.startswith((address, "data:", "blob:", address.replace("http", "ws")))
    ]


def test_report(published, page):
    report = published.current / "committee" / "annex/report.html"
    page.goto(f"file://{report.resolve()}")
    page.screenshot(path=SCREENSHOTS / "report.png")
    assert page.evaluate("getComputedStyle(document.body).direction") == "rtl"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    # A minus sign stands left of its digits though the page runs right to left.
    order = page.evaluate("""() => {
            const cells = [...document.querySelectorAll('bdi[data-cell]')];
            const cell = cells.find(node => node.textContent.startsWith('−'));
            const range = document.createRange();
            const at = i => {
                range.setStart(cell.firstChild, i);
                range.setEnd(cell.firstChild, i + 1);
                return range.getBoundingClientRect().left;
            };
            return at(0) < at(1);
        }""")
    assert order
    assert page.asked == [f"file://{report.resolve()}"]
    page.locator("#decide figure").screenshot(path=SCREENSHOTS / "money.png")


def test_diagnosis(published, page):
    file = published.current / "committee" / "annex/diagnosis.html"
    page.goto(f"file://{file.resolve()}")
    page.screenshot(path=SCREENSHOTS / "diagnosis.png")
    assert page.evaluate("getComputedStyle(document.body).direction") == "rtl"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.locator("#causes figure").screenshot(path=SCREENSHOTS / "causes.png")
    # A chart is drawn, not only named: its bars have a size.
    assert page.evaluate(
        "document.querySelector('#causes svg').getBoundingClientRect().height > 80"
    )
    assert page.asked == [f"file://{file.resolve()}"]


@pytest.mark.parametrize("name", ["report", "diagnosis"])
def test_on_paper_and_on_a_phone(published, browser, name):
    report = published.current / "committee" / f"annex/{name}.html"
    phone = browser.new_page(viewport={"width": 390, "height": 800})
    phone.goto(f"file://{report.resolve()}")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 391
    phone.screenshot(path=SCREENSHOTS / f"{name}_phone.png")
    pdf = phone.pdf(path=SCREENSHOTS / f"{name}.pdf", format="A4")
    assert pdf.startswith(b"%PDF")
    phone.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_scenarios(published, browser, width):
    file = published.current / "committee" / "annex/scenarios.html"
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{file.resolve()}")
    page.screenshot(path=SCREENSHOTS / f"scenarios_{width}.png")
    assert page.evaluate("getComputedStyle(document.body).direction") == "rtl"
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 1
    assert page.locator("#groups svg").bounding_box()["height"] > 60
    assert "אין תוכנית שמקיימת יחד" in page.locator("#what").inner_text()
    assert asked == [f"file://{file.resolve()}"]
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["responses", "allocation"])
def test_pages_of_decide(published, browser, name, width):
    """What does not fit scrolls inside its own table; the page never does, and asks nobody for
    anything.
    """
    file = published.current / "committee" / f"annex/{name}.html"
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{file.resolve()}")
    page.screenshot(path=SCREENSHOTS / f"{name}_{width}.png")
    assert page.evaluate("getComputedStyle(document.body).direction") == "rtl"
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 1
    # Nothing beside a table is cut off at the edge, closed details opened too.
    page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 1
    assert page.locator("figure svg").first.bounding_box()["height"] > 60
    assert asked == [f"file://{file.resolve()}"]
    page.close()


def test_the_card_of_a_response_fits_a_desk(published, browser):
    file = published.current / "committee" / "annex/responses.html"
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"file://{file.resolve()}")
    card = page.locator("#r-milat")
    card.screenshot(path=SCREENSHOTS / "response_card.png")
    sides = card.locator(".wide").first
    assert sides.evaluate("node => node.scrollWidth <= node.clientWidth + 1")
    # Literature stands right of the local estimate, and that right of the posterior.
    heads = sides.locator("thead th")
    assert heads.count() == 9
    places = [heads.nth(column).bounding_box()["x"] for column in (2, 3, 6)]
    assert places == sorted(places, reverse=True)
    page.close()


@pytest.fixture(scope="module")
def studio(published):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pipelines.commands.studio",
            published.raw.name,
            "--port",
            str(port),
        ],
        cwd=PROJECT,
        env=published.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).read()
                break
            except OSError:
                assert process.poll() is None, "the studio ended"
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=120)  # a busy machine ends slowly too


def test_the_studio_solves_again_when_a_slider_moves(studio, published, page):
    base = pl.read_parquet(published.current / "analyst" / "mart_allocation_certificate.parquet")
    page.goto(studio)
    cost, moved = (page.locator(f"[data-studio={name}]") for name in ("cost", "moved"))
    cost.wait_for(timeout=90_000)
    # Untouched, it is the published plan.
    assert cost.inner_text() == f"{round(base['cost_agorot'].item() / 100):,}"
    assert moved.inner_text() == "0"
    text = page.inner_text("body")
    assert "נתונים סינתטיים" in text
    assert "טיוטה, לא החלטה" in text

    budget = page.get_by_role("slider").first
    budget.focus()
    budget.press("Home")  # no municipal money at all: commitments cannot be kept
    page.locator("[data-studio=conflict]").wait_for(timeout=60_000)
    assert "אין תוכנית" in page.locator("[data-studio=conflict]").inner_text()
    was = f"{round(base['cost_agorot'].item() / 100):,}"
    solved = (
        "(was) => { const now = document.querySelector('[data-studio=cost]'); return now &&"
        " now.textContent !== was; }"
    )
    for _ in range(
        6
    ):  # up until a plan keeps the rules, and is found in the short time on a busy machine
        budget.press("PageUp")
        with contextlib.suppress(PlaywrightTimeout):
            page.wait_for_function(solved, arg=was, timeout=8_000)
            break
    else:
        pytest.fail("no budget above nothing gave another plan")
    # The cells of the page are drawn one after another: wait for each.
    expect(moved).to_have_text(re.compile(r"^[1-9]\d*$"), timeout=30_000)
    expect(page.locator("[data-studio=said]")).to_contain_text("תקציב הרשות", timeout=30_000)
    rows = page.locator("table[data-studio=schools] tbody tr")
    expect(rows).to_have_count(base["schools"].item(), timeout=30_000)
    page.screenshot(path=SCREENSHOTS / "studio.png")
    assert only_here(page, studio) == []
