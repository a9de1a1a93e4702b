"""The data dictionary page: complete, true to what the reader does, and up to date."""

import re
from dataclasses import replace

import polars as pl
import pytest

from pipelines.publish.pages.dictionary import (
    PAGE,
    READS,
    example_of,
    reasons,
    render_dictionary,
)
from pipelines.settings.fields import dictionary
from pipelines.settings.mapping import SourceMapping
from pipelines.sources import normalise
from pipelines.sources.admission import admit

WORDS = dictionary()
IN_CONTRACTS = sorted(
    {name for source in WORDS.sources for name in WORDS.contract(source).contract}
)
MAPPING = SourceMapping(file="a.csv", format="csv", columns={})
_IS = {
    "VARCHAR": r".+",
    "INTEGER": r"-?\d+",
    "DOUBLE": r"-?\d+(\.\d+)?",
    "DECIMAL(18,2)": r"-?\d+(\.\d{1,2})?",
    "BOOLEAN": "true|false",
    "DATE": r"\d{4}-\d{2}-\d{2}",
}


@pytest.fixture(scope="module")
def text():
    return render_dictionary(WORDS)


def test_the_page_is_up_to_date(text):
    assert PAGE.read_text(encoding="utf-8") == text, (
        "docs/data_dictionary.md is stale: run `python -m pipelines.commands.dictionary`"
    )


def test_every_source_has_a_hebrew_name_and_every_table_a_place(text):
    assert all(map(WORDS.source_he, WORDS.sources)), (
        "name the new source with `he:` in sql/fields.yaml"
    )
    for source in WORDS.sources:
        assert f"### `{source}` · {WORDS.source_he(source)}" in text
    for table in WORDS.tables.values():
        assert table.layer == "staging" or f"### `{table.name}`" in text


def test_every_contract_column_stands_in_its_source_with_both_labels(text):
    for source in WORDS.sources:
        part = text.split(f'<a id="{source}"></a>')[1].split("<a id=")[0]
        for name in WORDS.contract(source).contract:
            field = WORDS.fields[name]
            row = next(line for line in part.splitlines() if line.startswith(f"| `{name}` |"))
            assert f"{field.he}<br>{field.en}" in row
            assert example_of(field).replace("|", "\\|") in row
            if field.allowed:
                values = next(
                    line for line in part.splitlines() if line.startswith(f"- `{name}` ·")
                )
                assert all(f"`{value}`" in values for value in field.allowed)


def test_spellings_are_shown_beside_the_value_they_mean(text):
    assert "`math` (מתמטיקה, חשבון)" in text
    assert 'ממ"ד' in text


def test_every_row_of_a_table_has_as_many_cells_as_its_header(text):
    width = 0
    for line in text.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if cells:
            assert width in (0, cells), line
        width = cells


@pytest.mark.parametrize("name", IN_CONTRACTS)
def test_an_example_passes_the_door(name):
    field = WORDS.fields[name]
    column, repairs = admit(pl.Series([example_of(field)]), field, MAPPING, is_synthetic=True)
    assert not repairs, "an example must name nobody and need no repair"
    read = column[0]
    assert re.fullmatch(_IS[field.type], read)
    if field.allowed:
        assert read in map(str, field.allowed)
    if field.pattern:
        assert re.fullmatch(field.pattern, read)
    if field.min is not None:
        assert float(read) >= field.min
    if field.max is not None:
        assert float(read) <= field.max


def test_the_example_of_a_pupil_id_belongs_to_nobody():
    digits = [
        int(digit) * (1 + place % 2)
        for place, digit in enumerate(WORDS.fields["pupil_hash"].example)
    ]
    assert sum(digit - 9 if digit > 9 else digit for digit in digits) % 10 != 0


def test_the_forms_said_to_be_read_are_read():
    readers = (
        normalise.whole_number,
        normalise.number,
        normalise.flag,
        lambda form: normalise.day(form, "dmy"),
        normalise.school_year,
    )
    for (kind, forms), reader in zip(READS, readers, strict=True):
        assert all(reader(form) is not None for form in forms), kind
    days = {normalise.day(form, "dmy") for form in dict(READS)["date · תאריך"]}
    assert days == {"2025-09-01"}
    assert {normalise.school_year(form) for form in READS[-1][1]} == {"2026"}


def test_reasons_are_those_of_the_quarantine():
    scores = reasons("tests__pupil_scores")
    assert scores["score"] == ["bad_type", "out_of_range", "outside_scale"]
    assert scores["pupil_hash"] == ["missing", "bad_pattern", "duplicate_key"]
    assert "unknown_reference" in scores["semel_mosad"]
    assert "unknown_reference" not in reasons("register__schools")["semel_mosad"]


def test_a_contract_column_without_an_example_is_named():
    field = replace(WORDS.fields["score"], example=None)
    with pytest.raises(ValueError, match=r"'score'.*add `example:`"):
        example_of(field)
