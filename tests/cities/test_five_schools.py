"""A town of five schools from its own Excel files: the answers are kept here and replayed."""

import polars as pl
import pytest
import yaml

from pipelines.commands.check import main as check
from pipelines.commands.new_city import main as new_city
from pipelines.settings.city import load_city
from tests.cities.first_day import ANSWERS, first_day
from tests.cities.five_schools import HEBREW_YEAR, PROGRAMMES, SCHOOLS, write_year
from tests.runs import place_at

MOST_OPEN = 5


def test_nobody_is_asked_more_than_five_things(tmp_path, capsys):
    folder = tmp_path / "givat_alonim"
    for year in (2025, 2026):
        write_year(folder / "files", year)
    assert new_city([str(folder)]) == 1  # nobody there to answer
    said = capsys.readouterr().out
    asked = yaml.safe_load(ANSWERS.read_text(encoding="utf-8"))
    assert f"{len(asked)} question(s), {len(asked)} open" in said
    assert len(asked) <= MOST_OPEN
    for question in asked:
        assert f"{question}:" in said
    # What lies there is told, and so is what is missing for which result.
    assert "מבחני סוף שנה 2026.xlsx → tests__school_means" in said
    assert "absence: attendance__pupil_years" in said


def test_what_is_drafted_is_what_the_files_say(town):
    city = load_city(town)
    assert city.city.city.name_he == "גבעת אלונים"
    years = city.city.school_years
    assert (years.first, years.last, years.reference) == (2025, 2026, 2026)
    assert city.policy.planning_year.value == 2027
    assert city.city.subjects == ("english", "hebrew", "math")
    assert set(city.policy.responses) == {"milat", "rvadim", "perach", "amirim"}
    # 60 percent of what the budget file holds, in thousands there; the orchestra is no response.
    money = sum(len(at) * n for name, (at, _, n) in PROGRAMMES.items() if "תזמורת" not in name)
    budget = city.policy.channels["municipal_own"].budget
    assert budget.value == pytest.approx(money * 600, abs=2)
    assert "תקציב תוכניות תשפו.xlsx" in budget.source
    registers = city.city.sources["register__schools"]
    assert [one.constants["school_year"] for one in registers] == ["2025", "2026"]
    assert {one.constants["education_stage"] for one in registers} == {"elementary"}
    budgets = city.city.sources["finance__budget_lines"]
    assert {unit for one in budgets for unit in one.units.values()} == {"thousand"}
    tests = city.city.sources["tests__school_means"][0]
    assert set(tests.unpivot.values) == {"math", "hebrew", "english"}
    assert tests.header_rows == 2


def test_each_decision_says_its_meaning_its_source_and_its_reason(town):
    text = (town / "policy.yaml").read_text(encoding="utf-8")
    held = yaml.safe_load(text)
    for name in held:
        above = text.split(f"\n{name}:")[0].splitlines()[-1]
        assert above.startswith("# "), name
        assert any("א" <= letter <= "ת" for letter in above), name
    assert held["equity_gamma"]["source"] == "assumed"
    weights = held["need"]["indicators"].values()
    assert sum(one["weight_pct"]["value"] for one in weights) == 100


def test_a_second_run_changes_nothing(copy):
    before = {path.name: path.read_bytes() for path in copy.glob("*.yaml")}
    assert set(before) == {"answers.yaml", "city.yaml", "policy.yaml"}
    assert new_city([str(copy)]) == 0
    assert {path.name: path.read_bytes() for path in copy.glob("*.yaml")} == before


def test_what_people_settled_stays(copy):
    path = copy / "policy.yaml"
    text = path.read_text(encoding="utf-8").replace(
        "equity_gamma: {value: 1.0", "equity_gamma: {value: 1.5"
    )
    path.write_text(text, encoding="utf-8")
    city = copy / "city.yaml"
    changed = city.read_text(encoding="utf-8").replace("name_en: givat_alonim", "name_en: Oak Hill")
    city.write_text(changed, encoding="utf-8")
    write_year(copy / "files", 2027)
    assert new_city([str(copy)]) == 0
    assert path.read_text(encoding="utf-8") == text
    held = load_city(copy)
    assert held.policy.equity_gamma.value == 1.5
    assert held.city.city.name_en == "Oak Hill"
    assert held.city.school_years.last == 2027


def test_the_next_year_asks_nothing(copy, capsys):
    kept = (copy / "answers.yaml").read_bytes()
    write_year(copy / "files", 2027)
    assert new_city([str(copy)]) == 0
    assert " 0 open" in capsys.readouterr().out
    assert (copy / "answers.yaml").read_bytes() == kept
    city = load_city(copy)
    assert city.policy.planning_year.value == 2028
    for source_id, mappings in city.city.sources.items():
        years = {one.constants["school_year"] for one in mappings}
        assert years == {"2025", "2026", "2027"}, source_id


def test_only_what_changed_is_asked(copy, capsys):
    called = HEBREW_YEAR[2027]
    short = called.replace('"', "")
    title = f"תקציב תוכניות לשנת {called}"
    changed = {"מס' תלמידים": "סך לומדים", f'{title} (באלפי ש"ח)': f'{title} (בש"ח)'}
    write_year(copy / "files", 2027, changed)
    assert new_city([str(copy)]) == 1
    said = capsys.readouterr().out
    asked = [
        line.strip() for line in said.splitlines() if line.startswith("  ") and line.endswith(":")
    ]
    assert asked == [
        "register__schools/columns/pupils/מס' תלמידים:",
        f"finance__budget_lines/units/plan_nis/תקציב תוכניות {short}.xlsx:",
        f"finance__budget_lines/units/actual_nis/תקציב תוכניות {short}.xlsx:",
    ]
    given = yaml.safe_dump({one.removesuffix(":"): "nis" for one in asked[1:]}, allow_unicode=True)
    replies = copy / "more.yaml"
    replies.write_text(given + f'"{asked[0].removesuffix(":")}": סך לומדים\n', encoding="utf-8")
    assert new_city([str(copy), "--answers", str(replies)]) == 0
    city = load_city(copy).city
    assert city.sources["register__schools"][-1].columns["pupils"] == "סך לומדים"
    assert city.sources["register__schools"][0].columns["pupils"] == "מס' תלמידים"
    assert city.sources["finance__budget_lines"][-1].units == {}


def test_check_passes_and_says_what_few_schools_mean(town, capsys):
    assert check([str(town)]) == 0
    said = capsys.readouterr().out
    assert "policy.yaml:1: 5 schools are too few" in said
    assert "5 בתי ספר הם מעט" in said


def expect_published(place, planned):
    """The current release plans that year, with money, for the five schools."""
    lines = pl.read_parquet(place.current / "analyst" / "mart_work_plan.parquet")
    assert set(lines["school_year"]) == {planned}
    assert lines["cost_agorot"].sum() > 0
    need = pl.read_parquet(place.current / "analyst" / "mart_need_index.parquet")
    assert set(need["semel_mosad"]) == {str(school[0]) for school in SCHOOLS}
    assert (place.current / "committee" / "index.html").is_file()


@pytest.mark.slow  # the first year is published by the commands of the guide (test_guide.py)
def test_it_is_published_in_both_years(tmp_path):
    """From the files and the answers to a release, and a year later to the next one."""
    place = place_at(tmp_path, "givat_alonim")
    first_day(place.raw)
    for planned in (2027, 2028):
        if planned == 2028:
            write_year(place.raw / "files", 2027)
            assert new_city([str(place.raw)]) == 0
        done = place.run()
        assert done.returncode == 0, done.stdout + done.stderr
        expect_published(place, planned)
