"""Pages of parents, the public and inspectors: their own tables alone, short, and no ranking."""

from __future__ import annotations

import html
import re
import shutil
from dataclasses import replace

import polars as pl
import pytest

from pipelines.publish import words
from pipelines.publish.audiences import readers_of
from pipelines.publish.build import _audit_outside
from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.pages.outside.pages import PAGES, render_form, render_outside
from pipelines.publish.redraw import context_of
from pipelines.publish.site import OUTSIDE, draw_from_marts
from pipelines.publish.suppression import PrivacyError
from pipelines.publish.translations import Language, Translation
from pipelines.settings.audiences import is_open
from pipelines.settings.city import load_city
from tests.words.reading import Page

AUDIENCES = ("parents", "public")
CELL = re.compile(r'data-cell="([^"]*)" data-value="([^"]*)">([^<]*)<')
BARE = re.compile(r'<bdi dir="ltr">([^<]*)</bdi>')
MOST_WORDS, MEAN_WORDS = 25, 15


@pytest.fixture(scope="module")
def city(published):
    return load_city(published.current / "analyst")


@pytest.fixture(scope="module")
def context(city):
    return context_of(city)


@pytest.fixture(scope="module", params=AUDIENCES)
def told(request, published):
    """An audience: its name, its tables, and its pages in Hebrew as they were published."""
    folder = published.current / request.param
    pages = {name: (folder / f"{name}.html").read_text(encoding="utf-8") for name in PAGES}
    return request.param, read_database(folder / DATABASE), pages


def test_each_audience_has_its_pages_and_those_in_english(published):
    for name in AUDIENCES:
        found = {
            path.relative_to(published.current / name).as_posix()
            for path in (published.current / name).rglob("*.html")
        }
        assert found == {f"{at}{page}.html" for at in ("", "en/") for page in PAGES}
    inspectors = [path.name for path in (published.current / "inspectors").rglob("*.html")]
    assert inspectors == ["index.html"]


# ---- what is not told -------------------------------------------------------------------------


def test_every_cell_is_of_the_audience_and_open(told):
    _, tables, pages = told
    cells = [cell for text in pages.values() for cell in CELL.findall(text)]
    assert len(cells) > 30
    for address, value, shown in cells:
        table, key, column = re.fullmatch(r"(\w+)/(.*)/(\w+)", html.unescape(address)).groups()
        assert column in tables[table].columns, address
        assert is_open(column) or "semel_mosad" not in tables[table].columns, address
        row = tables[table].filter(
            pl.lit(True).and_(
                *(
                    pl.col(name).cast(pl.String) == one
                    for name, one in (part.split("=", 1) for part in key.split(";"))
                )
            )
        )
        assert str(row[column].item()) == value
        assert html.unescape(shown) in {form(row[column].item()) for form in words.FORMS.values()}


def test_no_number_of_a_school_but_money(told, published):
    """Need, gaps and pupils of schools, in any form in which pages write them, stand nowhere."""
    _, tables, pages = told
    inside = read_database(published.current / "analyst" / DATABASE)
    need = inside["mart_need_index"]
    closed = {words.share(one) for one in (*need["need"], *need["need_lo"], *need["need_hi"])}
    gaps = inside["mart_gap_school"].drop_nulls("gap_sd")["gap_sd"]
    closed |= {words.months_from_target(gap) for gap in gaps} | {words.signed(gap) for gap in gaps}
    closed |= {words.integer(one) for one in need["pupils"].drop_nulls()}
    assert len(closed) > 20
    numbers_of_money = {
        words.nis(one)
        for frame in tables.values()
        for column in frame.columns
        if column.endswith("_agorot")
        for one in frame[column].drop_nulls()
    }
    for name, text in pages.items():
        page = Page(text)
        shown = {
            token
            for node in page.nodes
            for token in re.findall(r"[−+]?\d[\d,]*(?:\.\d+)?", node.text)
        }
        assert shown & closed - numbers_of_money == set(), name
        # Scores and indices are written with a decimal point; no such number is on these pages.
        assert not [token for token in shown if re.search(r"\.\d", token)], name


