"""Small files that go wrong, by kind: the samples of ../shared/cases and two more of each kind."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from pipelines.decide.lottery import entrants_of
from pipelines.settings.city import load_city, load_sources
from pipelines.settings.scenario_files import load_scenarios
from pipelines.settings.yaml_files import CityError
from pipelines.sources.files import read_source
from tests.sources.look import (
    MEANS,
    MEANS_HEADER,
    PUPILS,
    REGISTER,
    csv_of,
    edited,
    folder_of,
    look,
    means,
    xlsx_of,
)

SHARED = Path(__file__).parents[2].resolve().parent / "shared" / "cases" / "files"
T, P, M = "tests__school_means", "register__pupils", "finance__school_money"
S = "register__schools"
SCORES = "tests__pupil_scores"


def shared(name):
    folder = next(
        (
            place / name
            for place in (SHARED, Path("/work/shared/cases/files"))
            if (place / name).is_dir()
        ),
        None,
    )
    if folder is None:
        pytest.skip("../shared/cases is not here")
    return folder


def refused_with(found, source_id, english, hebrew):
    assert english in found.refused[source_id].en
    assert hebrew in found.refused[source_id].he
    return True


def row(code="900001", grade=5, mean=70, tested=50, year=2026, subject="math"):
    return (code, year, grade, subject, mean, tested)


# ---- the samples -------------------------------------------------------------------------------

SAMPLES = {
    "01-hebrew-year-hat": lambda f: set(f.column(T, "school_year")) == {2026},
    "01b-hat-year-whole-file": lambda f: f.column(T, "school_year") == [2026] * 9,
    "02-percent-cells": lambda f: refused_with(
        f, "climate__facets", "units: {agree_pct: share}", "אחוז אחד"
    ),
    "04-error-cells": lambda f: f.why(T) == {(n, "error_cell") for n in (2, 3, 4, 5, 7)},
    "06-zero-means-missing": lambda f: f.why(T) == {(n, "implausible") for n in (2, 4, 6)},
    "09-dates": lambda f: (
        all("2025-09-01" <= str(day) <= "2026-08-31" for day in f.column(SCORES, "test_date"))
        and len(f.column(SCORES, "test_date")) == 10
    ),
    "10-date1904": lambda f: list(map(str, f.column(SCORES, "test_date"))) == ["2026-05-02"] * 2,
    "12-tick-or-blank": lambda f: (
        sorted(f.staged[P].select("is_sen_integration", "is_gifted", "is_amirim").rows())
        == [(False, False, False), (False, False, True), (True, False, False)]
    ),
    "13-hebrew-grade": lambda f: sorted(f.column(P, "grade")) == [4, 4, 4, 4, 4, 4, 5],
    "14-pupil-ids": lambda f: (
        [o.en for o in f.odd]
        == ["'pupil_hash', 2026: 5 of 6 of attendance__pupil_years are known in register__pupils"]
    ),
    "16-duplicate-header": lambda f: refused_with(f, T, "more than once", "יותר מפעם אחת"),
    "18-total-physical": lambda f: (
        not {c for _, c in f.why("programmes__registry")} & {"total_row"}
    ),
    "19-visual-order": lambda f: refused_with(f, S, "visual order", "בסדר הפוך"),
    "20-cp862": lambda f: f.column(T, "score_mean") == [70],
    "21-presentation": lambda f: (
        set(f.column(S, "school_name_he")) == {"אלון", "ברוש", "גפן", "דקל"}
    ),
    "23-newline-in-header": lambda f: f.column(T, "score_mean") == [70],
    "26-trailing-delimiter": lambda f: f.column(T, "score_mean") == [70, 71],
    "28-hidden-first-sheet": lambda f: f.column(T, "score_mean") == [70, 70],
    "31-stray-far-cell": lambda f: refused_with(f, T, "far from the table", "תא רחוק"),
    "33-lock-file": lambda f: f.column(T, "score_mean") == [70],
    "34-html-xls": lambda f: refused_with(f, T, "HTML", "HTML"),
    "36-zip": lambda f: refused_with(f, T, "zip", "zip"),
    "37-password": lambda f: refused_with(f, T, "password", "סיסמה"),
    "39-wide-subjects": lambda f: f.column(T, "score_mean") == [70, 71],
    "43-money-shapes": lambda f: refused_with(f, M, "ministry_nis: thousand", "אלפי ש"),
    "44-class-as-date": lambda f: f.why(P) == {(2, "implausible")},
    "45-shares-as-scores": lambda f: f.why(T) == {(n, "outside_scale") for n in (2, 3, 4)},
    "46-outside-scale-means": lambda f: f.why(T) == {(2, "outside_scale")},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_has_its_right_outcome(name, tmp_path, monkeypatch):
    """Their ids could be children's, which a generated city may not have."""
    monkeypatch.setenv("TIKKUN_PUPIL_KEY", "a key of forty signs for the samples alone")
    city = tmp_path / "city"
    shutil.copytree(shared(name), city)
    (city / "city.yaml").chmod(0o644)
    text = (city / "city.yaml").read_text(encoding="utf-8")
    real = text.replace("is_synthetic: true", "is_synthetic: false")
    city.chmod(0o755)
    (city / "city.yaml").write_text(real, encoding="utf-8")
    assert SAMPLES[name](look(city))


