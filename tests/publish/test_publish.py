"""Releases, suppression, workbook and report, on the marts of a published small city."""

import itertools
import re
import shutil
import zipfile
from html.parser import HTMLParser

import fastexcel
import polars as pl
import pytest

from pipelines.publish import words
from pipelines.publish.audiences import readers_of
from pipelines.publish.build import audit_release
from pipelines.publish.marts import DATABASE, content_hash, read_database, write_marts
from pipelines.publish.pages.base import isolated
from pipelines.publish.release import ReleaseError, current_release, publish, verify
from pipelines.publish.site import AuditError
from pipelines.publish.suppression import PrivacyError, Thresholds, gate, suppress
from pipelines.publish.workbook import WORKBOOK, tables_of_book, write_workbook, written_beside
from pipelines.settings.city import load_city
from pipelines.settings.fields import dictionary

LIMITS = Thresholds(mean_pupils=10, count_pupils=5)


def file_with(text):
    return lambda folder: (folder / "a.txt").write_text(text)


def refuse(_):
    raise AuditError("no")


class TestRelease:
    def test_same_content_is_the_same_release(self, tmp_path):
        first = publish(tmp_path, file_with("1"), lambda _: None)
        assert (
            publish(tmp_path, file_with("1"), lambda _: None) == first == current_release(tmp_path)
        )
        second = publish(tmp_path, file_with("2"), lambda _: None)
        assert current_release(tmp_path) == second != first
        assert (
            publish(tmp_path, file_with("1"), lambda _: None) == first == current_release(tmp_path)
        )

    def test_a_refused_release_leaves_the_last_one(self, tmp_path):
        first = publish(tmp_path, file_with("1"), lambda _: None)
        with pytest.raises(AuditError):
            publish(tmp_path, file_with("2"), refuse)
        assert verify(tmp_path) == first
        assert [path.name for path in (tmp_path / "releases").iterdir()] == [first.name]

    def test_a_changed_file_is_named(self, tmp_path):
        release = publish(tmp_path, file_with("1"), lambda _: None)
        (release / "a.txt").write_text("3")
        (release / "b.txt").write_text("4")
        with pytest.raises(ReleaseError, match=r"a\.txt, b\.txt"):
            verify(tmp_path)

    def test_left_overs_go_and_old_releases_are_few(self, tmp_path):
        (tmp_path / "releases" / ".building-1").mkdir(parents=True)
        for n in range(5):
            last = publish(tmp_path, file_with(str(n)), lambda _: None, keep=3)
        kept = {path.name for path in (tmp_path / "releases").iterdir()}
        assert len(kept) == 3
        assert last.name in kept

    def test_nothing_published_yet(self, tmp_path):
        assert current_release(tmp_path) is None
        with pytest.raises(ReleaseError, match="no current release"):
            verify(tmp_path)


CLIMBING = pl.DataFrame(
    {
        "semel_mosad": ["1", "2", "3"],
        "subject": ["math"] * 3,
        "tested_pupils": [3, 9, 10],
        "gap_sd": [0.1, 0.2, 0.3],
        "gap_lo_sd": [0.0, 0.1, 0.2],
        "p_below_target": [0.6, 0.7, 0.8],
    }
)