def test_schools_stand_by_the_alphabet(told):
    _, tables, pages = told
    names = dict(
        tables["mart_allocation_school"].select("semel_mosad", "school_name_he").iter_rows()
    )
    order = re.findall(r'<details id="s-(\d+)">', pages["schools"])
    assert order == sorted(names, key=lambda code: (names[code], code))
    assert re.findall(r'href="#s-(\d+)"', pages["schools"]) == order


def test_the_audit_refuses_a_page_that_tells_more(published, city, tmp_path):
    place = tmp_path / "public"
    shutil.copytree(published.current / "public", place)
    reader = next(one for one in readers_of(city.policy) if one.name == "public")
    tables = read_database(place / DATABASE)
    _audit_outside(place, reader, tables)
    page = place / "en" / "schools.html"
    kept = page.read_text(encoding="utf-8")
    for cell in (
        "mart_need_index/semel_mosad=900001/need",
        "mart_allocation_school/semel_mosad=900001/need",
        "mart_allocation_school/semel_mosad=900001/pupils",
    ):
        page.write_text(kept + f'<bdi data-cell="{cell}">1</bdi>', encoding="utf-8")
        with pytest.raises(PrivacyError, match=cell):
            _audit_outside(place, reader, tables)


# ---- what is told -----------------------------------------------------------------------------


def test_money_adds_up_to_the_plan(told):
    _, tables, pages = told
    lines, money = tables["mart_plan_line"], tables["mart_plan_money"]
    total, by_channel = lines["cost_agorot"].sum(), money["amount_agorot"].sum()
    assert total == by_channel
    of_city = lines.filter(pl.col("semel_mosad").is_null())["cost_agorot"].sum()
    shown = {
        html.unescape(address): int(value)
        for address, value, _ in CELL.findall(pages["schools"])
        if address.startswith("mart_plan_line/")
    }
    assert sum(shown.values()) + of_city == total
    drafted = [
        int(value)
        for address, value, _ in CELL.findall(pages["schools"])
        if re.match("mart_allocation_school/.*/cost_agorot", address)
    ]
    assert sum(drafted) + of_city == total
    for page, amount in (
        ("index", total),
        ("index", of_city),
        ("schools", total - of_city),
        ("responses", total),
    ):
        assert words.nis(amount) in BARE.findall(pages[page]), (page, amount)
    for (channel,), part in money.group_by("funding_channel"):
        assert words.label("funding_channel", channel) in html.unescape(pages["index"])
        assert words.nis(part["amount_agorot"].sum()) in BARE.findall(pages["index"])


def test_every_need_that_was_named_has_its_reply(told):
    name, tables, pages = told
    said = Page(pages["needs"]).text
    replies = tables["mart_need_reply"]
    assert replies.height >= 3
    for row in replies.to_dicts():
        part = re.search(
            rf'<section id="n-{row["need_id"]}">(.*?)</section>', pages["needs"], re.S
        )[1]
        text = " ".join(Page(part).text.split()).replace("\u00a0", " ")
        assert f"ביקשו: {row['form_people']} מתוך {row['speakers']} ממלאי טפסים." in text
        if row["reply_kind"] == "funded":
            assert f"נותנת לזה {words.nis(row['allocated_agorot'])} ₪" in text
            assert row["responses_he"] in html.unescape(part)
            if row["schools"]:
                assert f"בתי ספר שמקבלים מענה: {row['schools']}." in text
        elif row["reply_kind"] == "no_response":
            assert "אין מענה רשום" in text
        elif row["reply_kind"] == "not_on_list":
            assert "אינו ברשימת הצרכים" in text
    assert ("מן ההורים" in said) == (name == "parents")


REPLIES = pl.DataFrame(
    {
        "need_id": ["lab", "safe", "other"],
        "need_name_he": ["מעבדה", "מוגנות", None],
        "form_people": [9, 7, 3],
        "first_people": [0, 1, 1],
        "speakers": [12, 12, 12],
        "reply_kind": ["no_response", "not_funded", "not_on_list"],
        "responses": [0, 0, None],
        "responses_he": pl.Series([None, None, None], dtype=pl.String),
        "schools": [0, 0, None],
        "allocated_agorot": [0, 0, None],
        "registered_he": [None, "חוסן", None],
        "unfunded_reason": [None, "below_line", None],
    }
)