@pytest.mark.parametrize("name", ["clean", "bom", "cp1255", "semi", "strata"])
def test_a_list_of_entrants_is_read_as_it_is_meant(name):
    found = entrants_of(
        shared("50-lottery") / f"{name}.csv", ["school"] if name == "strata" else []
    )
    assert found.height == 20
    assert found.n_unique() == 20
    assert name != "strata" or found["school"].unique().to_list() == ["אלון"]


@pytest.mark.parametrize("name", ["twice_zero", "total", "blank", "dup_exact"])
def test_a_list_in_which_a_child_has_two_chances_is_refused(name):
    with pytest.raises(CityError, match="row ") as told:
        entrants_of(shared("50-lottery") / f"{name}.csv", [])
    assert "שורה" in told.value.he


def test_a_key_that_stands_twice_names_both_lines(small_city, tmp_path):
    city = tmp_path / "demo_city"
    shutil.copytree(small_city, city, ignore=shutil.ignore_patterns("truth"))
    more = (shared("53-yaml-duplicate-key") / "append_to_policy.yaml").read_text(encoding="utf-8")
    with (city / "policy.yaml").open("a", encoding="utf-8") as policy:
        policy.write("\n" + more)
    with pytest.raises(CityError, match="equity_gamma") as told:
        load_city(city)
    assert told.value.en.count("line") >= 2


def test_a_scenario_that_ends_in_yml_is_told(small_city, tmp_path):
    city = tmp_path / "demo_city"
    shutil.copytree(small_city, city, ignore=shutil.ignore_patterns("truth"))
    shutil.copy(shared("54-scenario-yml") / "small.yml", city / "scenarios" / "small.yml")
    with pytest.raises(CityError, match=r"small\.yml"):
        load_scenarios(load_city(city))


def test_ids_with_a_hyphen_are_the_same_pupils(small_city, tmp_path):
    city = tmp_path / "demo_city"
    shutil.copytree(small_city, city, ignore=shutil.ignore_patterns("truth"))
    before = read_source(load_city(city), "attendance__pupil_years", [2026]).rows
    made = importlib.util.spec_from_file_location("make", shared("56-nobody-linked") / "make.py")
    text = Path(made.origin).read_text(encoding="utf-8")
    path = city / "files" / "attendance_2026.csv"
    exec(compile(text.replace("sys.argv[1]", repr(str(city))), made.origin, "exec"), {})
    assert "-" in path.read_text(encoding="utf-8").splitlines()[1].split(",")[0]
    after = read_source(load_city(city), "attendance__pupil_years", [2026]).rows
    assert after["pupil_hash"].equals(before["pupil_hash"])


# ---- two more of each kind ---------------------------------------------------------------------


def pupils(*rows, **options):
    """A mapping and a file of pupils whose rows name id, grade, class and three flags."""
    lines = [
        (number, 2026, "900001", grade, class_id, "m", 2016, 5, *flags)
        for number, grade, class_id, flags in rows
    ]
    mapping = {"file": "p.csv", "format": "csv", "columns": PUPILS, **options}
    return {"p.csv": csv_of(tuple(PUPILS.values()), *lines)}, {P: mapping}


NO = ("לא", "לא", "לא")


