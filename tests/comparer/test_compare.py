"""What differs between two releases, on small ones made here."""

import json
import shutil

import duckdb
import polars as pl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.publish.marts import write_marts
from pipelines.publish.pages.report import ReportContext
from pipelines.publish.workbook import write_workbook
from tests.comparer.__main__ import main
from tests.comparer.compare import compare
from tests.comparer.contents import (
    Lines,
    Mart,
    Page,
    Sheet,
    Workbook,
    read_both,
    read_page,
    read_workbook,
)
from tests.examples import examples

GAPS = pl.DataFrame(
    {
        "semel_mosad": ["900001", "900001", "900002"],
        "subject": ["hebrew", "math", "math"],
        "tested_pupils": [30, 31, 40],
        "gap_sd": [0.1, 1 / 3, None],
    }
)
TOTALS = pl.DataFrame({"scope": ["all"], "pupils": [412]})
PAGE = """<html><head><title>דוח</title><style>p {color: red}</style></head><body>
<nav><a href="#gaps">פערים</a></nav>
<section id="gaps"><h2>פערים</h2><p>היכן הפער גדול</p>
<div aria-label="טבלה"><table><caption>לפי מקצוע</caption><tbody>
<tr><th>עברית</th><td><bdi data-cell="mart_gap_school/semel_mosad=900001;subject=hebrew/gap_sd"
 data-value="0.1">+0.10</bdi></td></tr>
<tr><th>מתמטיקה</th><td><bdi data-cell="mart_gap_school/semel_mosad=900001;subject=math/gap_sd"
 data-value="0.5">+0.50</bdi></td></tr></tbody></table></div>
<svg><text>ציר</text></svg></section>
<section id="sizes"><h2>גודל</h2><p>תלמידים: <b data-cell="mart_pupil_total/scope=all/pupils"
 data-value="412">412</b>, שוב <b data-cell="mart_pupil_total/scope=all/pupils"
 data-value="412">412</b></p><p>סוף</p></section><footer>הופק</footer></body></html>"""