def test_why_a_need_gets_nothing_is_said(context):
    text = Page(render_outside({"mart_need_reply": REPLIES}, context)["needs.html"]).text
    assert "השנה אין לזה כסף בתוכנית. הסיבה הנפוצה: אותו כסף מביא יותר במענה אחר." in text
    assert "מענים רשומים לצורך: חוסן." in text
    assert "אין מענה רשום לצורך הזה" in text
    assert "אינו ברשימת הצרכים של העיר" in text
    assert text.index("מעבדה") < text.index("מוגנות") < text.index("צורך אחר")
    nobody = render_outside({"mart_need_reply": REPLIES.clear()}, context)["needs.html"]
    assert "אין כאן צרכים להציג" in nobody


@pytest.mark.parametrize("reason", ["must_drop", "not_eligible", "no_benefit", "overlap", "budget"])
def test_every_reason_has_plain_words(context, reason):
    row = REPLIES.filter(need_id="safe").with_columns(unfunded_reason=pl.lit(reason))
    text = Page(render_outside({"mart_need_reply": row}, context)["needs.html"]).text
    said = re.search("הסיבה הנפוצה: (.+?)\\.", text)[1]
    assert len(said) > 8
    assert said != reason


def test_reasons_of_every_pair_without_money_are_worded():
    from pipelines.publish.translations import page_texts
    from pipelines.settings.fields import dictionary

    gets_money = {"worth_its_price", "must_keep", "fills_what_is_left", "committee"}
    reasons = {str(one) for one in dictionary().fields["allocation_reason"].allowed} - gets_money
    assert {f"reason.{one}" for one in reasons} <= page_texts().keys()


def test_a_decided_plan_is_told_by_its_lines(told, context):
    """Once decided, money is that of the decision, not of the draft of the same schools."""
    _, tables, _ = told
    lines = tables["mart_plan_line"].with_columns(
        is_decided=pl.lit(True), cost_agorot=pl.col("cost_agorot") + 700
    )
    text = render_outside({**tables, "mart_plan_line": lines}, context)["schools.html"]
    assert not re.search(r"mart_allocation_school/[^\"]*/cost_agorot", text)
    of_schools = lines.drop_nulls("semel_mosad")
    assert words.nis(of_schools["cost_agorot"].sum()) in BARE.findall(text)
    first = of_schools.filter(semel_mosad=of_schools["semel_mosad"].min())
    assert words.nis(first["cost_agorot"].sum()) in BARE.findall(text)


def test_what_an_audience_does_not_get_is_not_drawn(told, context):
    """A city may close any table; what is left is drawn all the same."""
    _, tables, _ = told
    for closed in tables:
        pages = render_outside({k: v for k, v in tables.items() if k != closed}, context)
        assert f'data-cell="{closed}/' not in "".join(pages.values())
    for text in render_outside({}, context).values():
        assert "data-cell" not in text


# ---- how it is told ---------------------------------------------------------------------------


def sentences(text: str) -> list[str]:
    """Sentences of a page outside of tables, by their ends or by the ends of paragraphs."""
    prose = re.sub(r"<(table|nav|style|title)\b.*?</\1>", "\n", text, flags=re.S)
    lines = Page(prose).text.split("\n")
    parts = [part for line in lines for part in re.split(r"(?<=[.?!])\s+", line)]
    return [part for part in parts if re.search("[A-Za-zא-ת]", part)]


def word_counts(text: str) -> list[int]:
    return [len(re.findall(r"[^\W_]+", sentence)) for sentence in sentences(text)]


def test_sentences_are_short(told):
    _, _, pages = told
    for name, text in pages.items():
        counts = word_counts(text)
        assert len(counts) > 5, name
        assert max(counts) <= MOST_WORDS, (name, max(sentences(text), key=len))
        assert sum(counts) / len(counts) <= MEAN_WORDS, name


def test_sentences_of_the_form_and_of_english_are_short(published, city, context):
    texts = list(render_form(context, city.policy).values())
    texts += [
        path.read_text(encoding="utf-8")
        for path in (published.current / "parents" / "en").glob("*.html")
    ]
    assert len(texts) == 2 + len(PAGES)
    for text in texts:
        counts = word_counts(text)
        assert max(counts) <= MOST_WORDS, max(sentences(text), key=len)
        assert sum(counts) / len(counts) <= MEAN_WORDS