@pytest.mark.parametrize(
    ("year", "meant"),
    [('ה׳תשפ"ו', 2026), ("2025–2026", 2026), ("תשפו", 2026), ("תשצא", 2031), ("2030/31", 2031)],
)
def test_school_years(tmp_path, year, meant):
    """A year after the planned one is set aside, however it is spelt."""
    text = csv_of(MEANS_HEADER, row(year=f'"{year}"'.replace('פ"ו', 'פ""ו')), row("900002"))
    found = look(folder_of(tmp_path, {"m.csv": text}, **means("m.csv")))
    assert found.column(T, "school_year") == ([2026, 2026] if meant == 2026 else [2026])
    assert found.why(T) == (set() if meant == 2026 else {(2, "implausible")})


@pytest.mark.parametrize("unit", [None, "share"])
def test_percents_that_are_shares(tmp_path, unit):
    header = ("סמל", "שנה", "שכבה", "היגד", "חיובי", "משיבים", "כלל")
    names = [
        "semel_mosad",
        "school_year",
        "grade",
        "facet",
        "agree_pct",
        "respondents",
        "eligible_pupils",
    ]
    lines = [
        (code, 2026, 5, "safety", share, 40, 50)
        for code, share in (("900001", 0.85), ("900002", 0.9), ("900003", 1), ("012345", 0.07))
    ]
    book = xlsx_of([header, *lines])
    mapping = {"file": "c.xlsx", "format": "xlsx", "columns": dict(zip(names, header, strict=True))}
    if unit:
        mapping["units"] = {"agree_pct": unit}
    found = look(folder_of(tmp_path, {"c.xlsx": book}, climate__facets=mapping))
    if unit:
        assert found.column("climate__facets", "agree_pct") == [7, 85, 90, 100]
    else:
        assert refused_with(found, "climate__facets", "share", "אחוז אחד")


@pytest.mark.parametrize(
    ("cell", "is_broken"),
    [("#VALUE!", True), ("#NAME?", True), (("=A2/0", "#DIV/0!"), True), ("#1 בעיר", False)],
)
def test_error_cells(tmp_path, cell, is_broken):
    """An error is told with its row and column in a workbook and in a CSV saved from it."""
    names = {"m.xlsx": xlsx_of([MEANS_HEADER, row(mean=cell), row("900002"), row("900003")])}
    if isinstance(cell, str):
        names["m.csv"] = csv_of(MEANS_HEADER, row(mean=cell), row("900002"), row("900003"))
    for name, content in names.items():
        found = look(folder_of(tmp_path / name, {name: content}, **means(name)))
        reason = "error_cell" if is_broken else "bad_type"
        assert found.why(T) == {(2, reason)}
        assert found.column(T, "score_mean") == [70, 70]


def test_a_formula_whose_result_was_never_stored_is_no_empty_cell(tmp_path):
    book = xlsx_of([MEANS_HEADER, row(mean=("=35*2", 70)), row("900002", mean=None), row("900003")])
    sheet = "xl/worksheets/sheet1.xml"
    for number, empty in enumerate(("", "<v></v>", "<v/>")):
        content = edited(book, sheet, r"(</f>)<v>70</v>", rf"\g<1>{empty}")
        found = look(folder_of(tmp_path / str(number), {"m.xlsx": content}, **means("m.xlsx")))
        assert found.why(T) == {(2, "error_cell")}
        assert found.column(T, "score_mean") == [None, 70]


@pytest.mark.parametrize("tested", [0, "0.0"])
def test_a_mean_of_nobody(tmp_path, tested):
    text = csv_of(MEANS_HEADER, row(tested=tested), row("900002", tested=None), row("900003"))
    found = look(folder_of(tmp_path, {"m.csv": text}, **means("m.csv")))
    assert found.why(T) == {(2, "implausible")}


def scores(*days, **options):
    header = ("ת.ז", "שנה", "סמל", "שכבה", "מקצוע", "מקור", "סולם", "תאריך", "נבחן", "ציון")
    names = [
        "pupil_hash",
        "school_year",
        "semel_mosad",
        "grade",
        "subject",
        "test_source",
        "scale_id",
        "test_date",
        "is_tested",
        "score",
    ]
    rows = [
        (900000000 + n, 2026, "900001", 5, "math", "internal", "INT", day, 1, 70)
        for n, day in enumerate(days)
    ]
    mapping = {"columns": dict(zip(names, header, strict=True)), **options}
    return [header, *rows], mapping


