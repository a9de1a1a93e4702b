"""What a run is made from: the city's files, its policy and the code itself, by content.

A run over the inputs of the current release would make the same bytes again (R97). The release
keeps the fingerprints of its inputs in its manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.code import code_fingerprint, hashed, project_files
from pipelines.settings.scenario_files import scenario_files
from pipelines.settings.seen import digest
from pipelines.settings.translation_files import translation_files
from pipelines.settings.workspace import Workspace
from pipelines.sources.files import source_files

if TYPE_CHECKING:  # what only draws pages does not load Dagster
    import dagster as dg

CODE = (
    "pipelines/**/*.py",
    "pipelines/settings/*.yaml",
    "models/**/*.py",
    "sql/**/*.sql",
    "sql/fields.yaml",
    "requirements.lock",
)
# What only draws: no table is made by it.
_PAGES = ("pipelines/publish/pages/**/*", "pipelines/publish/charts.py", "docs/guide.he.md")


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of a run's inputs, by how much has to be made again where they differ.

    Attributes:
        upstream: files, policy and code: the whole chain.
        solved: the same and the scenarios: what depends on scenario files.
        whole: the same and what draws the pages: the pages.
    """

    upstream: str
    solved: str
    whole: str

    def drawn_by(self, pages: str) -> Fingerprints:
        """Return the fingerprints of the same tables, drawn by other pages."""
        return replace(self, whole=hashlib.sha256((self.solved + pages).encode()).hexdigest())


def pages_fingerprint(city_folder: Path) -> str:
    """Return the SHA-256 over what draws the pages, and the city's translations, by content."""
    drawn, translated = code_fingerprint(_PAGES), translation_files(city_folder)
    return hashlib.sha256((drawn + hashed(translated)).encode()).hexdigest()


def fingerprints(city: CityFolder) -> Fingerprints:
    """Return the SHA-256 over every input of a run, by content.

    The city's settings count by what they say: a remark or a line's end in them changes nothing.

    Raises:
        CityError: if a file of the city is missing.
    """
    files = set()
    for source_id in city.city.sources:
        files |= {
            path for path, _, _ in source_files(city, source_id, city.city.school_years.all())
        }
    files |= project_files(CODE) - project_files(_PAGES)
    said = digest(city.city) + digest(city.policy) + digest([one.hash for one in city.decided])
    upstream = hashlib.sha256((hashed(files) + said).encode()).hexdigest()
    solved = hashlib.sha256((upstream + hashed(scenario_files(city.folder))).encode()).hexdigest()
    return Fingerprints(upstream, solved, whole="").drawn_by(pages_fingerprint(city.folder))


def input_hashes(city: CityFolder) -> tuple[dict[str, str], str]:
    """Return the SHA-256 of every file of a city by its place, and one over the code.

    A file outside the city's folder is named by its last two parts.
    """
    files = {
        path
        for source_id in city.city.sources
        for path, _, _ in source_files(city, source_id, city.city.school_years.all())
    }
    hashes = {
        (
            path.relative_to(city.folder).as_posix()
            if path.is_relative_to(city.folder)
            else "/".join(path.parts[-2:])
        ): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }
    return hashes, code_fingerprint(CODE)


@dataclass(frozen=True)
class RunInputs:
    """What a run found when it began, and which runs answer for all of it.

    Attributes:
        found: fingerprints of the inputs; None if a file was missing.
        chain: every asset: a run that makes them answers for all inputs.
        after_scenarios: what depends on scenario files: a run that makes it answers for all inputs
            where the other tables were already made from them.
    """

    found: Fingerprints | None
    chain: Set[dg.AssetKey]
    after_scenarios: Set[dg.AssetKey]

    def made_by(
        self, made: Set[dg.AssetKey], tables_of: str | None, *, is_every_year: bool
    ) -> Fingerprints | None:
        """Return the fingerprints that a release may claim; None if the run made only a part.

        Args:
            made: assets that the run makes.
            tables_of: inputs that all tables were made from when the run began, scenarios apart.
            is_every_year: whether the run reads every school year.
        """
        if self.found is None:
            return None
        is_whole = made >= self.chain and is_every_year
        is_enough = made >= self.after_scenarios and tables_of == self.found.upstream
        return self.found if is_whole or is_enough else None


def fingerprints_or_none(space: Workspace) -> Fingerprints | None:
    """Return the fingerprints of a city's inputs; None if they cannot be read."""
    try:
        return fingerprints(space.city())
    except (CityError, FileNotFoundError):
        return None