def test_words_of_sentences_are_counted_as_read():
    counted = word_counts("<p>אחת שתיים. שלוש, ארבע חמש!</p><table><td>שש</td></table><li>שבע</li>")
    assert counted == [2, 3, 1]


def test_pages_run_without_scripts_and_lead_to_each_other(published):
    for audience in OUTSIDE:
        folder = published.current / audience
        for path in folder.rglob("*.html"):
            text = path.read_text(encoding="utf-8")
            assert "<script" not in text
            for href in re.findall(r'href="([^"#]+)', text):
                assert (path.parent / href).resolve().is_file(), (path, href)
            for anchor in re.findall(r'href="#([^"]+)"', text):
                assert f'id="{anchor}"' in text, (path, anchor)


def test_the_same_tables_are_the_same_pages_and_are_drawn_again_from_what_is_kept(
    published, context, tmp_path
):
    for audience in OUTSIDE:
        place = tmp_path / audience
        shutil.copytree(
            published.current / audience,
            place,
            ignore=shutil.ignore_patterns("*.html", "en", DATABASE, "*.xlsx"),
        )
        draw_from_marts(place, context)
        for path in (published.current / audience).rglob("*.html"):
            again = place / path.relative_to(published.current / audience)
            assert again.read_bytes() == path.read_bytes(), path


def test_another_language_runs_left_to_right_and_says_what_stays_in_hebrew(told, context):
    _, tables, _ = told
    texts = {"index.title": Translation("Что запланировано", "מה מתוכנן")}
    pages = render_outside(tables, replace(context, languages=(Language("ru", "Русский", texts),)))
    text = pages["ru/index.html"]
    assert '<html lang="ru" dir="ltr">' in text
    assert "<h1>Что запланировано</h1>" in text
    assert '<bdi lang="he" dir="rtl">מאין הכסף</bdi>' in text
    left = int(re.search(r"מוצגים בעברית: <bdi dir=\"ltr\">(\d+)", text)[1])
    assert left > 20
    assert 'href="../index.html"' in text
    assert 'href="ru/index.html"' in pages["index.html"]
    # A translation of words that have changed since is none.
    old = {"index.title": Translation("Старое", "מה היה מתוכנן")}
    stale = render_outside(tables, replace(context, languages=(Language("ru", "Русский", old),)))
    assert "Старое" not in stale["ru/index.html"]


def test_names_of_responses_in_a_reply_are_those_of_the_language(published, context):
    tables = read_database(published.current / "parents" / DATABASE)
    english = render_outside(tables, context)["en/needs.html"]
    names = dict(tables["mart_response"].select("response_name_he", "response_name_en").iter_rows())
    replies = tables["mart_need_reply"].drop_nulls("responses_he")
    assert replies.height
    for row in replies.to_dicts():
        part = re.search(rf'<section id="n-{row["need_id"]}">(.*?)</section>', english, re.S)[1]
        for name in row["responses_he"].split(", "):
            assert names[name] in html.unescape(part)
            assert name not in html.unescape(part)


def test_the_form_asks_what_the_source_holds(city, context):
    from pipelines.settings.fields import dictionary

    text = Page(render_form(context, city.policy)["he"]).text
    for need in city.policy.response_map.needs.values():
        assert need.name_he in text
    for role in dictionary().families["families"]:
        assert words.label("role", role) in text
    english = Page(render_form(context, city.policy)["en"]).text
    for need in city.policy.response_map.needs.values():
        assert f"{need.name_en} {need.name_he}" in english


def test_every_text_is_said_somewhere():
    """A text that no page says would be translated for nothing."""
    from pathlib import Path

    from pipelines.publish.pages import outside
    from pipelines.publish.translations import page_texts

    folder = Path(outside.__file__).parent
    said = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.j2"))
    for start in re.findall(r"t(?:\.plain)?\('(\w+\.)' ~", said):
        said += "".join(f"'{key}'" for key in page_texts() if key.startswith(start))
    unsaid = [
        key for key in page_texts() if f"'{key}'" not in said and f"title %}}{key}{{%" not in said
    ]
    assert unsaid == []