@pytest.mark.parametrize(
    ("day", "meant"),
    [
        ("31/08/2026", "2026-08-31"),
        ("1.9.2025", "2025-09-01"),
        ("01/09/2026", None),
        ("31/08/2025", None),
        ("3 בפברואר 2026", "2026-02-03"),
        ("'5/2/2026", "2026-02-05"),
        ("2026-02-05 08:15", "2026-02-05"),
        ("5/2/1926", None),
        ("36526", None),
    ],
)
def test_days_of_a_school_year(tmp_path, day, meant):
    rows, mapping = scores(day)
    files = {"t.csv": csv_of(*rows)}
    found = look(
        folder_of(tmp_path, files, **{SCORES: mapping | {"file": "t.csv", "format": "csv"}})
    )
    assert list(map(str, found.column(SCORES, "test_date"))) == ([meant] if meant else [])
    assert bool(found.why(SCORES)) is (meant is None)


@pytest.mark.parametrize("from_1904", [True, False])
def test_day_numbers_of_a_workbook(tmp_path, from_1904):
    """5 February 2026 is day 44,596 from 1904 and day 46,058 from 1900."""
    rows, mapping = scores(44596 if from_1904 else 46058)
    book = xlsx_of(rows, date_1904=from_1904)
    mapping |= {"file": "t.xlsx", "format": "xlsx"}
    found = look(folder_of(tmp_path, {"t.xlsx": book}, **{SCORES: mapping}))
    assert list(map(str, found.column(SCORES, "test_date"))) == ["2026-02-05"]


@pytest.mark.parametrize("tick", ["V", "✓"])
@pytest.mark.parametrize("is_said", [True, False])
def test_ticked_columns(tmp_path, tick, is_said):
    """Without a word of the empty cells their rows are set aside; nothing is taken for no."""
    options = {}
    if is_said:
        ticked = ("is_sen_integration", "is_gifted", "is_amirim")
        options["values"] = {name: {"": "false"} for name in ticked}
    files, mapping = pupils(
        (900000012, 5, "5-1", (tick, None, None)), (900000020, 5, "5-1", (tick,) * 3), **options
    )
    found = look(folder_of(tmp_path, files, **mapping))
    assert sum(found.column(P, "is_gifted")) == 1
    assert len(found.column(P, "is_gifted")) == (2 if is_said else 1)
    assert found.why(P) == (set() if is_said else {(2, "missing")})


@pytest.mark.parametrize(
    ("grade", "class_id", "meant"),
    [
        ("ה׳", "ה׳2", (5, "5-2")),
        ("כיתה ה", "ה־2", (5, "5-2")),
        ('ה"2', "ה 2", (5, "5-2")),
        ("ט׳", "ט1", None),
        ("4-6", "5-1", None),
    ],
)
def test_hebrew_grades_and_classes(tmp_path, grade, class_id, meant):
    quoted = [
        f'"{text}"'.replace('ה"2"', 'ה""2"') if '"' in text else text for text in (grade, class_id)
    ]
    files, mapping = pupils((900000012, *quoted, NO))
    found = look(folder_of(tmp_path, files, **mapping))
    assert found.staged[P].select("grade", "class_id").rows() == ([meant] if meant else [])
    assert bool(found.why(P)) is (meant is None)


@pytest.mark.parametrize("known", ["012345675", "12345675"])
@pytest.mark.parametrize("said", ["01234567-5", " 12345675.0", "1.2345675E+07", "'012345675"])
def test_one_child_in_two_files(tmp_path, known, said):
    files, mapping = pupils((known, 5, "5-1", NO))
    header = ("ת.ז", "שנה", "סמל", "ימים", "היעדרות", "מוצדק")
    names = [
        "pupil_hash",
        "school_year",
        "semel_mosad",
        "school_days",
        "absence_days",
        "absence_days_justified",
    ]
    files["a.csv"] = csv_of(header, (said, 2026, "900001", 180, 3, 1))
    mapping["attendance__pupil_years"] = {
        "file": "a.csv",
        "format": "csv",
        "columns": dict(zip(names, header, strict=True)),
    }
    found = look(folder_of(tmp_path, files, **mapping))
    assert found.column("attendance__pupil_years", "pupil_hash") == found.column(P, "pupil_hash")
    assert not found.odd


