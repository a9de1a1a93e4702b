"""The data-quality page, rendered from made-up frames."""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from pipelines.publish import pages
from pipelines.publish.pages.base import ANNEXES, FIRST, ReportContext
from pipelines.publish.pages.quality import _QUESTIONS, _sentence, render_quality
from pipelines.publish.suppression import Thresholds, suppress
from pipelines.publish.words import FORMS
from pipelines.settings.fields import dictionary

CONTEXT = ReportContext(
    city_name_he="עיר לדוגמה",
    is_synthetic=True,
    reference_year=2026,
    planning_year=2027,
    scope_he="בתי ספר יסודיים",
    data_years_he="נתונים לשנים 2022–2026",
    notes_he=(),
)


def a_check(check_id, **changes):
    return {
        "table_name": "core_school",
        "check_id": check_id,
        "quality_dimension": "validity",
        "severity": "ERROR",
        "is_blocking": True,
        "is_passed": True,
        "checked_rows": 1240,
        "failing_rows": 0,
        "failing_keys": None,
        "owner_role": "אנליסט/ית הנתונים",
        "rule_he": f"כלל {check_id}.",
        "rule_en": f"Rule {check_id}.",
        "finding_he": f"הכלל אינו מתקיים: כלל {check_id}.",
        "finding_en": f"The rule does not hold: Rule {check_id}.",
        "resolve_he": f"תיקון {check_id}.",
        "resolve_en": f"Remedy {check_id}.",
    } | changes


BLOCKING = a_check(
    "blocks", is_passed=False, failing_rows=2, failing_keys="900001/milat, 900014/a&b"
)
ERROR = a_check(
    "harms",
    is_passed=False,
    is_blocking=False,
    failing_rows=1,
    quality_dimension="privacy",
    owner_role="treasurer",
)
WARNING = a_check("warns", is_passed=False, is_blocking=False, severity="WARN", failing_rows=37)
PASSED = a_check("holds", quality_dimension="uniqueness")


def checks(*rows):
    return pl.DataFrame(
        rows, schema_overrides={"failing_keys": pl.String}, infer_schema_length=None
    )


def a_file(year, rows_in, staged, aside):
    return {
        "source_id": "tests__pupil_scores",
        "file_name": f"scores_{year}.csv",
        "file_hash": "ab12" * 16,
        "rows_in": rows_in,
        "rows_staged": staged,
        "rows_quarantined": aside,
        "rows_lost": rows_in - staged - aside,
        "quarantined_pct": 100 * aside / rows_in,
    }


AT_THE_DOOR = {
    "source_id": "tests__pupil_scores",
    "file_name": "scores_2026.csv",
    "column_name": "score",
    "first_row": 14,
}
TABLES = {
    "mart_data_quality": checks(WARNING, PASSED, ERROR, BLOCKING),
    "mart_source_file": pl.DataFrame(
        [a_file(2025, 45000, 45000, 0), a_file(2026, 45012, 45000, 12)]
    ),
    "mart_quarantine_summary": pl.DataFrame(
        [
            AT_THE_DOOR
            | {
                "reason_code": "outside_scale",
                "reason_he": "הציון אינו אפשרי (INT: 0…100)",
                "reason_en": "x",
                "failing_rows": 12,
            }
        ]
    ),
    "mart_repair": pl.DataFrame(
        [
            AT_THE_DOOR
            | {
                "repair_code": "personal_masked",
                "repair_he": "פרטים אישיים הוסתרו",
                "repair_en": "x",
                "repaired_rows": 4,
            }
        ]
    ),
    "mart_coverage": pl.DataFrame(
        [
            {
                "source_id": "attendance__exits",
                "school_year": 2025,
                "schools_in_plan": 29,
                "schools_reporting": 29,
                "schools_declared_silent": 0,
                "schools_silent": 0,
            },
            {
                "source_id": "tests__pupil_scores",
                "school_year": 2026,
                "schools_in_plan": 29,
                "schools_reporting": 27,
                "schools_declared_silent": 1,
                "schools_silent": 1,
            },
        ]
    ),
    "mart_not_measured": pl.DataFrame(
        [
            {
                "item_id": "science",
                "item_he": "מדעים",
                "item_en": "Science",
                "reason_he": "אין מבחן",
                "reason_en": "no test",
                "schools_not_measured": 29,
                "schools": 29,
                "weakens": "mart_gap_school,mart_need_index",
            }
        ]
    ),
    "mart_quality_drift": pl.DataFrame(
        [
            {
                "figure_id": "pupils.official",
                "school_year": 2026,
                "previous_value": 12000.0,
                "observed_value": 12345.0,
                "unit": "pupils",
            },
            {
                "figure_id": "gap_raw.math",
                "school_year": 2026,
                "previous_value": 0.05,
                "observed_value": -0.1234,
                "unit": "pupil SD below",
            },
            {
                "figure_id": "rows.tests__pupil_scores",
                "school_year": 2026,
                "previous_value": None,
                "observed_value": 90000.0,
                "unit": "rows",
            },
        ]
    ),
}


