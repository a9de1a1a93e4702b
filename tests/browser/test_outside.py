"""Pages of parents, the public and inspectors, and the form to print, in a real browser."""

from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe

from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.pages.outside.pages import render_form, render_outside
from pipelines.publish.redraw import context_of
from pipelines.publish.site import OUTSIDE
from pipelines.publish.translations import Language, Translation, fixed_texts
from pipelines.settings.city import load_city
from tests.browser.pictures import SCREENSHOTS
from tests.examples import ARE_ALL, part_of

WHAT = {"resultTypes": ["violations", "incomplete"]}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(published, tmp_path_factory):
    """Every page by its name: as published, the forms, and the parents' pages half in Russian."""
    found = {}
    for audience in OUTSIDE:
        folder = published.current / audience
        for path in sorted(folder.rglob("*.html")):
            found[f"{audience}/{path.relative_to(folder).as_posix()}"] = path
    city = load_city(published.current / "analyst")
    context = context_of(city)
    half = {
        key: Translation(f"Текст {key.replace('.', ' ')}" + "".join(_places(text.he)), text.he)
        for number, (key, text) in enumerate(fixed_texts().items())
        if number % 2
    }
    russian = replace(context, languages=(Language("ru", "Русский", half),))
    tables = read_database(published.current / "parents" / DATABASE)
    made = {f"half/{name}": text for name, text in render_outside(tables, russian).items()}
    made |= {f"form.{code}.html": text for code, text in render_form(context, city.policy).items()}
    place = tmp_path_factory.mktemp("pages")
    for name, text in made.items():
        if name.startswith("form") or "/ru/" in name:
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            found[name] = path
    return found


def _places(text):
    import re

    return [f" {one}" for one in re.findall(r"\{\w+\}", text)]


@pytest.mark.sampled
@pytest.mark.parametrize("width", [1280, 390])
def test_nobody_is_kept_out_and_nobody_is_asked(pages, browser, width):
    """The checker judges each page at one of two widths, by turns; in `make validate` at both."""
    assert len(pages) >= 2 * 8 + 1 + 2 + 4
    judged = part_of(pages, 2, at=width == 390)
    page = browser.new_page(viewport={"width": width, "height": 800}, bypass_csp=True)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for name, path in pages.items():
        page.goto("about:blank")
        asked.clear()
        said.clear()
        page.goto(path.resolve().as_uri())
        assert asked == [path.resolve().as_uri()], name
        assert said == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 1, name
        page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 1, name
        if name in judged:
            found = Axe().run(page, options=WHAT).response
            assert [one["id"] for one in found["violations"]] == [], (name, found["violations"])
        if ARE_ALL:
            flat = name.replace("/", "_").removesuffix(".html")
            page.screenshot(path=SCREENSHOTS / f"outside_{flat}_{width}.png", full_page=True)
    page.close()


def test_every_page_runs_in_its_own_direction(pages, browser):
    page = browser.new_page()
    for name, path in pages.items():
        page.goto(path.resolve().as_uri())
        wanted = "ltr" if any(part in name for part in ("/en/", "/ru/", ".en.")) else "rtl"
        assert page.evaluate("getComputedStyle(document.body).direction") == wanted, name
        # What stays in Hebrew on such a page runs from the right by itself.
        hebrew = (
            "[...document.querySelectorAll('bdi[lang=he]')].map(n => getComputedStyle(n).direction)"
        )
        assert set(page.evaluate(hebrew)) <= {"rtl"}, name
    page.close()


def test_without_scripts_and_by_keyboard_everything_is_reached(pages, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["parents/index.html"].resolve().as_uri())
    page.click("nav.site a[href='schools.html']")
    page.click("tbody a >> nth=0")
    assert "#s-" in page.url
    page.goto(pages["parents/schools.html"].resolve().as_uri())
    page.locator("summary").first.press("Enter")
    assert page.locator("details").first.locator("table, p").first.is_visible()
    page.click("nav.languages a[hreflang=en]")
    assert page.locator("html").get_attribute("lang") == "en"
    context.close()


def test_folded_parts_stand_open_on_paper(pages, browser):
    page = browser.new_page()
    page.goto(pages["public/schools.html"].resolve().as_uri())
    page.emulate_media(media="print")
    heights = page.evaluate(
        "[...document.querySelectorAll('details')].map(n => n.getBoundingClientRect().height)"
    )
    assert min(heights) > 40
    assert page.pdf(format="A4", prefer_css_page_size=True).startswith(b"%PDF")
    page.close()
