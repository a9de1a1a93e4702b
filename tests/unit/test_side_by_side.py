"""Work side by side: in order, with one thread for sums over arrays as long as any of it runs."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from pipelines.decide.side_by_side import WORKERS, side_by_side


def threads_of_sums():
    np.ones((2, 2)) @ np.ones((2, 2))
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_what_is_made_comes_in_the_order_of_what_was_given():
    started = threading.Barrier(WORKERS, timeout=60)

    def make(number):
        if number < WORKERS:
            started.wait()  # so many are really at work at once
        return number * number

    assert side_by_side(make, range(10)) == [number * number for number in range(10)]


def test_sums_have_one_thread_though_one_of_several_has_ended():
    ended, seen = threading.Event(), []

    @threadpool_limits.wrap(limits=1)
    def short():
        pass

    def make(is_short):
        if is_short:
            short()
            ended.set()
        else:
            assert ended.wait(60)
            seen.append(threads_of_sums())

    with threadpool_limits(2):
        side_by_side(make, [False, True])
        assert seen == [{1}]
        assert threads_of_sums() == {2}


def test_an_error_is_raised_where_it_was_asked_for():
    def make(number):
        if number:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        side_by_side(make, [0, 1])
