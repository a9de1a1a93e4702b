"""What the studio shows of a release: the cells of its notebook, as the browser would get them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from unittest.mock import patch

from tests.runs import PROJECT


def studio_text(current: Path) -> str:
    """Return the markup of the studio opened on a release's plan, unchanged.

    Args:
        current: folder of the current release, `<marts>/<city>/current`.
    """
    path = PROJECT / "notebooks" / "scenario_studio.py"
    spec = importlib.util.spec_from_file_location("scenario_studio", path)
    assert spec is not None
    assert spec.loader is not None
    notebook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebook)
    folder = {"TIKKUN_DATA_MARTS": str(current.parents[1]), "TIKKUN_CITY": current.parent.name}
    with patch.dict(os.environ, folder):
        outputs, _ = notebook.app.run()
    return "\n".join(output.text for output in outputs if hasattr(output, "text"))
