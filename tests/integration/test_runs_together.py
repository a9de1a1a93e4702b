"""Runs that are killed or meet each other: readers always see one whole release."""

import random
import signal
import time

from pipelines.publish.release import current_release, verify
from tests.integration.conftest import change_policy


def test_killed_at_any_moment_the_last_release_stays_and_two_at_once_make_the_next(place):
    change_policy(place, "channels", "municipal_own", "budget", "value", value=1_500_000)
    generator = random.Random(7)
    release = current_release(place.marts)
    for _ in range(2):
        process = place.start("--force")
        time.sleep(generator.uniform(6, 24))
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        assert verify(place.marts).is_dir()
        if killed:
            continue
        assert (
            current_release(place.marts) != release
        )  # it had ended by itself, with the new policy
    # Whichever comes second waits for the other, and then finds that nothing is left to do.
    both = place.start(), place.start()
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert any("nothing has changed" in text for text in said)
    assert verify(place.marts) != release
    assert not list((place.marts / "releases").glob(".building-*"))