class Page(HTMLParser):
    """Collects numbers with their addresses, and every tag with the text inside it."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.cells, self.text = [], [], ""
        self.cell = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if "data-cell" in attrs:
            assert attrs["dir"] == "ltr"
            self.cell = [attrs["data-cell"], attrs["data-value"], ""]

    def handle_data(self, data):
        self.text += data
        if self.cell is not None:
            self.cell[2] += data

    def handle_endtag(self, tag):
        if tag == "bdi" and self.cell is not None:
            self.cells.append(tuple(self.cell))
            self.cell = None


def page_of(**changes):
    return Page(render_quality(TABLES | changes, CONTEXT))


@pytest.fixture(scope="module")
def page():
    return page_of()


def test_every_number_equals_its_mart_cell(page):
    assert {address.split("/")[0] for address, _, _ in page.cells} == set(TABLES)
    for address, value, shown in page.cells:
        table, key, column = re.match(r"(\w+)/(.*)/(\w+)$", address).groups()
        frame = TABLES[table]
        for part in key.split(";"):
            name, wanted = part.split("=", 1)
            frame = frame.filter(pl.col(name).cast(pl.String) == wanted)
        assert frame.height == 1, address
        assert str(frame[column][0]) == value, address
        assert shown in {form(frame[column][0]) for form in FORMS.values()}, address


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (
            [BLOCKING, ERROR, WARNING, PASSED],
            (
                "עדיין אין להסתמך על הנתונים: כשל חוסם אחד, שגיאה אחת שאינה חוסמת ואזהרה אחת, מתוך"
                " 4 בדיקות."
            ),
        ),
        (
            [ERROR, ERROR | {"check_id": "b"}, PASSED],
            (
                "אפשר להשתמש בנתונים, בזהירות: 0 כשלים חוסמים, 2 שגיאות שאינן חוסמות ו־0 אזהרות,"
                " מתוך 3 בדיקות."
            ),
        ),
        (
            [WARNING, PASSED],
            "אפשר להשתמש בנתונים: 0 כשלים חוסמים, 0 שגיאות שאינן חוסמות ואזהרה אחת, מתוך 2 בדיקות.",
        ),
        (
            [PASSED],
            "אפשר להשתמש בנתונים: 0 כשלים חוסמים, 0 שגיאות שאינן חוסמות ו־0 אזהרות, בבדיקה אחת.",
        ),
    ],
)
def test_the_verdict_is_one_sentence_with_the_counts(rows, verdict):
    assert verdict in page_of(mart_data_quality=checks(*rows)).text


def test_what_needs_care_comes_worst_first_with_owner_remedy_and_keys(page):
    places = [
        page.text.index(f"הכלל אינו מתקיים: כלל {name}") for name in ("blocks", "harms", "warns")
    ]
    assert places == sorted(places)
    assert "אינו מתקיים: כלל holds" not in page.text
    for words in (
        "תיקון blocks.",
        "900001/milat",
        "900014/a&b",
        "The rule does not hold: Rule blocks. Remedy blocks.",
    ):
        assert words in page.text
    assert dictionary().label("role", "treasurer") in page.text


def test_each_dimension_has_a_tile_in_words(page):
    fields = dictionary().fields
    assert set(_QUESTIONS) == set(fields["quality_dimension"].allowed)
    for dimension, question in _QUESTIONS.items():
        assert dictionary().label("quality_dimension", dimension) in page.text
        assert question in page.text
    tiles = page.text[page.text.index("במבט אחד") : page.text.index("מה דורש טיפול")]
    assert [
        tiles.count(word)
        for word in ("⊘ כשל חוסם אחד", "✗ שגיאה", "⚠ אזהרה", "✓ הבדיקה עברה", "– לא נבדק")
    ] == [1, 1, 1, 1, 5]


def test_who_is_not_measured_is_named_before_the_full_list(page):
    partial, every = page.text.split("כל המקורות והשנים")
    assert dictionary().source_he("tests__pupil_scores") in partial
    assert dictionary().source_he("attendance__exits") not in partial
    assert dictionary().source_he("attendance__exits") in every
    assert "מדעים" in page.text


def test_files_set_aside_and_repairs_are_shown_and_must_add_up(page):
    assert "קבצים שנקראו: 2; מהם עם שורות בהסגר: 1." in page.text
    assert "מתחת ל־0.1%" in page.text
    assert "✗ לא" not in page.text
    wrong = page_of(mart_source_file=pl.DataFrame([a_file(2026, 100, 90, 5)]))
    assert "✗ לא" in wrong.text
    for words in ("outside_scale", "פרטים אישיים הוסתרו", dictionary().fields["score"].he):
        assert words in page.text


def test_drift_is_told_in_words_with_true_signs(page):
    drift = page.text[page.text.index("סחיפה המספרים") :]
    for words in (
        "עלייה של 2.9%",
        # The gap fell below 0, so the distance from the target rose, in months of learning.
        "−0.6+1.5עלייה",
        "אין פרסום קודם",
        "שורות: ציוני תלמידים",
    ):
        assert words in drift


def test_nothing_wrong_and_nothing_known_are_told_apart():
    empty = {name: frame.clear() for name, frame in TABLES.items()}
    clean = page_of(**empty | {"mart_data_quality": checks(PASSED)}).text
    for words in (
        "✓ כל הבדיקות עברו",
        "✓ אין שורות בהסגר",
        "✓ לא היה צורך לתקן דבר",
        "✓ אין פריט שלא נמדד",
        "לא נקרא אף קובץ",
        "אין פרסום קודם להשוות אליו",
    ):
        assert words in clean
    unknown = Page(render_quality({}, CONTEXT)).text
    assert "הנתונים לא נבדקו" in unknown
    assert unknown.count("– לא נבדק") == len(_QUESTIONS)
    assert "✓" not in unknown


@pytest.mark.parametrize("absent", TABLES)
def test_a_missing_table_leaves_only_its_part_out(absent):
    html = render_quality({n: f for n, f in TABLES.items() if n != absent}, CONTEXT)
    assert f'data-cell="{absent}/' not in html
    assert html.count("data-cell") > 20


def test_the_committee_sees_no_file_and_no_key():
    shown = suppress(TABLES, "committee", Thresholds(mean_pupils=10, count_pupils=5))
    shown = {n: f for n, f in shown.items() if set(dictionary().tables[n].key) <= set(f.columns)}
    text = Page(render_quality(shown, CONTEXT)).text
    for words in ("scores_2026.csv", "900001/milat", "סחיפה המספרים"):
        assert words not in text
    assert "פירוט הקבצים מיועד לאנליסטים" in text
    assert "תיקון blocks." in text


def test_the_page_is_accessible_and_stands_alone(page):
    html = render_quality(TABLES, CONTEXT)
    assert '<html lang="he" dir="rtl">' in html
    assert "נתונים סינתטיים" in html
    assert not re.search(r"<script|<link|<img|https?://|url\(", html)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(levels[0]) == levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    count = [tag for tag, _ in page.tags].count
    assert count("table") == count("caption") == 9
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    tables = [attrs for _, attrs in page.tags if attrs.get("role") == "group"]
    assert len(tables) == 9
    assert all(attrs["aria-label"] and attrs["tabindex"] == "0" for attrs in tables)
    links = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    first = {f"../{place}.html" for place in FIRST}
    assert links == {"#content", *first, *(f"{name}.html" for name in ANNEXES)} - {"quality.html"}


def test_text_of_files_cannot_become_markup():
    evil = BLOCKING | {"failing_keys": "<b>x</b>", "finding_he": "<i>כלל</i> a<script>"}
    html = render_quality({"mart_data_quality": checks(evil)}, CONTEXT)
    assert not re.search("<b>|<i>|<script", html)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("יש לתקן ב-city.yaml.", 'יש לתקן ב-<bdi dir="ltr">city.yaml</bdi>.'),
        ("בסולם (INT: 0…100)", 'בסולם (<bdi dir="ltr">INT</bdi>: <bdi dir="ltr">0…100</bdi>)'),
        ('למ"ס: 5% (R7)', 'למ&#34;ס: <bdi dir="ltr">5%</bdi> (<bdi dir="ltr">R7</bdi>)'),
        ("מ-1.5…2.5 & b", 'מ-<bdi dir="ltr">1.5…2.5</bdi> &amp; <bdi dir="ltr">b</bdi>'),
    ],
)
def test_latin_terms_and_numbers_keep_left_to_right(text, shown):
    assert str(_sentence(text)) == shown


STYLES = sorted(Path(pages.__file__).parent.rglob("*.css"))


def test_badges_can_be_read_without_good_eyes():
    css = "".join(path.read_text(encoding="utf-8") for path in STYLES)
    pairs = re.findall(r"color: (#[0-9a-f]{6}); background: (#[0-9a-f]{6});", css)
    assert len(pairs) >= 8
    for pair in pairs:
        light, dark = sorted(map(_luminance, pair), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def _luminance(colour):
    """Relative luminance of sRGB (WCAG 2.0)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_runs_over_the_edge(width, browser, tmp_path):
    (tmp_path / "q.html").write_text(
        render_quality(TABLES, CONTEXT).replace("<details>", "<details open>"), encoding="utf-8"
    )
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto((tmp_path / "q.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Wide tables scroll inside their own frame; nothing else may stick out.
    assert not page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.wide') &&"
        " (e.getBoundingClientRect().left < 0 || e.getBoundingClientRect().right >"
        " innerWidth)).map(e => e.outerHTML.slice(0, 80))"
    )
    page.close()
