"""What people read first: few words, no request, every page from every page, and the answers."""

import re
from posixpath import dirname, normpath

import pytest

from pipelines.publish.pages.base import FIRST, is_plain
from pipelines.publish.pages.first import FOLDED_WORDS, VISIBLE_WORDS
from pipelines.publish.site import FAMILIES, PAGES
from tests.publish.asked import ASKED
from tests.publish.asked_schools import SCHOOLS_ASKED
from tests.publish.layer import Layer, folded, links, visible, words

EVERY = (*ASKED, *SCHOOLS_ASKED)


def test_the_pages_are_those_that_are_registered(layer):
    single = {name for name in layer.names if dirname(name) in ("", "annex")}
    assert single == {name for name in PAGES if not re.match("annex/(?!index)", name)}
    of_a_city = set(FAMILIES) - {"authorities"}  # a country's: test_authority_pages.py
    assert {dirname(name) for name in layer.names} - {"", "annex"} == of_a_city


def test_few_words_stand_and_few_are_folded(layer):
    counts = {
        name: (words(visible(page)), words(folded(page)))
        for name in layer.names
        for page in [layer.page(name)]
    }
    assert min(stand for stand, _ in counts.values()) > 20
    long = {
        name: (stand, held)
        for name, (stand, held) in counts.items()
        if stand > VISIBLE_WORDS or held > FOLDED_WORDS
    }
    assert long == {}


def test_words_are_counted_as_a_reader_sees_them(tmp_path):
    (tmp_path / "index.html").write_text(
        "<nav>שם</nav><main><h1>אחת שתיים</h1><p>3 – 4 <b>ארבע</b></p>"
        "<details><summary>חמש</summary><p>שש שבע</p></details></main>"
        "<footer>סוף</footer><script>var x</script>"
    )
    page = Layer(tmp_path).page("index.html")
    assert (words(visible(page)), words(folded(page))) == (6, 2)


def test_every_page_is_reached_from_every_page(published, layer):
    whole = sorted(path for path in layer.folder.rglob("*.html"))
    assert len(whole) >= len(PAGES)
    for path in whole:
        name = path.relative_to(layer.folder).as_posix()
        page = layer.page(name)
        reached = {place for place, _ in links(name, page)}
        assert {f"{place}.html" for place in FIRST} <= reached, name
        here = [node for node in page.nodes if node.within("a", aria_current="*")]
        assert len(here) == 1, name


def test_every_link_leads_to_a_place_that_is_there(layer):
    pages = {
        path.relative_to(layer.folder).as_posix(): path.read_text(encoding="utf-8")
        for path in layer.folder.rglob("*.html")
    }
    ids = {name: set(re.findall(r'\bid="([^"]+)"', text)) for name, text in pages.items()}
    dead = [
        (name, place, anchor)
        for name in pages
        for place, anchor in links(name, layer.page(name))
        if not (layer.folder / place).is_file() or (anchor and anchor not in ids[place])
    ]
    assert dead == []


def test_pages_run_our_scripts_alone_and_ask_nobody(layer):
    for path in layer.folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert is_plain(text), path.name
        assert re.search(r"<(?:img|iframe|link|object)\b|\ssrc\s*=|url\(", text) is None, path.name
        assert text.count("default-src 'none'") == 1, path.name


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<SCRIPT src=x></SCRIPT>",
        "<p onclick='x()'>א</p>",
        '<a href="javascript:x()">א</a>',
    ],
)
def test_a_script_that_is_not_ours_is_found(text):
    assert not is_plain(f"<main>{text}</main>")


@pytest.mark.parametrize("asked", EVERY, ids=lambda asked: f"{asked.who}: {asked.question}")
def test_what_people_ask_is_answered_in_words(asked, layer, tables):
    answer = asked.answer(tables)
    if answer is None:
        pytest.skip("the city has no such fact")
    place = asked.at.format(code=asked.code(tables))
    page = layer.page(place)
    assert " ".join(answer.split()) in " ".join(re.sub(r"\s+", " ", visible(page)).split())
    # It stands on the first page, on one that the first page leads to, or on one of its list.
    assert _clicks(layer, place) <= (2 if dirname(place) else 1)


def _clicks(layer, place):
    reached, count = {"index.html"}, 0
    while place not in reached and count < 3:
        reached |= {
            to
            for name in list(reached)
            if (layer.folder / name).is_file() and name.endswith(".html")
            for to, _ in links(name, layer.page(name))
        }
        count += 1
    return count


def test_the_questions_are_of_all_who_ask():
    assert len(EVERY) >= 20
    assert {"committee", "parent", "principal"} == {asked.who for asked in EVERY}
    assert len({asked.question for asked in EVERY}) == len(EVERY)
    assert all(normpath(asked.at) == asked.at for asked in EVERY)
