"""Any declared formula from the command line, and the formula of a city, part by part."""

from __future__ import annotations

import re
from types import SimpleNamespace

import polars as pl
import pytest

from pipelines.commands.share_by_formula import main
from pipelines.decide.formula import formula
from pipelines.settings.city import CityError
from pipelines.settings.formula import declaration

CITED = {"source": "test", "reason": "test"}
DECLARED = """
base:
  pot: {channel: municipal_own}
  points: [{weights: {pupils: 1}, source: test, reason: test}]
  floors: [{agorot: 40000, source: test, reason: test}]
extra:
  pot: {agorot: {value: 999, unit: agorot, source: test, reason: test}}
  points: [{weights: {pupils: 1}, times: [need], source: test, reason: test}]
"""
ROWS = "semel_mosad,pupils,need\n010,1,0.5\n020,3,0.5\n030,6,1\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "declared.yaml").write_text(DECLARED, encoding="utf-8")
    (tmp_path / "rows.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path


def run(files, *more):
    return main([str(files / "declared.yaml"), str(files / "rows.csv"), *more])


def test_parts_limits_and_leading_zeros(files, capsys):
    assert run(files, "--pot", "1500") == 0
    found = pl.read_csv(files / "rows.formula.csv", schema_overrides={"semel_mosad": pl.String})
    base = found.filter(formula_part="base")
    assert base["semel_mosad"].to_list() == ["010", "020", "030"]
    # At one level the second would have 367 of the 1,100 NIS left, below its floor too.
    assert base["amount_agorot"].to_list() == [40_000, 40_000, 70_000]
    assert base["bound"].to_list() == ["floor", "floor", None]
    assert found.filter(formula_part="extra")["amount_agorot"].sum() == 999
    said = capsys.readouterr().out
    assert "base: 1,500.00 shared" in said
    assert "0.00 left by rounding" in said


def test_a_channel_s_pot_must_be_said(files, capsys):
    assert run(files) == 1
    said = capsys.readouterr().out
    assert "municipal_own" in said
    assert "יש לציין אותו בשקלים" in said


def test_parquet_gives_the_same(files):
    assert run(files, "--pot", "1500", "--out", str(files / "one.csv")) == 0
    rows = pl.read_csv(files / "rows.csv", schema_overrides={"semel_mosad": pl.String})
    rows.sample(fraction=1, shuffle=True, seed=1).write_parquet(files / "rows.parquet")
    out = str(files / "two.csv")
    assert (
        main(
            [
                str(files / "declared.yaml"),
                str(files / "rows.parquet"),
                "--pot",
                "1500",
                "--out",
                out,
            ]
        )
        == 0
    )
    assert (files / "one.csv").read_bytes() == (files / "two.csv").read_bytes()


def test_fundeb_from_the_command(shared_data, tmp_path, capsys):
    """Brazil's printed floor and every top-up of the second part, by the command alone."""
    folder = shared_data / "reference/fundeb_2024"

    def read(name):
        return pl.read_csv(folder / f"{name}.csv", infer_schema_length=None)

    def centavos(column):
        return (100 * pl.col(column)).round().cast(pl.Int64)

    read("matriculas").join(read("complementar"), on="ibge").with_columns(
        is_eligible_vaat=~pl.col("inabilitados_vaat"),
    ).write_parquet(tmp_path / "networks.parquet")
    declared = "tests/formula/fundeb_2024.yaml"
    assert main([declared, str(tmp_path / "networks.parquet"), "--key", "ibge"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"vaaf: .* 5,361\.43 a point", said)
    assert re.search(r"vaat: .* 8,420\.96 a point; 2,172 of 5,595 units", said)
    found = pl.read_csv(tmp_path / "networks.formula.csv", infer_schema_length=None).filter(
        formula_part="vaat"
    )
    printed = read("cenario_atual").select("ibge", printed=centavos("complemento_vaat"))
    both = found.join(printed, on="ibge")
    assert both.height == 5_595
    assert (both["amount_agorot"] - both["printed"]).abs().max() <= 1


PLAIN = """
by_pupils:
  pot: {agorot: {value: 1000, unit: agorot, source: test, reason: test}}
  points: [{weights: {pupils: 1}, source: test, reason: test}]
"""


@pytest.mark.parametrize(
    ("rows", "en", "he"),
    [
        ("010,1\n 010 ,3\n", "row 2, 3: one unit stands in several rows", "אותה יחידה"),
        ("010,1\n10,3\n", "row 2, 3: one unit stands in several rows", "אותה יחידה"),
        ("900001,1\n12345,3\n", "row 3: .*leading zeros seem lost", "אבדו אפסים"),
        ("010,1\n,3\n", "row 3: semel_mosad is empty", "ריק"),
        ("010,nan\n020,3\n", "pupils: must be numbers.*010", "נדרשים מספרים"),
        ("010,inf\n020,3\n", "pupils: must be numbers.*010", "נדרשים מספרים"),
        ("010,-4\n020,3\n", "pupils: .*zero or more.*010", "שלילי"),
        ("010,\n020,3\n", "pupils: .*empty at 010", "ריק"),
        ("010,1\n020,3\n030,6\n999,10\n", "row 5: it is the sum of all other rows", "סכום"),
    ],
)
def test_a_bad_table_is_refused_with_the_row(tmp_path, capsys, rows, en, he):
    (tmp_path / "declared.yaml").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "rows.csv").write_text("semel_mosad,pupils\n" + rows, encoding="utf-8")
    assert main([str(tmp_path / "declared.yaml"), str(tmp_path / "rows.csv")]) == 1
    said = capsys.readouterr().out
    assert re.search(en, said), said
    assert he in said
    assert not (tmp_path / "rows.formula.csv").exists()


def test_a_line_of_total_and_a_broken_one_are_set_aside_and_told(tmp_path, capsys):
    """The total is no unit that gets half the pot; numbers are read as in a city's files."""
    (tmp_path / "declared.yaml").write_text(PLAIN, encoding="utf-8")
    text = 'semel_mosad,pupils\n010,"1,000"\n020,3000\n030,1,2\nסה"כ,4000\n'
    (tmp_path / "rows.csv").write_text(text, encoding="cp1255")
    assert main([str(tmp_path / "declared.yaml"), str(tmp_path / "rows.csv")]) == 0
    said = capsys.readouterr().out
    assert "row 5 set aside: a total row" in said
    assert "row 4 set aside: it does not fit the header" in said
    found = pl.read_csv(tmp_path / "rows.formula.csv", schema_overrides={"semel_mosad": pl.String})
    assert found["amount_agorot"].to_list() == [250, 750]


def test_what_is_wrong_with_a_declaration_has_line_and_column(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("semel_mosad,pupils\n010,1\n", encoding="utf-8")
    for text, line, column, said_of in (
        (
            "a:\n  amount:\n    sum: [1, {ad: 2}]\n  source: s\n  reason: r\n",
            3,
            15,
            "'ad' is no op",
        ),
        ("a:\n  amount: {ratio: [pupils, 3]}\n  source: s\n  reason: r\n", 1, 1, "say how it is"),
    ):
        (tmp_path / "declared.yaml").write_text(text, encoding="utf-8")
        assert main([str(tmp_path / "declared.yaml"), str(tmp_path / "rows.csv")]) == 1
        said = capsys.readouterr().out
        assert re.search(rf"line {line}, column {column}: a.*{said_of}", said), said
        assert f"(שורה {line}, עמודה {column})" in said


def city(stated, budget=1_000):
    parts = declaration.validate_python(stated)
    channel = SimpleNamespace(budget=SimpleNamespace(value=budget))
    return SimpleNamespace(
        policy=SimpleNamespace(formula=parts, channels={"municipal_own": channel})
    )


def tables():
    return {
        "mart_need_index": pl.DataFrame(
            {"semel_mosad": ["1", "2"], "pupils": [100, 100], "need": [0.2, 0.8]}
        ),
        "core_school_year": pl.DataFrame(
            [("1", 2025, 90, 1), ("1", 2026, 95, 70_000), ("2", 2026, 105, 10_000)],
            schema=["semel_mosad", "school_year", "pupils", "ministry_agorot"],
            orient="row",
        ),
        "mart_last_plan": pl.DataFrame({"semel_mosad": ["1"], "last_year_agorot": [80_000]}),
    }


def part(**more):
    return {
        "pot": {"channel": "municipal_own"},
        "points": [{"weights": {"pupils": 1.0}, **CITED}],
    } | more


def parameter(value):
    return {"value": value, "unit": "percent", **CITED}


def test_a_city_s_guarantee_reads_last_year_s_money():
    stated = {"by_pupils": part(last_year="last_year_agorot", guarantee_pct=parameter(95))}
    found = formula(city(stated), tables())
    by_part = found["mart_allocation_formula_part"]
    assert by_part.select("semel_mosad", "formula_amount_agorot", "formula_bound").rows() == [
        ("1", 76_000, "guarantee"),
        ("2", 24_000, "level"),
    ]
    (pot,) = found["mart_allocation_formula_pot"].rows()
    assert pot == ("by_pupils", "pot", "agorot", 100_000, 240.0, None, 100_000.0, 0.0)


def test_a_city_raises_the_lowest_from_the_money_in_hand():
    """Both reach 900 NIS: 700 and 100 in hand by the latest year, and 1,000 to share."""
    stated = {"raise": part(in_hand="ministry_agorot"), "plain": part()}
    found = formula(city(stated), tables())
    by_part = found["mart_allocation_formula_part"]
    raised = by_part.filter(formula_part="raise")
    assert raised["formula_amount_agorot"].to_list() == [20_000, 80_000]
    assert found["mart_allocation_formula"]["formula_agorot"].to_list() == [70_000, 130_000]


def test_what_cannot_be_shared_is_told_in_hebrew_without_english():
    stated = {"by_pupils": part(floors=[{"agorot": 90_000, **CITED}])}
    with pytest.raises(CityError) as caught:
        formula(city(stated), tables())
    assert "800 NIS" not in caught.value.he
    assert "1,800 ₪, 800 ₪ יותר" in caught.value.he
    plain = caught.value.he.replace("policy.yaml: formula.by_pupils", "")
    assert not re.search("[A-Za-z]", plain)
