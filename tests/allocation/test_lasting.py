import pytest

from models.allocation.problem.persistence import lasting_share


@pytest.mark.parametrize(
    ("lag", "years", "kept", "expected"),
    [
        (0, 3, 0.5, 1.0),
        (1, 3, 0.5, 1.5 / 1.75),
        (2, 3, 0.5, 1 / 1.75),
        (3, 3, 0.5, 0.0),
        (1, 1, 0.5, 0.0),
        (1, 4, 1.0, 0.75),
        (1, 3, 0.0, 1.0),
    ],
)
def test_share_of_the_years(lag, years, kept, expected):
    assert lasting_share(lag, years, kept) == pytest.approx(expected)


@pytest.mark.parametrize("bad", [(-1, 3, 0.5), (0, 0, 0.5), (0, 3, 1.5)])
def test_out_of_range_is_refused(bad):
    with pytest.raises(ValueError, match="out of range"):
        lasting_share(*bad)
