"""Counts in Hebrew sentences."""

import pytest

from models.hebrew import counted


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 צעדים"), (1, "צעד אחד"), (2, "2 צעדים"), (1234, "1,234 צעדים")],
)
def test_one_is_a_word_and_its_noun_is_singular(count, said):
    assert counted(count, "צעד אחד", "צעדים") == said