class TestSuppression:
    def test_participants_are_counted_as_pupils_are(self):
        tracked = pl.DataFrame(
            {"plan_row_id": list("abcde"), "participants_now": [3, 5, 9, 40, 0]},
            schema={"plan_row_id": pl.String, "participants_now": pl.Int32},
        )
        shown = suppress({"mart_line_tracking": tracked}, "committee", LIMITS)
        assert shown["mart_line_tracking"]["participants_now"].to_list() == [None, 5, 9, 40, 0]
        gate(shown, "committee", LIMITS)
        with pytest.raises(PrivacyError, match="participants_now: 1 value"):
            gate({"mart_line_tracking": tracked}, "committee", LIMITS)

    def test_small_cells_lose_value_interval_and_count(self):
        found = suppress({"mart_gap_school": CLIMBING}, "analyst", LIMITS)["mart_gap_school"]
        assert found["tested_pupils"].to_list() == [None, 9, 10]
        for column in ("gap_sd", "gap_lo_sd", "p_below_target"):
            assert found[column].is_null().to_list() == [True, True, False]
        gate({"mart_gap_school": found}, "analyst", LIMITS)

    def test_the_gate_catches_what_was_not_suppressed(self):
        with pytest.raises(
            PrivacyError, match=r"mart_gap_school.gap_sd: 2 value\(s\) on fewer than 10 pupils"
        ):
            gate({"mart_gap_school": CLIMBING}, "committee", LIMITS)

    def test_personal_columns_are_refused_and_internal_ones_kept_from_the_committee(self):
        personal = pl.DataFrame({"pupil_hash": ["a"], "subject": ["math"]})
        with pytest.raises(PrivacyError, match="pupil_hash"):
            suppress({"mart_gap_school": personal}, "analyst", LIMITS)
        with pytest.raises(PrivacyError, match="pupil_hash is personal"):
            gate({"mart_gap_school": personal}, "analyst", LIMITS)
        internal = pl.DataFrame({"table_name": ["t"], "failing_keys": ["k"]})
        shown = suppress({"mart_data_quality": internal}, "committee", LIMITS)["mart_data_quality"]
        assert shown.columns == ["table_name"]
        with pytest.raises(PrivacyError, match="failing_keys is internal"):
            gate({"mart_data_quality": internal}, "committee", LIMITS)


@pytest.fixture(scope="module")
def readers(published):
    return readers_of(load_city(published.raw).policy)


class TestAudit:
    """What a run published, copied and then changed: the audit looks at files."""

    @pytest.fixture(scope="class")
    def tables(self, published):
        return read_database(published.current / "analyst" / DATABASE)

    @pytest.fixture
    def release(self, published, tmp_path):
        return shutil.copytree(published.current.resolve(), tmp_path / "r")

    def written(self, release, tables, context):
        """Write the analysts' marts and workbook of a release from other tables."""
        place = release / "analyst"
        for path in (*place.glob("*.parquet"), place / DATABASE):
            path.unlink()
        write_marts(place, tables)
        write_workbook(place / WORKBOOK, tables_of_book("analyst", tables), context)

    def test_what_is_whole_passes(self, release, context, tables, readers):
        audit_release(release, context, readers, tables)

    def test_what_is_written_from_the_same_tables_passes(self, release, context, tables, readers):
        self.written(release, tables, context)
        audit_release(release, context, readers, tables)

    def test_money_that_does_not_add_up_is_refused(self, release, context, tables, readers):
        less = tables | {"mart_work_plan": tables["mart_work_plan"].head(-1)}
        self.written(release, less, context)
        with pytest.raises(AuditError, match="plan in force differs"):
            audit_release(release, context, readers, less)

    def test_a_parquet_file_that_differs_is_refused(self, release, context, tables, readers):
        path = release / "committee" / "mart_need_index.parquet"
        pl.read_parquet(path).head(-1).write_parquet(path)
        with pytest.raises(AuditError, match=r"mart_need_index\.parquet: differs"):
            audit_release(release, context, readers, tables)

    def test_a_report_without_the_synthetic_mark_is_refused(
        self, release, context, tables, readers
    ):
        path = release / "committee" / "annex/report.html"
        path.write_text(
            path.read_text(encoding="utf-8").replace("נתונים סינתטיים", ""), encoding="utf-8"
        )
        with pytest.raises(AuditError, match="synthetic mark"):
            audit_release(release, context, readers, tables)

    def test_a_failed_blocking_check_is_refused(self, release, context, tables, readers):
        failed = tables["mart_data_quality"].with_columns(pl.lit(False).alias("is_passed"))
        self.written(release, tables | {"mart_data_quality": failed}, context)
        with pytest.raises(AuditError, match="blocking checks failed"):
            audit_release(release, context, readers, tables)


def test_the_database_hash_is_of_its_content(tmp_path, tables):
    some = {"mart_need_index": tables["mart_need_index"]}
    write_marts(tmp_path / "a", some)
    write_marts(tmp_path / "b", some)
    write_marts(tmp_path / "c", {"mart_need_index": tables["mart_need_index"].reverse()})
    a, b, c = (content_hash(tmp_path / name / "tikkun.duckdb") for name in "abc")
    assert a == b != c


