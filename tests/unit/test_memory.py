"""What a step made is taken up only where rows, settings and code are the same, and whole."""

import polars as pl
import pytest
from pydantic import BaseModel

from models.allocation.solve import clock
from pipelines.settings.city import load_city
from pipelines.settings.content import content_of
from pipelines.settings.seen import Watched, is_as_seen
from pipelines.warehouse import memory as remembering
from pipelines.warehouse.memory import Memory

GIVEN = {"one": pl.DataFrame({"a": [1, 2], "b": ["x", None]})}


@pytest.fixture
def city(small_city):
    return load_city(small_city)


class Step:
    """A step that counts how often it is computed."""

    def __init__(self, read=lambda city: city.policy.equity_gamma.value):
        self.times, self.read = 0, read

    def __call__(self, city, given):
        self.times += 1
        return {"made": given["one"].with_columns(read=pl.lit(str(self.read(city))))}


def tables_of(memory, *asked, **how):
    """What is made or remembered, without what was read for it."""
    return memory.made(*asked, **how)[0]


def otherwise(city, value):
    gamma = city.policy.equity_gamma.model_copy(update={"value": value})
    policy = city.policy.model_copy(update={"equity_gamma": gamma})
    return city.model_copy(update={"policy": policy})


def test_the_same_is_made_once(tmp_path, city):
    step, memory = Step(), Memory(tmp_path)
    first = tables_of(memory, "step", city, GIVEN, step)
    again = tables_of(memory, "step", city, {"one": GIVEN["one"].clone()}, step)
    assert step.times == 1
    assert again["made"].equals(first["made"])
    assert again["made"].schema == first["made"].schema
    tables_of(memory, "step", city, GIVEN, step, is_anew=True)
    assert step.times == 2


def test_other_rows_types_settings_or_code_are_made_again(tmp_path, city, monkeypatch):
    step, memory = Step(), Memory(tmp_path / "rows")
    tables_of(memory, "step", city, GIVEN, step)
    rows = GIVEN["one"]
    for other in (
        rows.with_columns(a=pl.Series([1, 3])),
        rows.with_columns(pl.col("a").cast(pl.Int32)),
        rows.reverse(),
        rows.rename({"a": "c"}),
    ):
        times = step.times
        tables_of(memory, "step", city, {"one": other}, step)
        assert step.times == times + 1
    changed, memory = otherwise(city, 3.25), Memory(tmp_path / "settings")
    tables_of(memory, "step", city, GIVEN, step)
    assert tables_of(memory, "step", changed, GIVEN, step)["made"]["read"][0] == "3.25"
    times = step.times
    assert tables_of(memory, "step", city, GIVEN, step)["made"]["read"][0] != "3.25"
    assert tables_of(memory, "step", changed, GIVEN, step)["made"]["read"][0] == "3.25"
    assert step.times == times  # both are remembered
    monkeypatch.setattr(remembering, "code", lambda: b"other code")
    tables_of(memory, "step", city, GIVEN, step)
    assert step.times == times + 1


def test_what_is_not_read_changes_nothing(tmp_path, city):
    step, memory = Step(read=lambda city: city.policy.need_offset.value), Memory(tmp_path)
    tables_of(memory, "step", city, GIVEN, step)
    tables_of(memory, "step", otherwise(city, 3.25), GIVEN, step)
    assert step.times == 1


def test_a_method_reads_the_whole_part_and_a_folder_is_not_remembered(tmp_path, city):
    whole, memory = Step(read=lambda city: len(city.policy.model_dump())), Memory(tmp_path)
    tables_of(memory, "whole", city, GIVEN, whole)
    tables_of(memory, "whole", otherwise(city, 3.25), GIVEN, whole)
    assert whole.times == 2
    files = Step(read=lambda city: (city.folder / "policy.yaml").read_text(encoding="utf-8")[:9])
    tables_of(memory, "files", city, GIVEN, files)
    tables_of(memory, "files", city, GIVEN, files)
    assert files.times == 2


def test_what_the_clock_cut_short_is_not_kept(tmp_path, city):
    def cut(city):
        left = clock.countdown(-1.0)
        return left() < 0

    step, memory = Step(read=cut), Memory(tmp_path)
    tables_of(memory, "step", city, GIVEN, step)
    tables_of(memory, "step", city, GIVEN, step)
    assert step.times == 2


@pytest.mark.parametrize("damage", ["cut", "other", "gone", "note"])
def test_a_damaged_file_is_no_result(tmp_path, city, damage):
    step, memory = Step(), Memory(tmp_path)
    tables_of(memory, "step", city, GIVEN, step)
    (rows,), (note,) = tmp_path.rglob("*.arrow"), tmp_path.rglob("*.json")
    match damage:
        case "cut":
            rows.write_bytes(rows.read_bytes()[:-40])
        case "other":
            other = {"made": GIVEN["one"].with_columns(read=pl.lit("9"))}["made"]
            other.write_ipc(rows)
        case "gone":
            rows.unlink()
        case "note":
            note.write_bytes(note.read_bytes()[:-7])
    tables_of(memory, "step", city, GIVEN, step)
    assert step.times == 2
    tables_of(memory, "step", city, GIVEN, step)
    assert step.times == 2


def test_the_last_few_are_kept(tmp_path, city):
    step, memory = Step(), Memory(tmp_path)
    for number in range(9):
        tables_of(memory, "step", city, {"one": pl.DataFrame({"a": [number]})}, step)
    assert len(list(tmp_path.rglob("*.json"))) == remembering._KEPT


def test_a_watched_city_is_the_city(city):
    watched = Watched(city)
    assert isinstance(watched, type(city))
    assert watched.policy.equity_gamma.value == city.policy.equity_gamma.value
    assert watched.seen.keys() == {".policy.equity_gamma.value"}
    assert is_as_seen(city, watched.seen)
    assert not is_as_seen(otherwise(city, 3.25), watched.seen)
    assert not is_as_seen(city, {".policy.nothing": "0"})
    assert watched.policy.responses == city.policy.responses
    assert list(watched.policy) == list(city.policy)
    assert hash(watched.city.scope) == hash(city.city.scope)


def test_content_is_of_rows_and_not_of_how_they_are_held():
    whole = pl.DataFrame(
        {"a": [1, 2, 3], "b": ["x", "yy", None], "c": [True, None, False], "d": [0.5, None, 2.0]}
    )
    parted = pl.concat([whole[:1], whole[1:]], rechunk=False)
    assert content_of(whole) == content_of(parted)
    assert content_of(whole) == content_of(pl.concat([whole, whole])[3:])


def test_what_a_property_reads_is_seen_and_nothing_beside():
    class Part(BaseModel):
        value: int

    class Whole(BaseModel):
        part: Part
        other: int

        @property
        def doubled(self):
            return 2 * self.part.value

    watched = Watched(Whole(part=Part(value=2), other=1))
    assert watched.doubled == 4
    assert set(watched.seen) == {".part.value"}
    assert is_as_seen(Whole(part=Part(value=2), other=9), watched.seen)
    assert not is_as_seen(Whole(part=Part(value=3), other=1), watched.seen)
