"""Runs that are killed or meet each other: readers always see one whole release."""

import random
import shutil
import signal
import time

import pytest

from pipelines.publish.release import publish, verify
from tests.integration.conftest import hashes
from tests.runs import make_place


@pytest.mark.parametrize(
    ("remembers", "moments", "kills"),
    # Where steps are remembered a run is short, and a kill meets any of it; the other is all of it.
    [(True, (3, 15), 1), pytest.param(False, (6, 24), 2, marks=pytest.mark.slow)],
    ids=["remembered", "anew"],
)
def test_killed_at_any_moment_the_last_release_stays_and_two_at_once_make_the_next(
    small_city, published, tmp_path, remembers, moments, kills
):
    """And what they make is, to the byte, what an undisturbed run made in another place."""
    place = make_place(tmp_path, small_city)
    if remembers:
        known = (which.workspace().memory_path for which in (published, place))
        shutil.copytree(*known)
    last = publish(place.marts, lambda folder: (folder / "a.txt").write_text("a"), lambda _: None)
    generator, has_ended = random.Random(7), False
    for _ in range(kills):
        process = place.start(*([] if remembers else ["--force"]))
        time.sleep(generator.uniform(*moments))
        process.send_signal(signal.SIGKILL)
        has_ended |= process.wait() != -signal.SIGKILL  # before it was killed: a quick machine
        assert (verify(place.marts) != last) == has_ended
    # Whichever comes second waits for the other, and then finds that nothing is left to do.
    both = place.start(), place.start()
    said = [process.communicate(timeout=1800)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert any("nothing has changed" in text for text in said)
    assert verify(place.marts) != last
    assert hashes(place) == hashes(published)
    assert not list((place.marts / "releases").glob(".building-*"))