class TestWorkbook:
    def test_same_tables_same_bytes_and_formulas_stay_text(self, tmp_path, tables, context):
        evil = tables | {
            "mart_need_index": (
                tables["mart_need_index"].with_columns(
                    pl.lit('=HYPERLINK("x")').alias("school_name_he")
                )
            )
        }
        for name in ("a.xlsx", "b.xlsx"):
            write_workbook(tmp_path / name, evil, context)
        assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
        sheet = fastexcel.read_excel(tmp_path / "a.xlsx").load_sheet("מדד צורך").to_polars()
        assert set(sheet[:, 1]) == {'=HYPERLINK("x")'}
        with zipfile.ZipFile(tmp_path / "a.xlsx") as book:
            sheets = [
                book.read(name).decode()
                for name in book.namelist()
                if name.startswith("xl/worksheets/sheet")
            ]
        assert not any("<f>" in text for text in sheets)
        assert all('rightToLeft="1"' in text for text in sheets)

    def test_a_process_of_its_own_writes_the_same_bytes_and_raises(self, tmp_path, tables, context):
        write_workbook(tmp_path / "here.xlsx", tables, context)
        with written_beside() as write:
            write([(tmp_path / "beside.xlsx", tables, context)])
        assert (tmp_path / "beside.xlsx").read_bytes() == (tmp_path / "here.xlsx").read_bytes()
        unknown = {"mart_need_index": pl.DataFrame({"no_such_field": [1]})}
        with (
            pytest.raises(KeyError, match="no_such_field"),
            written_beside() as write,
        ):
            write([(tmp_path / "none.xlsx", unknown, context)])

    def test_a_body_that_fails_ends_the_process_and_raises_its_own_error(self):
        with pytest.raises(KeyError, match="body"), written_beside():
            raise KeyError("body")

    def test_money_is_in_shekels_with_its_total(self, tmp_path, tables, context):
        write_workbook(tmp_path / "a.xlsx", tables, context)
        book = fastexcel.read_excel(tmp_path / "a.xlsx")
        assert book.sheet_names[0] == "שער"
        for name, title in dictionary().sheets.items():
            if name in tables:
                assert title in book.sheet_names
        sheet = book.load_sheet("כסף לפי ערוץ").to_polars()
        amounts = sheet[:, tables["mart_allocation_money"].columns.index("amount_agorot")].cast(
            pl.Float64
        )
        assert round(100 * amounts[-1]) == tables["mart_allocation_money"]["amount_agorot"].sum()
        assert round(100 * amounts[:-1].sum()) == round(100 * amounts[-1])


