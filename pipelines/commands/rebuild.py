"""Make again the release that a decision was taken on, and say whether it is the same (R45).

    python -m pipelines.commands.rebuild CITY 2027 [VERSION]

The city's files are those of today, its settings those of the archive. Equal files and equal code
make equal bytes; where something differs it is listed, with what may have caused it. Nothing of the
city is changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipelines.publish.known import note, publications
from pipelines.publish.redraw import differing
from pipelines.publish.release import ReleaseError, current_release, earlier, manifest
from pipelines.settings.access import note_access
from pipelines.settings.archive import CHAIN, FOLDER, RELEASE, DecidedPlan
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.scenario_files import FOLDER as SCENARIOS
from pipelines.settings.sent import copy_sent
from pipelines.settings.translation_files import FOLDER as TRANSLATIONS
from pipelines.settings.workspace import KNOWN, PROJECT, PUBLISHED, Workspace, workspace
from pipelines.sources.fingerprint import input_hashes

_OWN = {"city.yaml", "policy.yaml", SCENARIOS, TRANSLATIONS, FOLDER}


def main(arguments: list[str] | None = None) -> int:
    """Make it again and return the exit code: 0 the same, 1 another or an explained error."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.rebuild", description=__doc__
    )
    parser.add_argument("city", help="folder under data_raw")
    parser.add_argument("cycle", type=int, help="planning year of the decision, such as 2027")
    parser.add_argument("version", type=int, nargs="?", help="default: the last of the cycle")
    asked = parser.parse_args(arguments)
    console, space = Console(soft_wrap=True, highlight=False), workspace(asked.city)
    try:
        city = space.city()
        decided = _decision(city, asked.cycle, asked.version)
        with tempfile.TemporaryDirectory() as folder:
            made = _made_again(space, city, decided, Path(folder))
            found = sorted(differing(manifest(decided.folder / RELEASE), made))
    except (CityError, ReleaseError) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    note_access(space, "rebuild", "analyst", decided.name)
    if not found:
        console.print(
            f"{decided.name}: made again, and equal to the archived release, byte for byte.\n"
            f"{decided.name}: הפרסום נוצר מחדש והוא זהה לפרסום שבארכיון."
        )
        return 0
    console.print(
        f"{decided.name}: made again, it differs from the archived release in:\n  "
        + "\n  ".join(found)
        + "\nWhat differs of what it is made from:\n  "
        + "\n  ".join(_causes(city, decided))
        + "\nהפרסום שנוצר מחדש שונה מזה שבארכיון; לעיל מה שונה, וממה זה עשוי לנבוע."
    )
    return 1


def _decision(city: CityFolder, cycle: int, version: int | None) -> DecidedPlan:
    found = [
        one
        for one in city.decided
        if one.record.cycle == cycle and version in (None, one.record.version)
    ]
    if not found:
        known = ", ".join(one.name for one in city.decided) or "none"
        raise CityError(
            f"{city.folder / FOLDER}: no such decision is kept; those kept are: {known}.",
            f"{city.folder / FOLDER}: אין החלטה כזו; ההחלטות השמורות: {known}.",
        )
    return found[-1]


def _made_again(space: Workspace, city: CityFolder, decided: DecidedPlan, folder: Path) -> Path:
    """Run the chain over the archived settings in a folder aside; return the release.

    Raises:
        CityError: if the run fails; with what it said.
    """
    raw, marts = folder / "raw" / space.name, folder / "marts" / space.name
    for path in (raw, marts):
        path.mkdir(parents=True)
    for path in city.folder.iterdir():
        if path.name not in _OWN:
            (raw / path.name).symlink_to(path)
    analyst = decided.folder / RELEASE / "analyst"
    for name in ("city.yaml", "policy.yaml"):
        shutil.copyfile(analyst / name, raw / name)
    for name in (SCENARIOS, TRANSLATIONS):
        if (analyst / name).is_dir():
            shutil.copytree(analyst / name, raw / name)
    _before(city, decided, raw)
    said = manifest(decided.folder / RELEASE)
    own = Path(space.marts_folder)
    if (own / PUBLISHED).is_file():
        shutil.copyfile(own / PUBLISHED, marts / PUBLISHED)
        # What was sent before it is part of what it says too; what was sent later is not.
        published = (own / PUBLISHED).read_text(encoding="utf-8").split()
        if decided.record.release in published:
            copy_sent(own, marts, set(published[: published.index(decided.record.release)]))
    before = own / "releases" / str(said.get("compared_with"))
    if before.is_dir():  # what was told before is part of what it says
        for path in earlier(own, before):
            shutil.copytree(path, marts / path.parent.name / path.name)
        (marts / "current").symlink_to(Path("releases") / before.name)
    _lend_known(own, marts, decided.record.release)
    environment = os.environ | {
        "TIKKUN_DATA_RAW": str(raw.parent),
        "TIKKUN_DATA_MARTS": str(marts.parent),
        "TIKKUN_WORK": str(folder / "work"),
        "TIKKUN_SHARED_DATA": os.environ.get("TIKKUN_SHARED_DATA")
        or str((PROJECT / "../shared/data").resolve()),
        "TIKKUN_DAGSTER": str(folder / "dagster"),
        "DAGSTER_HOME": str(folder / "dagster" / space.name),
    }
    command = [sys.executable, "-m", "pipelines.commands.run", space.name, "--force"]
    if said.get("scope"):
        command += ["--scope", said["scope"]]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    made = current_release(marts)
    if done.returncode or made is None:
        raise CityError(
            f"{decided.name}: the run over the archived settings failed:\n{done.stdout.strip()}",
            f"{decided.name}: הריצה על ההגדרות שבארכיון נכשלה.",
        )
    return made


def _lend_known(own: Path, marts: Path, release: str) -> None:
    """Lend the run what is kept of releases, against which tickets are held, and the moments of
    those that were published before this one.
    """
    (marts / KNOWN).mkdir(exist_ok=True)
    # Of later ones too, since the tickets are those of today.
    for kept in (own / KNOWN).glob("[!.]*"):
        if kept.name != release and not (marts / KNOWN / kept.name).exists():
            (marts / KNOWN / kept.name).symlink_to(kept)
    for one in takewhile(lambda one: one.release != release, publications(own)):
        note(marts, one.release, one.moment)


def _before(city: CityFolder, decided: DecidedPlan, raw: Path) -> None:
    """Give the run the decisions that stood before this one."""
    earlier = city.decided[: city.decided.index(decided)]
    if not earlier:
        return
    for one in earlier:
        place = raw / FOLDER / one.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(one.folder, place)
    chain = "".join(f"{one.name} {one.hash}\n" for one in earlier)
    (raw / FOLDER / CHAIN).write_text(chain, encoding="utf-8")


def _causes(city: CityFolder, decided: DecidedPlan) -> Iterator[str]:
    """Yield what is not as it was when it was decided: files of the city, and the code."""
    now, code = input_hashes(city)
    was = decided.record.inputs
    for name in sorted(now.keys() | was.keys()):
        if now.get(name) != was.get(name):
            how = "changed" if name in now and name in was else "gone" if name in was else "new"
            yield f"{name}: {how} since"
    yield "the code: the same" if code == decided.record.code else "the code: another"


if __name__ == "__main__":
    sys.exit(main())
