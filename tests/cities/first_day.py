"""The first day of the town of five schools: its files, the answers kept, and the draft."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from pipelines.commands.new_city import main as new_city
from tests.cities.five_schools import HEBREW_YEAR, SCHOOLS, Sheet, write_year
from tests.conftest import QUICK_ACCOUNT

ANSWERS = Path(__file__).with_name("five_schools.answers.yaml")
FORESEEN = {412316: 500, 412324: 250, 413148: 238, 413520: 360}  # the last school sent none
PROGRAMME = "responses/תזמורת עירונית"
"""The question about the programme of the town's own, which no catalogue has."""
FILLED_IN = {
    "goal": "g03",
    "response_class": "other_fields",
    "action_channel": "educational_programs",
    "horizon": "long",
    "registered_on": "2026-11-30",
}
"""What a draft leaves open of it, as the town decides."""


def write_forecast(folder: Path, rows: Iterable[tuple] = tuple(FORESEEN.items())) -> None:
    """Write the forecast of 2027: codes of schools and their pupils."""
    called = HEBREW_YEAR[2027]
    page = Sheet(folder / "תחזית.xlsx", f"תחזית רישום לשנת הלימודים {called}", {})
    page.add("סמל מוסד", "שם בית ספר", "צפי תלמידים", "תאריך תחזית")
    names = {school[0]: school[1] for school in SCHOOLS}
    for code, pupils in rows:
        page.add(code, names.get(code, ""), pupils, "10/05/2026")
    page.book.close()


def first_day(folder: Path, *, with_forecast: bool = False) -> Path:
    """Write the files of two years, and draft the town's settings."""
    for year in (2025, 2026):
        write_year(folder / "files", year)
    if with_forecast:
        write_forecast(folder / "files")
    assert new_city([str(folder), "--answers", str(ANSWERS)]) == 0
    return folder


def answer(folder: Path, reply: str) -> int:
    """Draft with an answer about the town's own programme; return what the command returns."""
    given = yaml.safe_load(ANSWERS.read_text(encoding="utf-8")) | {PROGRAMME: reply}
    path = folder.parent / "given.yaml"
    path.write_text(yaml.safe_dump(given, allow_unicode=True), encoding="utf-8")
    return new_city([str(folder), "--answers", str(path)])


def fill_in(folder: Path, served: str = "0.1") -> None:
    """Decide what the draft leaves open of the town's own programme."""
    path = folder / "policy.yaml"
    text = path.read_text(encoding="utf-8")
    for key, value in FILLED_IN.items():
        assert f"    {key}: '?'" in text
        text = text.replace(f"    {key}: '?'", f"    {key}: {value}")
    path.write_text(text.replace("{value: '?'", f"{{value: {served}"), encoding="utf-8")


def account_quickly(folder: Path) -> None:
    """Let a run of the town account for its plan on fewer draws."""
    with (folder / "policy.yaml").open("a", encoding="utf-8") as policy:
        policy.write(QUICK_ACCOUNT)