@pytest.mark.parametrize("first", ["ממוצע", "מְמוּצָע"])
@pytest.mark.parametrize("meant", ["ממוצע", "ממוצע (1)", "ממוצע (2)"])
def test_a_header_that_stands_twice(tmp_path, first, meant):
    header = (*MEANS_HEADER[:4], first, "נבחנים", "ממוצע")
    text = csv_of(header, ("900001", 2026, 5, "math", 61, 50, 70))
    mapping = means("m.csv", columns=MEANS | {"score_mean": meant})
    found = look(folder_of(tmp_path, {"m.csv": text}, **mapping))
    if meant == "ממוצע":
        assert refused_with(found, T, "'ממוצע (2)'", "'ממוצע (2)'")
    else:
        assert found.column(T, "score_mean") == [61 if meant == "ממוצע (1)" else 70]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (('סה"כ', None, None, None, 70, 300), "total_row"),
        (("Total", 2026, None, None, 70, 1), "total_row"),
        (("* נתוני 2026 חלקיים", None, None, None, None, None), "footnote"),
        (MEANS_HEADER, "repeated_header"),
    ],
)
def test_lines_that_are_no_records(tmp_path, line, reason):
    lines = [MEANS_HEADER, row(), row("900002"), line]
    for name, content in (
        ("m.xlsx", xlsx_of(lines)),
        ("m.csv", csv_of(*lines).replace('סה"כ', '"סה""כ"')),
    ):
        found = look(folder_of(tmp_path / name, {name: content}, **means(name)))
        assert found.why(T) == {(4, reason)}
        assert found.column(T, "score_mean") == [70, 70]


@pytest.mark.parametrize("name", ["Totally Reading", "סך הכול ביחד"])
def test_things_whose_name_begins_like_a_total_are_kept(tmp_path, name):
    schools = csv_of(
        tuple(REGISTER.values()), ("900001", 2026, name, "ממלכתי", "רשמי", "יסודי", "רגיל", 300)
    )
    found = look(folder_of(tmp_path, {"schools.csv": schools}))
    assert found.column(S, "school_name_he") == [name]


@pytest.mark.parametrize(
    ("name", "is_visual"),
    [("ןולא רפס תיב", True), ("םילשורי בוחר", True), ("בית ספר אלון", False), ("ש. אגנון", False)],
)
def test_visual_order(tmp_path, name, is_visual):
    lines = [
        (code, 2026, f"{name} {code}", "ממלכתי", "רשמי", "יסודי", "רגיל", 300)
        for code in ("900001", "900002", "900003")
    ]
    for encoding in ("utf-8", "cp862"):
        content = csv_of(tuple(REGISTER.values()), *lines).encode(encoding)
        found = look(folder_of(tmp_path / encoding, {"schools.csv": content}))
        if is_visual:
            assert refused_with(found, S, "visual order", "בסדר הפוך")
        else:
            assert len(found.column(S, "school_name_he")) == 3


@pytest.mark.parametrize("text", ["מַמְלַכְתִּי", "ﬦמלכתי".replace("ﬦ", "מ")])
def test_points_and_forms_of_letters(tmp_path, text):
    header = (*[name.replace("ש", "\ufb2b") for name in REGISTER.values()],)
    lines = ("900001", 2026, "אלון", text, "רשמי", "יסודי", "רגיל", 300)
    found = look(folder_of(tmp_path, {"schools.csv": csv_of(header, lines)}))
    assert found.column(S, "supervision_stream") == ["state"]


@pytest.mark.parametrize("mark", ["\n", " \r\n", "\u200f\n"])
def test_a_line_break_in_a_header(tmp_path, mark):
    header = ('"סמל' + mark + 'מוסד"', *MEANS_HEADER[1:])
    files = {
        "m.csv": csv_of(header, row()),
        "m.xlsx": xlsx_of([(f"סמל{mark}מוסד", *MEANS_HEADER[1:]), row()]),
    }
    for name, content in files.items():
        found = look(folder_of(tmp_path / name, {name: content}, **means(name)))
        assert found.column(T, "score_mean") == [70]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_delimiter_at_the_end_of_each_row(tmp_path, delimiter):
    lines = csv_of(MEANS_HEADER, delimiter=delimiter) + "".join(
        csv_of((*row(code), ""), delimiter=delimiter) for code in ("900001", "900002", "900003")
    )
    found = look(folder_of(tmp_path, {"m.csv": lines}, **means("m.csv")))
    assert found.column(T, "score_mean") == [70] * 3


