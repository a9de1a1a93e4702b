"""What there is to do for a city: nothing, its scenarios, or the whole chain.

The command, the schedule and the sensor ask this one question of the current release and the
warehouse.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.publish.release import ReleaseError, current_release, manifest, verify
from pipelines.settings.workspace import Workspace
from pipelines.sources.fingerprint import Fingerprints, fingerprints_or_none
from pipelines.warehouse.database import Warehouse


@dataclass(frozen=True)
class Due:
    """What is to be run, and why, in a sentence.

    `scenarios`: what depends on scenario files, and the release with its pages.
    """

    what: Literal["nothing", "scenarios", "chain"]
    why: str


def what_is_due(space: Workspace) -> Due:
    """Return what has to be made so that the current release is that of the city's inputs.

    Inputs that cannot be read are a reason to run, as the run says what is wrong with them.
    """
    now = fingerprints_or_none(space)
    if now is None:
        return Due("chain", "a file of the city is missing or not valid; the run says which")
    marts = Path(space.marts_folder)
    release = current_release(marts)
    if release is None:
        return Due("chain", "there is no release yet")
    try:
        made_from = manifest(release).get("made_from")
        if made_from is None:
            return Due("chain", "the current release is not that of one whole run")
        before = Fingerprints(**made_from)
        verify(marts)
    except (ReleaseError, TypeError):
        return Due("chain", "the current release is not as it was published")
    if before.whole == now.whole:
        return Due(
            "nothing", "nothing has changed since the last release: no file, no policy, no code"
        )
    if before.upstream != now.upstream:
        return Due("chain", "files, policy or code have changed since the last release")
    changed = "pages" if before.solved == now.solved else "scenarios"
    if Warehouse(path=str(space.warehouse_path)).made_from() != now.upstream:
        return Due("chain", f"only {changed} have changed, but another run has used the warehouse")
    return Due("scenarios", f"only {changed} have changed: what they depend on stays as it is")