CONTEXT = ReportContext("עיר", True, 2026, 2027, "הכול", "2026", ())
KEYS = {"mart_gap_school": ("semel_mosad", "subject"), "mart_pupil_total": ("scope",)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A release of two audiences."""
    release = tmp_path_factory.mktemp("made") / "release"
    tables = {"mart_gap_school": GAPS, "mart_pupil_total": TOTALS}
    for audience in ("analyst", "committee"):
        write_marts(release / audience, tables)
        write_workbook(release / audience / "workbook.xlsx", tables, CONTEXT)
        (release / audience / "report.html").write_text(PAGE)
    (release / "analyst" / "policy.yaml").write_text("budget: 1\nfloor: 2\n")
    manifest = {"city_id": "a", "scope": "all", "files": {"analyst/policy.yaml": "0"}}
    (release / "manifest.json").write_text(json.dumps(manifest))
    return release


@pytest.fixture
def pair(made, tmp_path):
    """The release and a copy of it to change."""
    return made, shutil.copytree(made, tmp_path / "changed")


def found(before, after):
    """The differences of two folders."""
    return compare(*read_both(before, after), keys=lambda table: KEYS.get(table, ()))


def told(before, after):
    return [
        (each.difference.where, each.difference.tables, each.difference.kind)
        for each in found(before, after)
    ]


def marts(before, after):
    """The differences of one mart in memory, by kind."""
    files = [
        {"analyst/mart_gap_school.parquet": {"mart_gap_school": Mart(frame, {})}}
        for frame in (before, after)
    ]
    differences = [each.difference for each in compare(*files, keys=lambda table: KEYS[table])]
    assert {each.tables for each in differences} <= {("mart_gap_school",)}
    return [(each.kind, each.column, each.place, each.before, each.after) for each in differences]


def page(before, after):
    """The differences of two pages."""
    files = [{"committee/report.html": read_page(text)} for text in (before, after)]
    return [each.difference for each in compare(*files, keys=lambda _: ())]


class TestMarts:
    def test_a_value_is_told_by_key_without_tolerance(self):
        changed = GAPS.with_columns(
            pl.when(subject="math")
            .then(pl.col("gap_sd") + 1e-16)
            .otherwise("gap_sd")
            .alias("gap_sd")
        )
        (kind, column, place, before, after) = marts(GAPS, changed)[0]
        assert (kind, column) == ("value", "gap_sd")
        assert place == "semel_mosad=900001;subject=math"
        assert float(before) == 1 / 3 != float(after)

    def test_rows_and_their_order(self):
        assert marts(GAPS, GAPS[:2]) == [
            ("row removed", "", "semel_mosad=900002;subject=math", "", "")
        ]
        assert marts(GAPS[1:], GAPS) == [
            ("row added", "", "semel_mosad=900001;subject=hebrew", "", "")
        ]
        assert marts(GAPS, GAPS[[2, 0, 1]]) == [("order of rows", "", "", "", "1 rows moved")]

    def test_columns_their_types_and_order(self):
        assert marts(GAPS, GAPS.drop("gap_sd"))[0][:2] == ("column removed", "gap_sd")
        assert marts(GAPS.drop("gap_sd"), GAPS)[0][:2] == ("column added", "gap_sd")
        typed = marts(GAPS, GAPS.with_columns(pl.col("tested_pupils").cast(pl.Int32)))
        assert typed == [("type", "tested_pupils", "", "Int64", "Int32")]
        assert [row[0] for row in marts(GAPS, GAPS[:, ::-1])] == ["order of columns"]

    def test_nan_equals_nan_and_nothing_else(self):
        nan = GAPS.with_columns(gap_sd=float("nan"))
        other = nan.with_columns(tested_pupils=0)
        assert {row[1] for row in marts(nan, other)} == {"tested_pupils"}
        assert len(marts(nan, nan.with_columns(gap_sd=pl.lit(None, pl.Float64)))) == 3

    def test_a_key_that_comes_twice_is_numbered(self):
        twice = pl.concat([GAPS, GAPS[:1].with_columns(gap_sd=9.0)])
        changed = pl.concat([GAPS, GAPS[:1].with_columns(gap_sd=8.0)])
        assert [row[2] for row in marts(twice, changed)] == [
            "semel_mosad=900001;subject=hebrew (number 2 of this key)"
        ]

    def test_text_is_apart_from_a_number_and_from_nothing(self):
        texts = GAPS.with_columns(gap_sd=pl.Series(["", "0.5", "x"]))
        changed = GAPS.with_columns(gap_sd=pl.Series([None, "0.6", "x"]))
        assert [row[3:] for row in marts(texts, changed)] == [('""', ""), ('"0.5"', '"0.6"')]


class TestPages:
    def test_everything_is_read(self):
        read = read_page(PAGE)
        assert [(cell.table, cell.value, cell.shown) for cell in read.cells] == [
            ("mart_gap_school", "0.1", "+0.10"),
            ("mart_gap_school", "0.5", "+0.50"),
            ("mart_pupil_total", "412", "412"),
            ("mart_pupil_total", "412", "412"),
        ]
        texts = [block.text for block in read.blocks]
        assert texts == [
            "דוח",
            "href: #gaps",
            "פערים",
            "פערים",
            "היכן הפער גדול",
            "aria-label: טבלה",
            "לפי מקצוע",
            "עברית | ◦",
            "מתמטיקה | ◦",
            "ציר",
            "גודל",
            "תלמידים: ◦, שוב ◦",
            "סוף",
            "הופק",
        ]

    def test_a_value_and_a_shown_text_belong_to_the_table_of_their_address(self):
        value = page(PAGE, PAGE.replace('"0.5"', '"0.6"'))
        assert [(d.kind, d.tables, d.before, d.after) for d in value] == [
            ("value", ("mart_gap_school",), "0.5", "0.6")
        ]
        shown = page(PAGE, PAGE.replace("+0.50", "+0.5"))
        assert [(d.kind, d.column, d.after) for d in shown] == [("shown text", "gap_sd", "+0.5")]

    def test_the_second_of_equal_addresses(self):
        start, end = PAGE.rsplit('"412"', 1)
        (only,) = page(PAGE, f'{start}"413"{end}')
        assert only.place == "mart_pupil_total/scope=all/pupils (number 2)"

    def test_cells_that_change_places_are_told(self):
        swapped = PAGE.replace("subject=math", "subject=x").replace(
            "subject=hebrew", "subject=math"
        )
        swapped = swapped.replace("subject=x", "subject=hebrew")
        assert {d.kind for d in page(PAGE, swapped)} == {"value", "cell moved"}

    @pytest.mark.parametrize(
        ("old", "new", "tables", "place"),
        [
            ("היכן", "איפה", ("mart_gap_school",), "פערים"),
            ("ציר", "צירים", ("mart_gap_school",), "פערים"),
            ("סוף", "התחלה", ("mart_pupil_total",), "גודל"),
            ("עברית", "אנגלית", ("mart_gap_school",), "לפי מקצוע"),
            ("טבלה", "לוח", ("mart_gap_school",), "פערים"),
            ("הופק", "נעשה", ("template",), "גודל"),
            ("#gaps", "#sizes", ("template",), ""),
        ],
    )
    def test_a_text_belongs_to_the_tables_of_its_section(self, old, new, tables, place):
        (only,) = page(PAGE, PAGE.replace(old, new))
        assert (only.kind, only.tables, only.place) == ("text", tables, place)
        assert old.strip("#") in only.before
        assert new.strip("#") in only.after

    def test_equal_changes_of_one_page_are_all_counted(self):
        twice = PAGE.replace("<p>סוף</p>", "<p>סוף</p><p>סוף</p>")
        assert len(page(twice, twice.replace("סוף", "קץ"))) == 2

    def test_what_is_not_read_is_form(self):
        form = PAGE.replace("color: red", "color: blue").replace("<p>סוף", '<p class="x">\n סוף')
        assert page(PAGE, form) == []

    def test_a_section_that_moves_is_one_difference(self):
        first, second = PAGE.index('<section id="gaps"'), PAGE.index('<section id="sizes"')
        end = PAGE.index("<footer>")
        moved = PAGE[:first] + PAGE[second:end] + PAGE[first:second] + PAGE[end:]
        assert [d.kind for d in page(PAGE, moved) if d.kind != "cell moved"] == ["section moved"]


class TestFiles:
    def test_equal_releases_are_equal(self, pair):
        assert found(*pair) == []

    def test_a_mart_that_three_files_hold_is_told_once(self, pair):
        for audience in ("analyst", "committee"):
            shutil.rmtree(pair[1] / audience)
            write_marts(
                pair[1] / audience,
                {"mart_gap_school": GAPS[:2], "mart_pupil_total": TOTALS},
            )
        rows = [each for each in found(*pair) if each.difference.kind == "row removed"]
        assert [each.files for each in rows] == [
            tuple(
                f"{audience}/{file}"
                for audience in ("analyst", "committee")
                for file in ("mart_gap_school.parquet", "tikkun.duckdb")
            )
        ]

    def test_what_a_database_says_about_a_column_is_content(self, pair):
        with duckdb.connect(str(pair[1] / "analyst" / "tikkun.duckdb")) as connection:
            connection.execute("COMMENT ON COLUMN mart_gap_school.gap_sd IS 'other'")
            connection.execute("DROP TABLE mart_pupil_total")
        assert told(*pair) == [
            ("marts", ("mart_gap_school",), "label"),
            ("marts", ("mart_pupil_total",), "table removed"),
        ]

    @pytest.mark.parametrize(
        ("file", "told_as"),
        [
            ("mart_gap_school.parquet", ("marts", ("mart_gap_school",), "table removed")),
            ("report.html", ("page", ("template",), "file removed")),
            ("workbook.xlsx", ("workbook", ("template",), "file removed")),
            ("policy.yaml", ("file", ("policy.yaml",), "file removed")),
        ],
    )
    def test_a_file_that_is_gone(self, pair, file, told_as):
        (pair[1] / "analyst" / file).unlink()
        assert told(*pair) == [told_as]

    def test_lines_of_other_files_and_fields_of_the_manifest(self, pair):
        (pair[1] / "analyst" / "policy.yaml").write_text("budget: 1\nfloor: 3\nmore: 4\n")
        manifest = pair[1] / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"all"', '"official"').replace("0", "1"))
        assert [
            (each.difference.place, each.difference.column, each.difference.after)
            for each in found(*pair)
        ] == [("line 2", "", "floor: 3"), ("line 3", "", "more: 4"), ("", "scope", '"official"')]


class TestWorkbooks:
    def test_numbers_are_exact_and_texts_apart_from_numbers(self, tmp_path):
        book = xlsxwriter.Workbook(tmp_path / "a.xlsx", {"strings_to_numbers": False})
        sheet = book.add_worksheet("a")
        book.add_worksheet("empty")
        sheet.write_row(0, 0, ["n", "text", "both"])
        sheet.write_column(1, 0, [1 / 3, 1e-12])
        sheet.write_column(1, 1, ["007", "5"])
        sheet.write_column(1, 2, [1 / 3, "sum"])
        book.close()
        read = read_workbook(tmp_path / "a.xlsx").sheets
        assert read["a"].rows == (
            ("n", "text", "both"),
            (1 / 3, "007", 1 / 3),
            (1e-12, "5", "sum"),
        )
        assert read["empty"].rows == ()

    def test_a_cell_belongs_to_the_table_and_column_of_its_sheet(self, pair):
        shown = GAPS.with_columns(tested_pupils=pl.Series([30, 31, 41]))
        write_workbook(
            pair[1] / "committee" / "workbook.xlsx",
            {"mart_gap_school": shown, "mart_pupil_total": TOTALS},
            CONTEXT,
        )
        (only,) = found(*pair)
        assert only.difference.tables == ("mart_gap_school",)
        assert only.difference.column == "tested_pupils"
        assert only.difference.place == "פערים לפי בית ספר!C4"
        assert (only.difference.before, only.difference.after) == ("40.0", "41.0")

    def test_sheets_that_are_gone_and_the_cover(self, pair):
        write_workbook(
            pair[1] / "committee" / "workbook.xlsx",
            {"mart_gap_school": GAPS},
            ReportContext("עיר אחרת", True, 2026, 2027, "הכול", "2026", ()),
        )
        assert told(*pair) == [
            ("workbook", ("mart_pupil_total",), "sheet removed"),
            ("workbook", ("template",), "cell"),  # the city's name
            ("workbook", ("template",), "cell"),  # the contents lose a sheet
        ]


VALUES = st.one_of(st.none(), st.integers(-5, 5), st.floats(), st.text("אab", max_size=3))


def contents(grid):
    """The same values as a mart, a page, a sheet and lines."""
    cells = "".join(
        f'<tr><td data-cell="mart_gap_school/k={row}/c{column}" data-value="{value}">x</td></tr>'
        for row, values in enumerate(grid)
        for column, value in enumerate(values)
    )
    frame = pl.DataFrame({"k": range(len(grid)), "c": [str(values) for values in grid]})
    return {
        "a/mart_gap_school.parquet": {"mart_gap_school": Mart(frame, {})},
        "a/report.html": read_page(cells),
        "a/workbook.xlsx": Workbook({"s": Sheet("", ("0", "1"), tuple(map(tuple, grid)))}),
        "a/policy.yaml": Lines(tuple(f"{row}: {values}" for row, values in enumerate(grid))),
    }


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.lists(VALUES, min_size=2, max_size=2), min_size=1, max_size=5),
    st.data(),
)
def test_any_single_changed_value_is_found_everywhere_and_nothing_else(grid, data):
    row, column = data.draw(st.integers(0, len(grid) - 1)), data.draw(st.integers(0, 1))
    value = data.draw(
        VALUES.filter(lambda v: str(v) != str(grid[row][column]) and v != grid[row][column])
    )
    changed = [list(values) for values in grid]
    changed[row][column] = value
    differences = compare(contents(grid), contents(changed), keys=lambda _: ("k",))
    assert sorted(each.difference.where for each in differences) == [
        "file",
        "marts",
        "page",
        "workbook",
    ]
    places = {each.difference.where: each.difference.place for each in differences}
    assert places["marts"] == f"k={row}"
    assert places["page"] == f"mart_gap_school/k={row}/c{column}"
    assert places["workbook"] == f"s!{'AB'[column]}{row + 1}"
    assert compare(contents(grid), contents(grid), keys=lambda _: ("k",)) == []


class TestCommand:
    @pytest.fixture
    def changed(self, pair):
        """A release whose page shows one value otherwise, and one text."""
        text = PAGE.replace('"0.5"', '"0.6"').replace("הופק", "נעשה")
        (pair[1] / "committee" / "report.html").write_text(text)
        return list(map(str, pair))

    def run(self, folders, tmp_path, entries="", *more):
        listed = tmp_path / "expected.yaml"
        listed.write_text(entries)
        return main([*folders, "--expected", str(listed), *more])

    def test_equal(self, pair, tmp_path, capsys):
        assert self.run(list(map(str, pair)), tmp_path) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "equal"

    def test_unexpected(self, changed, tmp_path, capsys):
        assert self.run(changed, tmp_path) == 1
        out = capsys.readouterr().out
        assert "subject=math/gap_sd: 0.5 -> 0.6  [committee/report.html]" in out
        assert "2 unexpected differences, 0 expected" in out

    def test_expected_and_stale(self, changed, tmp_path, capsys):
        entries = """
- {where: page, table: mart_gap_*, page: report.html, column: gap_*, reason: rounded anew}
- {where: any, table: template, reason: better word}
- {where: workbook, table: mart_gap_school, reason: gone long ago}
"""
        assert self.run(changed, tmp_path, entries) == 0
        out = capsys.readouterr().out
        assert "expected page mart_gap_*: 1 – rounded anew" in out
        assert "stale: workbook mart_gap_school" in out
        assert "0 unexpected differences, 2 expected" in out

    def test_an_entry_for_another_column_or_page_excuses_nothing(self, changed, tmp_path):
        entries = "- {where: any, table: '*', %s, reason: other}"
        assert self.run(changed, tmp_path, entries % "column: gap_lo_sd") == 1
        assert self.run(changed, tmp_path, entries % "page: quality.html") == 1

    @pytest.mark.parametrize(
        ("entries", "line", "field"),
        [
            ("- {where: any, table: a, reason: b}\n- where: any\n  table: a\n", 2, "reason"),
            ("- where: any\n  table: a\n  reason: '  '\n", 3, "reason"),
            ("- where: nowhere\n  table: a\n  reason: b\n", 1, "where"),
            ("- where: any\n  table: a\n  reason: b\n  tabel: c\n", 4, "tabel"),
        ],
    )
    def test_a_list_that_says_too_little_is_refused(
        self, changed, tmp_path, capsys, entries, line, field
    ):
        assert self.run(changed, tmp_path, entries) == 2
        assert f"expected.yaml, line {line}: {field}" in capsys.readouterr().out

    def test_few_examples_and_whole_counts(self, pair, tmp_path, capsys):
        many = "".join(f"<p>{n}</p>" for n in range(30))
        (pair[1] / "committee" / "report.html").write_text(PAGE.replace("<footer>", many))
        self.run(list(map(str, pair)), tmp_path, "", "--most", "3")
        out = capsys.readouterr().out
        assert out.count("(nothing) -> ") == 3
        assert "text: 30" in out

    def test_form_is_named_and_does_not_count(self, pair, tmp_path, capsys):
        (pair[1] / "committee" / "report.html").write_text(PAGE.replace("red", "blue"))
        assert self.run(list(map(str, pair)), tmp_path) == 0
        assert "in 1 files: committee/report.html" in capsys.readouterr().out

    def test_releases_by_city_and_name(self, pair, tmp_path, monkeypatch, capsys):
        city = tmp_path / "marts" / "a_city"
        shutil.copytree(pair[0], city / "releases" / "0123")
        (city / "current").symlink_to("releases/0123")
        monkeypatch.setenv("TIKKUN_DATA_MARTS", str(tmp_path / "marts"))
        for name in ("a_city", "a_city@0123", str(city), str(city / "current")):
            assert self.run([str(pair[0]), name], tmp_path) == 0
        capsys.readouterr()
        for name, said in (
            ("b_city", "there: a_city"),
            ("a_city@4567", "there: 0123"),
            (str(tmp_path), "no manifest.json"),
        ):
            assert self.run([str(pair[0]), name], tmp_path) == 2
            assert said in capsys.readouterr().out

    def test_a_file_that_cannot_be_read(self, pair, tmp_path, capsys):
        (pair[1] / "analyst" / "workbook.xlsx").write_text("no workbook")
        assert self.run(list(map(str, pair)), tmp_path) == 2
        assert "analyst/workbook.xlsx: cannot be read" in capsys.readouterr().out


def test_an_empty_page_reads_as_nothing():
    assert read_page("") == Page((), ())