class TestTheCommitteesWorkbook:
    @pytest.fixture
    def book(self, published):
        return published.current / "committee" / WORKBOOK

    def test_twenty_sheets_at_most_with_links_to_each(self, book):
        names = fastexcel.read_excel(book).sheet_names
        assert 10 < len(names) <= 20
        with zipfile.ZipFile(book) as parts:
            cover = parts.read("xl/worksheets/sheet1.xml").decode()
            assert re.findall(r"""location="'(.+?)'!A1\"""", cover) == names[1:]
            charts = [name for name in parts.namelist() if name.startswith("xl/charts/chart")]
            assert len(charts) == len(dictionary().charts)
            for at in range(2, len(names) + 1):
                sheet = parts.read(f"xl/worksheets/sheet{at}.xml").decode()
                assert 'state="frozen"' in sheet
                assert 'orientation="landscape"' in sheet
                assert "<autoFilter" in sheet or "<v>" not in sheet.partition("</row>")[2]

    def test_no_identifiers_but_the_codes_of_schools(self, book):
        ids = re.compile(r"[A-Za-z]{2,}_[a-z_]+|:[a-z]")
        read = fastexcel.read_excel(book)
        for name in read.sheet_names[1:]:
            sheet = read.load_sheet(name, header_row=None, dtypes="string").to_polars()
            told = [cell for row in sheet.iter_rows() for cell in row if cell and ids.search(cell)]
            assert told == [], name

    def test_rules_about_money_are_in_shekels(self, book, published):
        tables = read_database(published.current / "committee" / "tikkun.duckdb")
        rules = tables["mart_allocation_rule"]
        sheet = fastexcel.read_excel(book).load_sheet(dictionary().sheets["mart_allocation_rule"])
        told = dict(
            sheet.to_polars().select("כלל", pl.col("^גבול.*$").cast(pl.Float64)).iter_rows()
        )
        money = rules.filter(pl.col("unit") == "agorot").drop_nulls("rule_limit")
        assert money.height
        for rule, limit in money.select("rule_he", "rule_limit").iter_rows():
            assert told[rule] == limit / 100
        cells = [str(cell) for row in sheet.to_polars().iter_rows() for cell in row]
        assert not any("אגורות" in cell for cell in cells)

    def test_rows_are_as_high_as_their_texts(self, book):
        read = fastexcel.read_excel(book)
        place = read.sheet_names.index(dictionary().sheets["mart_finding"]) + 1
        with zipfile.ZipFile(book) as parts:
            sheet = parts.read(f"xl/worksheets/sheet{place}.xml").decode()
        texts = read.load_sheet(place - 1).to_polars()["ממצא"].to_list()
        heights = dict(re.findall(r'<row r="(\d+)"[^>]* ht="([\d.]+)"', sheet))
        assert any(len(text) > 120 for text in texts)
        for row, text in enumerate(texts, start=2):
            lines = len(text) / 60  # the widest that a column is
            assert float(heights.get(str(row), 15)) >= 15 * lines, text

    def test_a_wide_sheet_prints_on_pages_that_can_be_read(self, book):
        read = fastexcel.read_excel(book)
        place = read.sheet_names.index(dictionary().sheets["mart_gap_school"]) + 1
        with zipfile.ZipFile(book) as parts:
            sheet = parts.read(f"xl/worksheets/sheet{place}.xml").decode()
        assert 'fitToHeight="0"' in sheet
        assert int(re.search(r'<pageSetup [^>]*fitToWidth="(\d+)"', sheet)[1]) > 1

    def test_money_of_the_plan_is_that_of_the_marts(self, book, published):
        tables = read_database(published.current / "committee" / "tikkun.duckdb")
        held = tables_of_book("committee", tables)
        for name in ("mart_allocation_school", "mart_allocation", "mart_allocation_channel"):
            sheet = fastexcel.read_excel(book).load_sheet(dictionary().sheets[name]).to_polars()
            column = next(c for c in held[name].columns if c in ("cost_agorot", "allocated_agorot"))
            told = sheet[:, held[name].columns.index(column)].cast(pl.Float64)
            assert round(100 * told[-1]) == tables[name][column].sum()

    def test_analysts_keep_every_sheet(self, published):
        tables = read_database(published.current / "analyst" / "tikkun.duckdb")
        names = fastexcel.read_excel(published.current / "analyst" / WORKBOOK).sheet_names
        assert set(names[1:]) == {t for n, t in dictionary().sheets.items() if n in tables}