def test_hidden_sheets_and_rows_are_told(tmp_path):
    old, new = [MEANS_HEADER, row(mean=50)], [MEANS_HEADER, row(), row("900002"), row("900003")]

    def hide(book):
        first, second, third = book.worksheets()
        first.hide()
        third.very_hidden()
        second.set_row(2, None, None, {"hidden": True})
        second.activate()
        second.set_first_sheet()

    book = xlsx_of(("ישן", old), ("חדש", new), ("גיבוי", old), then=hide)
    found = look(folder_of(tmp_path, {"m.xlsx": book}, **means("m.xlsx")))
    assert found.column(T, "score_mean") == [70] * 3
    assert found.repairs.select("repair_code", "repaired_rows").rows() == [("hidden_rows", 1)]
    found = look(folder_of(tmp_path / "named", {"m.xlsx": book}, **means("m.xlsx", sheet="ישן")))
    assert found.column(T, "score_mean") == [50]
    assert found.repairs["repair_code"].to_list() == ["hidden_sheet"]
    found = look(folder_of(tmp_path / "none", {"m.xlsx": book}, **means("m.xlsx", sheet=1)))
    assert refused_with(found, T, "1 sheet(s) that are not hidden", "1 גיליונות גלויים")


@pytest.mark.parametrize("place", [(1_000_000, 60), (300_000, 16_000)])
def test_a_cell_far_from_the_table(tmp_path, place):
    def far(book):
        book.worksheets()[0].write_blank(*place, "", book.add_format({"bold": True}))

    book = xlsx_of([MEANS_HEADER, row()], then=far)
    assert len(book) < 10_000
    found = look(folder_of(tmp_path, {"m.xlsx": book}, **means("m.xlsx")))
    assert refused_with(found, T, "far from the table", "תא רחוק")


def test_a_sheet_of_many_rows_below_is_read_in_a_process_of_its_own(tmp_path):
    def far(book):
        book.worksheets()[0].write_blank(400_000, 20, "", book.add_format({"bold": True}))

    book = xlsx_of([MEANS_HEADER, row()], then=far)
    found = look(folder_of(tmp_path, {"m.xlsx": book}, **means("m.xlsx")))
    assert found.column(T, "score_mean") == [70]


@pytest.mark.parametrize("name", ["~$m.xlsx", "~$old m.xlsx"])
def test_what_lies_beside_an_open_workbook(tmp_path, name):
    files = {"m.xlsx": xlsx_of([MEANS_HEADER, row()]), name: b"\x04dana" + bytes(160)}
    found = look(folder_of(tmp_path, files, **means("*m.xlsx")))
    assert found.column(T, "score_mean") == [70]


@pytest.mark.parametrize(
    ("name", "content", "english", "hebrew"),
    [
        (
            "m.xlsx",
            b"\xef\xbb\xbf<!DOCTYPE html><html><table><tr><td>1</td></tr></table>",
            "HTML",
            "HTML",
        ),
        ("m.csv", b"<table><tr><td>900001</td></tr></table>", "HTML", "HTML"),
        ("m.xlsx", b"PK\x03\x04" + bytes(30) + b"means.csv", "zip", "zip"),
        ("m.csv", b"PK\x03\x04" + bytes(30) + b"a/b.csv", "zip", "zip"),
        (
            "m.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "password",
            "סיסמה",
        ),
        (
            "m.csv",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
            + bytes(99)
            + "EncryptedPackage".encode("utf-16-le"),
            "password",
            "סיסמה",
        ),
    ],
)
def test_what_is_no_table(tmp_path, name, content, english, hebrew):
    found = look(folder_of(tmp_path, {name: content}, **means(name)))
    assert refused_with(found, T, english, hebrew)


