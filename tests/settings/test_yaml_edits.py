"""Settings are changed and what people wrote beside them stays."""

from copy import deepcopy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.settings.yaml_edits import edited
from tests.examples import examples

TEXT = """\
# Our town.

city: {id: town, name_he: 'עיר'}  # as the council calls it
school_years:
  first: 2025
  last: 2026  # the last
  # the treasurer keeps older ones

# Subjects that are taught.
subjects: [math]
sources:
  # the register comes from the ministry
  register__schools:
    file: a.xlsx  # sheet of October
    columns:
      semel_mosad: 'סמל מוסד'
      # without the annex
      pupils: "מס' תלמידים"
  # tests
  tests__school_means:
  - file: t1.xlsx
    sheet: '1'
  # the second sheet was renamed
  - file: t1.xlsx
    sheet: '2'
# the end
"""
HELD = yaml.safe_load(TEXT)


def changed(change):
    wanted = deepcopy(HELD)
    change(wanted)
    text = edited(TEXT, HELD, wanted)
    assert yaml.safe_load(text) == wanted
    return text


def remarks(text):
    return [line.partition("#")[2].strip() for line in text.splitlines() if "#" in line]


def test_what_is_equal_is_left_alone():
    assert edited(TEXT, HELD, deepcopy(HELD)) == TEXT


def test_every_remark_stays_before_what_it_stood_before():
    def change(held):
        held["school_years"]["last"] = 2027
        held["subjects"] = ["english", "math"]
        held["sources"]["register__schools"] = [
            held["sources"]["register__schools"],
            {"file": "b.xlsx", "constants": {"school_year": "2027"}},
        ]
        held["sources"]["tests__school_means"].append({"file": "t2.xlsx"})
        held["sources"]["voice__cards"] = {"form": "cards.xlsx"}

    text = changed(change)
    assert remarks(text) == remarks(TEXT)
    lines = text.splitlines()
    for remark, below in (
        ("# Subjects that are taught.", "subjects: [english, math]"),
        ("  # tests", "  tests__school_means:"),
        ("  # the second sheet was renamed", "  - file: t1.xlsx"),
    ):
        assert lines[lines.index(remark) + 1] == below
    assert lines[-1] == "# the end"
    assert "last: 2027  # the last" in text
    assert "file: a.xlsx  # sheet of October" in text
    assert "school_year: '2027'" in text  # a text that looks like a number keeps its quotes


def test_what_is_gone_takes_no_remark_of_others_with_it():
    def change(held):
        del held["school_years"]
        del held["sources"]["register__schools"]
        held["sources"]["tests__school_means"].insert(0, {"file": "t0.xlsx"})

    text = changed(change)
    for remark in ("Our town.", "Subjects that are taught.", "the second sheet was renamed"):
        assert remark in remarks(text)


def test_texts_that_look_like_something_else_are_quoted():
    def change(held):
        held["codes"] = {"a": "0123", "b": "yes", "c": "1:30", "d": "2026-01-01", "e": "null"}

    assert "b: 'yes'" in changed(change)


def test_only_a_mapping_is_a_settings_file():
    with pytest.raises(TypeError):
        edited("- 1\n", [1], {"a": 1})


_VALUES = st.recursive(
    st.one_of(st.integers(0, 9), st.sampled_from(["א", "yes", "01", "x: y", "#", ""])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=8,
)
_FILES = st.dictionaries(st.sampled_from("abcd"), _VALUES, min_size=1, max_size=4)


@settings(deadline=None, max_examples=examples(150))
@given(_FILES, _FILES)
def test_the_file_holds_what_it_is_to_hold(held, wanted):
    text = "# above\n" + yaml.safe_dump(held, allow_unicode=True, sort_keys=False)
    assert yaml.safe_load(edited(text, held, wanted)) == wanted
