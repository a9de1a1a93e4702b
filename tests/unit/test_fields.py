"""The dictionary: every column once, and nothing undescribed."""

import pytest

from pipelines.settings.fields import dictionary, load


def write(tmp_path, text):
    path = tmp_path / "fields.yaml"
    path.write_text(text, encoding="utf-8")
    return path


FIELD = "  a: {type: VARCHAR, unit: text, he: א, en: A, description: d, privacy: public}\n"


def test_every_field_is_used_and_labelled_in_both_languages():
    known = dictionary()
    used = {c for table in known.tables.values() for c in (*table.columns, *table.contract)}
    assert set(known.fields) == used
    for field in known.fields.values():
        assert field.he
        assert field.en
        assert any("א" <= letter <= "ת" or letter in "γn" for letter in field.he), field.name


def test_units_in_names_agree_with_units():
    endings = {"_agorot": "agorot", "_pct": "percent", "_nis": "NIS"}
    for field in dictionary().fields.values():
        for ending, unit in endings.items():
            if field.name.endswith(ending):
                assert field.unit.startswith(unit), field.name
        if field.name.startswith(("is_", "has_")):
            assert field.type == "BOOLEAN", field.name


def test_no_bare_rank():
    fields = dictionary().fields
    points = [name for name in fields if name.endswith("rank")]
    assert {f"{name}_{end}" for name in points for end in ("lo", "hi")} <= set(fields)
    for table in dictionary().tables.values():
        for name in set(points) & set(table.columns):
            assert {f"{name}_lo", f"{name}_hi"} <= set(table.columns), table.name


def test_a_column_in_no_dictionary_is_refused(tmp_path):
    path = write(
        tmp_path, f"fields:\n{FIELD}tables:\n  core_x: {{row: r, key: [a], columns: a b}}\n"
    )
    with pytest.raises(ValueError, match=r"core_x.*no dictionary.*'b'"):
        load(path)


def test_a_key_outside_the_table_is_refused(tmp_path):
    path = write(tmp_path, f"fields:\n{FIELD}tables:\n  core_x: {{row: r, key: [z], columns: a}}\n")
    with pytest.raises(ValueError, match="key or reference columns"):
        load(path)


def test_unknown_source_names_the_known_ones():
    with pytest.raises(KeyError, match="register__schools"):
        dictionary().contract("nonsense")


ROLES = (
    "fields:\n"
    "  role: {type: VARCHAR, unit: category, he: ת, en: R, description: d, allowed: [a, b],"
    " privacy: public}\n"
    "  role_family: {type: VARCHAR, unit: category, he: מ, en: F, description: d, allowed: [x, y],"
    " privacy: public}\n"
    "tables: {}\n"
)


@pytest.mark.parametrize(
    "families",
    ["{x: [a], y: [a, b]}", "{x: [a], y: []}", "{x: [a, b]}", "{x: [a], y: [b], z: []}"],
)
def test_a_role_stands_in_one_family_and_no_other(tmp_path, families):
    with pytest.raises(ValueError, match="every role must stand in one family"):
        load(write(tmp_path, f"{ROLES}families: {families}\n"))
    assert load(write(tmp_path, f"{ROLES}families: {{x: [a], y: [b]}}\n")).families == {
        "x": ("a",),
        "y": ("b",),
    }
