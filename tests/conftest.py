"""Shared fixtures: where the project is, where the shared real data are, and one small city."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


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
def small_city(tmp_path_factory) -> Path:
    """A generated city of six schools, as it lies on disk."""
    from models.synthetic_city import generate
    from pipelines.demo_city import write_city

    folder = tmp_path_factory.mktemp("raw") / "demo_city"
    write_city(generate(seed=1, profile="small"), folder)
    return folder
