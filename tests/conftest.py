"""Shared fixtures: where the project is, where the shared real data are, one small city, one run of
it.
"""

import gc
import os
import shutil
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # The processes of a session share the cores, and threads that share out tables of a few rows
    # cost more than they save. Before anything loads these libraries, as they look once.
    for library in ("POLARS_MAX", "OPENBLAS_NUM", "OMP_NUM"):
        os.environ.setdefault(f"{library}_THREADS", "1")

from hypothesis import settings

from tests.examples import examples
from tests.made import made
from tests.runs import PROJECT, Place, run_of

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


def pytest_addoption(parser):
    parser.addoption(
        "--renew-snapshot", action="store_true", help="write the snapshot of the definitions anew"
    )


# Processes take whole files in this order: long ones first, so that none begins one when the other
# has ended. The first does not need `published` at once, so it does not wait for the second to make
# it.
LONG = (
    "sources/test_privacy.py",
    "integration/test_runs_together.py",
    "integration/test_real_city.py",
    "cities/test_guide.py",
    "sources/test_collect_properties.py",
    "integration/test_night.py",
    "publish/test_known.py",
    "faults/test_damage.py",
    "integration/test_steps.py",
    "integration/test_scenarios.py",
    "integration/test_run_errors.py",
    "browser/test_browser.py",
    "faults/test_servers.py",
    "sources/test_dirty_city.py",
)


COLLECTED = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)  # before any is left out by its marks
def pytest_collection_modifyitems(config, items):
    config.stash[COLLECTED] = [item.nodeid for item in items]
    places = {PROJECT / "tests" / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Collect without looking for garbage, and let what was collected be looked through no more.

    All modules and tests stay until the end: each whole look through them takes a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_sessionfinish():
    gc.unfreeze()  # or DuckDB complains of what it finds at the end


# A busy machine is no fault of the code: how long one example takes is not tested.
settings.register_profile("tikkun", deadline=None, max_examples=examples(100))
settings.load_profile("tikkun")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("TIKKUN_SHARED_DATA") or PROJECT / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(
            f"the shared real data are not at {folder}; set TIKKUN_SHARED_DATA to run this test"
        )
    return folder


@pytest.fixture(scope="session")
def collected(pytestconfig) -> list[str]:
    """The names of all tests that this session found, of those too that it leaves out."""
    return pytestconfig.stash[COLLECTED]


@pytest.fixture(scope="session")
def browser():
    """A real browser, started once a process: Playwright runs no second one beside it."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip(
            "Debian's chromium is not installed (tests/browser/setup.sh installs it where it can)"
        )
    from playwright.sync_api import sync_playwright

    from tests.browser.pictures import FLAGS, SCREENSHOTS

    SCREENSHOTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


# The same steps on fewer draws: what is drawn often is tested where it is modelled.
QUICK_ACCOUNT = """
account:
  draws: {value: 30, unit: draws, source: test, reason: the fewest by which a line can be firm}
  scenarios: {value: 3, unit: draws, source: test, reason: quick}
  flip_pairs: {value: 1, unit: pairs, source: test, reason: quick}
  gammas: {value: [0.0, 1.0, 2.0], unit: exponents, source: test, reason: quick}
"""


@pytest.fixture(scope="session")
def small_city(tmp_path_factory) -> Path:
    """A generated city of six schools, as it lies on disk."""
    from pipelines.demo.write import write_city

    folder = tmp_path_factory.mktemp("raw") / "demo_city"
    write_city(made(1, "small"), folder)
    with (folder / "policy.yaml").open("a", encoding="utf-8") as policy:
        policy.write(QUICK_ACCOUNT)
    return folder


@pytest.fixture(scope="session")
def published(small_city) -> Place:
    """The small city after one run (`run_of`); tests that change it copy it first."""
    run = run_of(small_city)
    assert run.code == 0, run.said
    return run.place
