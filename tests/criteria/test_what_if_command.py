"""The command an analyst runs before a criterion is changed."""

from unittest.mock import patch

from pipelines.what_if import main


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