@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_a_subject_a_column(tmp_path, form):
    """Groups of columns become rows; a group is named in what is told of it."""
    header = ("סמל מוסד", "עברית ממוצע", "עברית נבחנים", "חשבון ממוצע", "חשבון נבחנים")
    lines = [header, ("900001", 70, 50, 61, 49), ("900002", 71, 40, 540, 40)]
    subjects = {"hebrew": "עברית", "math": "חשבון"}
    name = f"m.{form}"
    mapping = means(
        name,
        columns={"semel_mosad": "סמל מוסד"},
        constants={"scale_id": "INT", "grade": "כיתה ה'", "school_year": 'תשפ"ו'},
        unpivot={
            "column": "subject",
            "values": {
                subject: {"score_mean": f"{word} ממוצע", "tested_pupils": f"{word} נבחנים"}
                for subject, word in subjects.items()
            },
        },
    )
    content = xlsx_of(lines) if form == "xlsx" else csv_of(*lines)
    found = look(folder_of(tmp_path, {name: content}, **mapping))
    means_ = found.staged[T].select("semel_mosad", "grade", "school_year", "subject", "score_mean")
    assert sorted(means_.rows()) == [
        ("900001", 5, 2026, "hebrew", 70),
        ("900001", 5, 2026, "math", 61),
        ("900002", 5, 2026, "hebrew", 71),
    ]
    assert found.why(T) == {(3, "outside_scale")}
    assert found.aside["file_name"].str.contains("math").all()


@pytest.mark.parametrize("names", [("2025", "2026"), ("תשפ״ה", "2025-26")])
def test_a_sheet_a_year(tmp_path, names):
    sheets = [
        (name, [MEANS_HEADER, row(year=year, mean=year - 1955)])
        for name, year in zip(names, (2025, 2026), strict=True)
    ]
    mapping = means("m.xlsx", sheet="{school_year}")
    found = look(folder_of(tmp_path, {"m.xlsx": xlsx_of(*sheets)}, **mapping))
    assert found.column(T, "score_mean") == [70, 71]
    found = look(folder_of(tmp_path / "one", {"m.xlsx": xlsx_of(sheets[0])}, **mapping))
    assert refused_with(found, T, "no sheet '2026'", "אין בחוברת גיליון")


def test_several_sheets_of_one_workbook_by_several_mappings(tmp_path):
    header = tuple(name for name in MEANS_HEADER if name != "מקצוע")
    sheets = [
        (name, [header, ("900001", 2026, 5, mean, 50)])
        for name, mean in (("עברית", 70), ("חשבון", 61))
    ]
    columns = {name: head for name, head in MEANS.items() if name != "subject"}
    mappings = [
        means(
            "m.xlsx", sheet=name, columns=columns, constants={"scale_id": "INT", "subject": name}
        )[T]
        for name, _ in sheets
    ]
    found = look(folder_of(tmp_path, {"m.xlsx": xlsx_of(*sheets)}, **{T: mappings}))
    assert found.staged[T].select("subject", "score_mean").sort("subject").rows() == [
        ("hebrew", 70),
        ("math", 61),
    ]
    folder = folder_of(tmp_path / "twice", {"m.xlsx": xlsx_of(*sheets)}, **{T: [mappings[0]] * 2})
    city = load_sources(folder)
    with pytest.raises(CityError, match="more than one pattern"):
        read_source(city, T, [2026])


@pytest.mark.parametrize(
    ("header", "unit", "amount", "nis"),
    [
        ('משרד (אלפי ש"ח)', "thousand", 12555, 12555000),
        ("Ministry, thousand NIS", "thousand", 12555, 12555000),
        ('תקציב במיליוני ש"ח', "million", 12.5, 12500000),
        ('תקציב (אלפי ש"ח)', "nis", 12555000, 12555000),
    ],
)
def test_units_that_a_header_names(tmp_path, header, unit, amount, nis):
    names = ("סמל", "שנה", header, 'גפ"ן')
    columns = dict(
        zip(("semel_mosad", "school_year", "ministry_nis", "gefen_nis"), names, strict=True)
    )
    book = xlsx_of([names, ("900001", 2026, amount, 110000)])
    mapping = {"file": "m.xlsx", "format": "xlsx", "columns": columns}
    found = look(folder_of(tmp_path, {"m.xlsx": book}, **{M: mapping}))
    assert refused_with(found, M, "another unit", "יחידה אחרת")
    mapping["units"] = {"ministry_nis": unit}
    found = look(folder_of(tmp_path / "said", {"m.xlsx": book}, **{M: mapping}))
    assert found.column(M, "ministry_agorot") == [100 * nis]


