"""What the product is made of: a bill of materials from the lock file, and its licences.

python -m tests.supply.bill [--out bill.json]   CycloneDX 1.6, the same bytes for the same lock
python -m tests.supply.bill --licences          fails for a licence that is not allowed
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tests.runs import PROJECT

LOCK = PROJECT / "requirements.lock"
# Names in metadata → SPDX. Each of them lets the product be used and passed on as it is.
ALLOWED = {
    "0BSD": "0BSD",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD-2-Clause": "BSD-2-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "CC0-1.0": "CC0-1.0",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MIT-0": "MIT-0",
    "MIT-CMU": "MIT-CMU",
    "MPL-2.0": "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSF-2.0": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Zlib": "Zlib",
}
# What metadata do not say clearly, read in the package itself: name → licence, and where it stands.
READ = {
    "axe-playwright-python": ("MIT", "its LICENSE file"),
    "docutils": ("BSD-2-Clause", "COPYING.rst: public domain, BSD; the GPL is of an Emacs mode"),
}
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s\\;]+)((?:.*\\\n)*.*)", re.M)


@dataclass(frozen=True)
class Part:
    """A package of the lock file: name, version, SHA-256 of the files that may be installed."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def said(self) -> str:
        """The licence as its metadata say it; "" where they say none, or it is not installed."""
        if self.name in READ:
            return READ[self.name][0]
        try:
            held = metadata.metadata(self.name)
        except metadata.PackageNotFoundError:
            return ""
        classified = [
            one.rpartition(" :: ")[2]
            for one in held.get_all("Classifier") or ()
            if one.startswith("License ::") and one != "License :: OSI Approved"
        ]
        whole = held.get("License-Expression") or " AND ".join(classified)
        return whole or next(iter((held.get("License") or "").splitlines()), "")

    @property
    def licence(self) -> str | None:
        """The licence as an SPDX expression; None if a part of it is not allowed."""
        whole = []
        for choice in re.split(r" OR ", self.said):
            every = [ALLOWED.get(one.strip("() ")) for one in choice.split(" AND ")]
            # Some names hold brackets of their own.
            every = [ALLOWED.get(choice)] if choice in ALLOWED else every
            if all(every):
                whole.append(" AND ".join(sorted({str(one) for one in every})))
        return " OR ".join(whole) or None


def parts(lock: str) -> list[Part]:
    """Return the packages of a lock file, in its order."""
    return [
        Part(name, version, tuple(re.findall(r"sha256:([0-9a-f]{64})", rest)))
        for name, version, rest in _PIN.findall(lock)
    ]


def bill(lock: str) -> dict:
    """Return a CycloneDX bill of materials: no time and no number of its own, so it is stable."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "tikkun", "bom-ref": "tikkun"}},
        "components": [_component(part) for part in parts(lock)],
    }


def _component(part: Part) -> dict:
    purl = f"pkg:pypi/{part.name.lower().replace('_', '-')}@{part.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": part.name,
        "version": part.version,
        "purl": purl,
        **({"licenses": [{"expression": part.licence}]} if part.licence else {}),
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{part.name}/{part.version}/",
                "hashes": [{"alg": "SHA-256", "content": one} for one in part.hashes],
            }
        ],
    }


def refused(lock: str) -> list[str]:
    """Return what is wrong with the packages: a licence that is not allowed, no hash."""
    wrong = []
    for part in parts(lock):
        if part.licence is None:
            wrong.append(
                f"{part.name} {part.version}: licence '{part.said or 'unknown'}' is not on the list"
                " (ALLOWED in tests/supply/bill.py); read it, then add it or leave the package"
            )
        if not part.hashes:
            wrong.append(f"{part.name} {part.version}: no hash in the lock file; run make lock")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """Write the bill, or check the licences; return 1 for one that is not allowed."""
    parser = argparse.ArgumentParser(prog="python -m tests.supply.bill", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--licences", action="store_true")
    asked = parser.parse_args(arguments)
    lock = LOCK.read_text(encoding="utf-8")
    if asked.licences:
        wrong = refused(lock)
        print("\n".join(wrong) or f"licences: {len(parts(lock))} packages, all allowed")
        return 1 if wrong else 0
    text = json.dumps(bill(lock), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
