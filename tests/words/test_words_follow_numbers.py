"""Words follow numbers: no page contradicts another, and none the data (R124)."""

import dataclasses

import pytest

from tests.words.checks import faults, numbers
from tests.words.concepts import CONCEPTS
from tests.words.falsify import falsehoods
from tests.words.reading import read_release
from tests.words.studio import studio_text


@pytest.fixture(scope="module")
def release(small_city, published):
    said = published.call().stdout  # nothing is due: it only tells what is published
    return read_release(published.current, said, studio_text(published.current))


def test_no_word_contradicts_a_number(release):
    assert faults(release) == []


def test_the_same_concepts_are_asked_of_every_city(release):
    names = [concept.name for concept in CONCEPTS]
    assert len(set(names)) == len(names) >= 40
    told = [concept for concept in CONCEPTS if concept.reckon(release.tables) is not None]
    assert len(told) >= 40


def test_every_falsehood_is_found(release):
    tried = list(falsehoods(release))
    assert len({falsehood.name for falsehood in tried}) >= 30
    assert [(one.name, one.place) for one in tried if not one.faults] == []


def test_a_concept_that_nobody_tells_is_a_fault(release):
    silent = dataclasses.replace(release, markup={}, others={})
    found = list(numbers(silent))
    assert len(found) >= 40
    assert all("told nowhere" in fault for fault in found)
