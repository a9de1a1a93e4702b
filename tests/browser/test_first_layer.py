"""The first layer in a real browser: one screen, one sheet, access for all, by keyboard alone."""

from posixpath import dirname

import pytest
from axe_playwright_python.sync_playwright import Axe

from pipelines.publish.pages.base import ANNEXES, FIRST
from tests.browser.pictures import SCREENSHOTS
from tests.examples import ARE_ALL, part_of
from tests.publish.layer import Layer

SCREEN = 800  # of a laptop of 1280, in pixels
WHAT = {"resultTypes": ["violations", "incomplete"]}
A_FAMILY = 2  # pages of schools, and of responses, that are opened

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def layer(published):
    return Layer(published.current / "committee")


@pytest.fixture(scope="module")
def names(layer):
    """Every single page, and the first ones of each family."""
    families = {dirname(name) for name in layer.names} - {"", "annex"}
    return [
        *(name for name in layer.names if dirname(name) in ("", "annex")),
        *(
            name
            for family in sorted(families)
            for name in [one for one in layer.names if dirname(one) == family][:A_FAMILY]
        ),
    ]


@pytest.fixture
def opened(browser, layer):
    """Open a page at a width, in the one window of the test; what it asked for and complained of
    is kept.
    """
    # The page's own policy keeps every script out that is not ours: the checker's too.
    page = browser.new_page(bypass_csp=True)
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))

    def open_at(name, width=1280):
        page.set_viewport_size({"width": width, "height": SCREEN})
        page.goto("about:blank")
        page.asked.clear()
        page.said.clear()
        page.goto((layer.folder / name).resolve().as_uri())
        return page

    yield open_at
    page.close()


@pytest.mark.sampled
@pytest.mark.parametrize("width", [1280, 390])
def test_nobody_is_kept_out(opened, names, width):
    """No violation of axe-core, and no contrast that it could not decide.

    Each page at one of two widths, by turns, and in `make validate` at both. The colours of charts
    are judged in `tests/publish/test_charts.py`.
    """
    found = {}
    for name in part_of(names, 2, at=width == 390):
        page = opened(name, width)
        # What a table has scrolled away is covered, and not judged: let it stand.
        page.add_style_tag(content=".wide { overflow: visible !important; }")
        said = Axe().run(page, {"exclude": [["svg"]]}, WHAT).response
        undecided = [one for one in said["incomplete"] if one["id"] == "color-contrast"]
        faults = [
            (one["id"], node["target"], node["html"][:120])
            for one in [*said["violations"], *undecided]
            for node in one["nodes"]
            if not _is_a_sign(node)
        ]
        if faults:
            found[name] = faults
    assert found == {}


@pytest.mark.sampled
@pytest.mark.parametrize("name", part_of(ANNEXES, 3))
def test_nobody_is_kept_out_of_an_annex(opened, name):
    page = opened(f"annex/{name}.html")
    said = Axe().run(page, {"exclude": [["svg"]]}, {"resultTypes": ["violations"]}).response
    assert [
        (one["id"], node["target"], node["html"][:120])
        for one in said["violations"]
        for node in one["nodes"]
    ] == []


def _is_a_sign(node):
    """A shekel sign beside a number: the checker takes it for no text; the number is judged."""
    return any((check.get("data") or {}).get("messageKey") == "nonBmp" for check in node["any"])


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_asked_for_and_nothing_sticks_out(opened, layer, names, width):
    for name in names:
        page = opened(name, width)
        if ARE_ALL:
            page.screenshot(path=SCREENSHOTS / f"first_{name.replace('/', '_')}_{width}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 1, name
        page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 1, name
        assert page.evaluate("getComputedStyle(document.body).direction") == "rtl"
        assert page.asked == [(layer.folder / name).resolve().as_uri()]
        assert page.said == [], name


def test_a_script_of_others_does_not_run(browser, layer, tmp_path):
    text = (layer.folder / "index.html").read_text(encoding="utf-8")
    (tmp_path / "p.html").write_text(
        text.replace("</body>", "<script>document.title = 'ran'</script></body>"), encoding="utf-8"
    )
    page = browser.new_page()
    page.goto((tmp_path / "p.html").as_uri())
    assert page.title() != "ran"
    page.close()


def test_the_first_page_is_one_screen_and_one_sheet(opened, layer):
    page = opened("index.html")
    assert page.evaluate("document.documentElement.scrollHeight") <= SCREEN
    pdf = page.pdf(path=SCREENSHOTS / "first_index.pdf", prefer_css_page_size=True)
    assert sum(pdf.count(mark) for mark in (b"/Type /Page\n", b"/Type /Page/", b"/Type/Page/")) == 1


def test_the_others_are_two_screens_at_most(opened, names):
    tall = {
        name: height
        for name in names
        for height in [opened(name).evaluate("document.documentElement.scrollHeight")]
        if height > 2 * SCREEN
    }
    assert tall == {}


def test_a_keyboard_is_enough(opened, names):
    """The skip link comes first, every page is reached, and what is folded opens."""
    for name in names:
        page = opened(name)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip", name
        assert page.locator(".skip").bounding_box()["x"] >= 0
        reached = []
        for _ in FIRST:
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.textContent"))
        assert reached == list(FIRST.values()), name
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", name
        if page.locator("details").count():
            page.locator("summary").first.focus()
            page.keyboard.press("Enter")
            assert page.locator("details").first.evaluate("node => node.open"), name
