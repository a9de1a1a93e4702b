"""The command an analyst runs before a criterion is changed."""

from unittest.mock import patch

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.commands.what_if import main
from pipelines.diagnose.what_if import hide_few


def test_counts_by_group_before_and_after(published, capsys):
    with patch.dict("os.environ", published.env):
        assert main(["demo_city", "amirim", "--threshold", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "identified_before" in said
    assert "decile_8_10" in said


def test_a_criterion_without_a_measure_says_what_to_do(published, capsys):
    with patch.dict("os.environ", published.env):
        assert main(["demo_city", "leadership", "--threshold", "1"]) == 2
        assert "bound to no measure" in capsys.readouterr().out
        assert main(["demo_city", "nonsense", "--threshold", "1"]) == 2
    assert "those that do: amirim" in capsys.readouterr().out


COUNTS = ("identified_before", "identified_after", "gained", "lost")
DIMENSIONS = pl.DataFrame(
    {
        "group_id": ["boys", "girls", "decile_1_3", "decile_8_10"],
        "group_dimension": ["sex", "sex", "nurture", "nurture"],
    }
)


def counts(*rows):
    names = ("group_id", "pupils", "unknown", *COUNTS)
    return pl.DataFrame(rows, schema=names, orient="row")


def test_one_small_change_hides_the_four_counts_that_would_tell_it():
    shown = hide_few(
        counts(
            ("all", 1000, 0, 100, 140, 60, 20),
            ("boys", 500, 0, 50, 78, 40, 12),
            ("girls", 500, 0, 50, 62, 20, 8),
            ("decile_1_3", 300, 0, 40, 57, 20, 3),  # three are lost: 40 + 20 − 57 = 3
            ("decile_8_10", 300, 0, 20, 33, 20, 7),
        ),
        DIMENSIONS,
        5,
    )
    by_group = {row["group_id"]: row for row in shown.iter_rows(named=True)}
    for name in ("all", "boys", "girls"):
        assert by_group[name]["lost"] is not None
    for name in ("decile_1_3", "decile_8_10"):
        assert [by_group[name][count] for count in COUNTS] == [None] * 4
    assert by_group["decile_1_3"]["pupils"] == 300


def test_the_whole_city_does_not_tell_a_group_by_what_it_leaves():
    shown = hide_few(
        counts(
            ("all", 1000, 0, 100, 140, 60, 20),
            ("boys", 500, 0, 50, 90, 58, 18),  # two girls gained, two lost
        ),
        DIMENSIONS,
        5,
    )
    assert shown.filter(group_id="boys").select(COUNTS).row(0) == (None,) * 4
    assert shown.filter(group_id="all").select(COUNTS).row(0) == (100, 140, 60, 20)


@given(data=st.data())
def test_no_hidden_count_follows_from_those_shown(data):
    """Whatever the counts, sums, differences and the identity of a row give no small number."""
    least = 5
    parts = [
        tuple(data.draw(st.integers(0, 30)) for _ in range(4)) for _ in range(2)
    ]  # kept, gained, lost, never: pupils of either sex

    def row(name, *members):
        kept, gained, lost, never = (sum(values) for values in zip(*members, strict=True))
        return (name, kept + gained + lost + never, 0, kept + lost, kept + gained, gained, lost)

    shown = hide_few(
        counts(row("all", *parts), row("boys", parts[0]), row("girls", parts[1])), DIMENSIONS, least
    )
    rows = {one["group_id"]: one for one in shown.iter_rows(named=True)}
    for name in COUNTS:
        told = [rows[group][name] for group in ("all", "boys", "girls")]
        assert all(count is None or count == 0 or count >= least for count in told)
        if told[0] is not None and told[1] is not None:
            rest = told[0] - told[1]
            assert rest == 0 or rest >= least
    for one in rows.values():
        hidden = [one[name] is None for name in COUNTS]
        assert all(hidden) or not any(hidden)