@pytest.mark.parametrize(
    ("gefen", "reason"),
    [
        ("-14500", "implausible"),
        ("(14,500)", "implausible"),
        ("1E+07", "bad_type"),
        ("145000000", "implausible"),
        ("14,500.50", None),
    ],
)
def test_money_that_cannot_be(tmp_path, gefen, reason):
    names = ("סמל", "שנה", "משרד", "בסיס")
    columns = dict(
        zip(("semel_mosad", "school_year", "ministry_nis", "gefen_nis"), names, strict=True)
    )
    text = csv_of(
        names, ("900001", 2026, 12555000, f'"{gefen}"'), ("900002", 2026, 12555000, 110000)
    )
    mapping = {"file": "m.csv", "format": "csv", "columns": columns}
    found = look(folder_of(tmp_path, {"m.csv": text}, **{M: mapping}))
    assert found.why(M) == ({(2, reason)} if reason else set())


@pytest.mark.parametrize("text", ["5-Jan", "01/05/2026", "2026-01-05 00:00:00", "ינו-05"])
def test_classes_that_became_dates(tmp_path, text):
    files, mapping = pupils((900000012, 5, text, NO), (900000020, 5, "5-1", NO))
    found = look(folder_of(tmp_path, files, **mapping))
    assert found.why(P) == {(2, "implausible")}
    assert found.column(P, "class_id") == ["5-1"]


@pytest.mark.parametrize("mean", [0.5, 100.5])
def test_means_outside_their_scale(tmp_path, mean):
    text = csv_of(MEANS_HEADER, row(mean=mean), row("900002"))
    found = look(folder_of(tmp_path, {"m.csv": text}, **means("m.csv")))
    assert found.why(T) == {(2, "outside_scale")}


@pytest.mark.parametrize("code", ["0101", "101", "101.0", "000101"])
def test_statistical_areas_with_and_without_zeros(tmp_path, code):
    header = ("יישוב", "אזור", "אוכלוסייה", "ערך", "אשכול")
    names = ("locality_name", "stat_area", "population", "ses_value_cbs", "ses_cluster_cbs")
    columns = dict(zip(names, header, strict=True))
    mapping = {"file": "a.csv", "format": "csv", "columns": columns}
    files = {"a.csv": csv_of(header, ("אשקלון", code, 4000, 0.2, 5))}
    found = look(folder_of(tmp_path, files, context__stat_areas=mapping))
    assert found.column("context__stat_areas", "stat_area") == ["101"]


def test_a_small_file_that_unpacks_to_much_is_refused(tmp_path):
    book = xlsx_of([MEANS_HEADER, row()])
    many = "</row>" + " " * 300_000_000
    bomb = edited(book, "xl/worksheets/sheet1.xml", "</row>", many)
    assert len(bomb) < 1_000_000
    found = look(folder_of(tmp_path, {"m.xlsx": bomb}, **means("m.xlsx")))
    assert refused_with(found, T, "unpack to", "נפרש")


def test_broken_cells_are_found_in_a_table_that_does_not_begin_in_the_corner(tmp_path):
    pad = (None, None)
    lines = [
        (),
        (),
        (*pad, *MEANS_HEADER),
        (*pad, *row(mean=("=1/0", "#DIV/0!"))),
        (*pad, *row("900002", mean=("=35*2", 70))),
        (*pad, *row("900003")),
    ]
    book = xlsx_of(lines)
    content = edited(book, "xl/worksheets/sheet1.xml", r"(</f>)<v>70</v>", r"\g<1>")
    found = look(folder_of(tmp_path, {"m.xlsx": content}, **means("m.xlsx", header_row=3)))
    assert found.why(T) == {(4, "error_cell"), (5, "error_cell")}
    assert found.column(T, "score_mean") == [70]


@pytest.mark.parametrize("prefix", ["x:", ""])
def test_a_sheet_in_another_way_of_writing_is_read_guarded(tmp_path, prefix):
    """Some programmes write the parts of a sheet with a prefix, or a cell's place last."""
    book = xlsx_of([MEANS_HEADER, row()])
    sheet = "xl/worksheets/sheet1.xml"
    if prefix:
        content = edited(book, sheet, r"<(/?)(?!\?)(\w)", rf"<\1{prefix}\2")
        content = edited(content, sheet, 'xmlns="', 'xmlns:x="')
    else:
        content = edited(book, sheet, r'<c (r="\w+") (t="s")', r"<c \2 \1")
    found = look(folder_of(tmp_path, {"m.xlsx": content}, **means("m.xlsx")))
    assert T in found.refused or found.column(T, "score_mean") == [70]