class Cells(HTMLParser):
    """Collects (address, exact value, shown text) of every number, and the structure of the
    page.
    """

    def __init__(self):
        super().__init__()
        self.cells, self.open, self.tags, self.links = [], None, [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if "data-cell" in attrs:
            assert attrs["dir"] == "ltr"
            self.open = [attrs["data-cell"], attrs["data-value"], ""]
        self.links += [attrs[name] for name in ("src", "href") if name in attrs]

    def handle_data(self, data):
        if self.open is not None:
            self.open[2] += data

    def handle_endtag(self, tag):
        if tag == "bdi" and self.open is not None:
            self.cells.append(tuple(self.open))
            self.open = None


class TestReport:
    @pytest.fixture(
        scope="class",
        params=[
            "annex/report.html",
            "annex/diagnosis.html",
            "annex/responses.html",
            "annex/allocation.html",
            "annex/scenarios.html",
        ],
    )
    def page(self, published, request):
        cells = Cells()
        cells.feed((published.current / "committee" / request.param).read_text(encoding="utf-8"))
        return cells

    def test_every_number_equals_its_mart_cell(self, page, tables):
        assert len(page.cells) > 300
        for address, value, shown in page.cells:
            table, key, column = (
                address.split("/", 2)
                if address.count("/") == 2
                else re.match(r"(\w+)/(.*)/(\w+)$", address).groups()
            )
            frame = tables[table]
            for part in key.split(";"):
                name, wanted = part.split("=", 1)
                frame = frame.filter(pl.col(name).cast(pl.String) == wanted)
            assert frame.height == 1, address
            exact = frame[column][0]
            assert str(exact) == value, address
            assert shown in {form(exact) for form in words.FORMS.values()}, address

    def test_no_request_no_script_no_rank(self, page, published):
        folder = published.current / "committee" / "annex"
        assert all(
            link.startswith("#") or (folder / link.split("#")[0]).is_file() for link in page.links
        )
        assert not [tag for tag, _ in page.tags if tag in ("script", "link", "img", "iframe")]

    def test_accessible_structure(self, page):
        assert next(attrs for tag, attrs in page.tags if tag == "html") == {
            "lang": "he",
            "dir": "rtl",
        }
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        tables = sum(tag == "table" for tag, _ in page.tags)
        assert sum(tag == "caption" for tag, _ in page.tags) == tables >= 10
        assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
        figures = [attrs for tag, attrs in page.tags if attrs.get("role") == "img"]
        assert len(figures) >= 1
        assert all(attrs["aria-label"] and attrs["dir"] == "ltr" for attrs in figures)

    def test_every_section_of_the_diagnosis_says_what_it_is(self, published):
        text = (published.current / "committee" / "annex/diagnosis.html").read_text(
            encoding="utf-8"
        )
        assert text.count("<section") == 7
        assert text.count("נתונים סינתטיים") >= 8
        assert "קשר, לא סיבה מוכחת" in text
        assert "אינו השפעה" in text

    def test_tiers_have_text_and_sign_beside_colour(self, published):
        text = (published.current / "committee" / "annex/report.html").read_text(encoding="utf-8")
        for tier, sign in dictionary().signs["gap_tier"].items():
            assert sign in text
            assert words.label("gap_tier", tier) in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "עלה ב־12.5% (95% ומעלה)",
            'עלה ב־<bdi dir="ltr">12.5%</bdi> (<bdi dir="ltr">95%</bdi> ומעלה)',
        ),
        ("בשנת 2014/15 בלבד", 'בשנת <bdi dir="ltr">2014/15</bdi> בלבד'),
        ("סכום 1,234,567 ₪.", 'סכום <bdi dir="ltr">1,234,567</bdi> ₪.'),
        ('מיל"ת 10 & 7', 'מיל&#34;ת <bdi dir="ltr">10</bdi> &amp; <bdi dir="ltr">7</bdi>'),
    ],
)
def test_numbers_in_sentences_are_isolated(text, shown):
    assert str(isolated(text)) == shown


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        (words.nis, 123456789, "1,234,568"),
        (words.signed, -0.1234, "−0.12"),
        (words.signed, 0.3, "+0.30"),
        (words.months, 0.1, "+1.2"),
        (words.months, -0.001, "0.0"),
        (words.months_fine, 0.01, "+0.12"),
        (words.months_size, 0.25, "3.0"),
        (words.months_from_target, 0.25, "−3.0"),
        (words.pupil_months, 12.34, "148"),
        (words.pupil_months_change, -1.0, "−12"),
        (words.signed, -0.001, "0.00"),
        (words.percent, 12.0, "12%"),
        (words.percent, -3.25, "−3.2%"),
        (words.probability, 0.999, ">99%"),
        (words.probability, 0.5, "50%"),
        (words.hebrew_year, 2026, 'תשפ"ו'),
        (words.hebrew_year, 2015, 'תשע"ה'),
        (words.hebrew_year, 2016, 'תשע"ו'),
        (words.hebrew_year, 2055, 'תתט"ו'),
        (words.year, 2026, 'תשפ"ו (2025/26)'),
    ],
)
def test_words(form, value, shown):
    assert form(value) == shown


def test_every_category_a_reader_sees_has_a_hebrew_name():
    for name in (
        "subject",
        "stream",
        "gap_tier",
        "need_tier",
        "funding_channel",
        "response_class",
        "design_grade",
        "severity",
    ):
        field = dictionary().fields[name]
        assert set(map(str, field.allowed)) == set(dictionary().labels[name])
