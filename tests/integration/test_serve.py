"""`make serve`: the page answers, what dies is started again, and the end is clean."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest

from tests.runs import PROJECT, make_place

SECONDS = 240


@pytest.fixture
def serving(small_city, tmp_path):
    place = make_place(tmp_path, small_city)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = tmp_path / "said"
    with said.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.commands.serve", "demo_city", "--port", str(port)],
            cwd=PROJECT,
            env=place.env,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    yield process, said, port
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def awaited(process, look):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if found := look():
            return found
        assert process.poll() is None
        time.sleep(0.2)
    raise AssertionError("waited in vain")


def runs(pid):
    """What has lost its parent may still stand in the list though it has ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def started(said, name):
    return [int(n) for n in re.findall(rf"{name} started, process (\d+)", said.read_text())]


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as page:
            return page.status == 200
    except OSError:
        return False


def test_what_dies_is_started_again_and_the_end_leaves_nothing(serving):
    process, said, port = serving
    (first,) = awaited(process, lambda: started(said, "daemon"))
    os.kill(first, signal.SIGKILL)
    _, second = awaited(
        process, lambda: len(started(said, "daemon")) == 2 and started(said, "daemon")
    )
    assert psutil.pid_exists(second)
    assert not psutil.pid_exists(first)
    assert awaited(process, lambda: answers(port))
    (page,) = started(said, "page")
    below = [child.pid for pid in (page, second) for child in psutil.Process(pid).children(True)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    until = time.monotonic() + 10
    while any(runs(pid) for pid in (page, second, *below)):
        assert time.monotonic() < until
        time.sleep(0.1)
