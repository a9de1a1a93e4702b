"""The guide as a page of the release says what the document says, word for word."""

import html
import re

import pytest

from pipelines.publish.pages.base import ANNEXES, ReportContext, is_plain
from pipelines.publish.pages.guide import GUIDE, render_guide
from pipelines.publish.site import PAGES
from pipelines.sources.fingerprint import pages_fingerprint
from tests.cities.test_guide import commands

CONTEXT = ReportContext("עיר", False, 2026, 2027, "כל בתי הספר", "2025–2026", ())


@pytest.fixture(scope="module")
def page():
    return render_guide({}, CONTEXT)


def words_of(text):
    return re.findall(r"[\w\"=/.*]+", html.unescape(text))


def test_its_words_are_those_of_the_document(page):
    main = page.partition('<main id="content">')[2].partition("</main>")[0]
    shown = words_of(re.sub(r"<[^>]+>", " ", main))
    plain = re.sub(r"```sh|[`|]|^#+ .*$|-{3,}|^\d+\. ", " ", GUIDE.read_text(), flags=re.M)
    said = words_of(plain)
    heads = re.findall(r"^## (.*)$", GUIDE.read_text(), re.M)
    numbers = [f"{place}." for place in range(1, len(heads) + 1)]
    assert sorted(shown) == sorted(
        [*said, *numbers, *(w for head in heads for w in words_of(head))]
    )


def test_its_commands_are_those_that_are_run(page):
    blocks = re.findall(r"<pre[^>]*><code[^>]*>(.*?)</code></pre>", page, re.S)
    assert [html.unescape(block).strip() for block in blocks] == commands("guide.he.md")
    assert all('dir="ltr"' in block for block in re.findall(r"<pre[^>]*>", page))


def test_it_is_a_page_like_the_others(page):
    assert "annex/guide.html" in PAGES
    assert ANNEXES["guide"][0] in page.partition("</h1>")[0]
    assert is_plain(page)
    assert "לכל מספר רשומה" not in page  # its numbers are of no mart
    assert page.count('scope="col"') == page.count("<th ")


def test_a_changed_document_draws_the_page_again(monkeypatch, tmp_path):
    from pipelines.settings import code

    before = pages_fingerprint(tmp_path)
    other = tmp_path / GUIDE.name
    other.write_text("# אחר\n", encoding="utf-8")
    found = code.project_files
    monkeypatch.setattr(
        code, "project_files", lambda held: {other if f == GUIDE else f for f in found(held)}
    )
    assert pages_fingerprint(tmp_path) != before
