"""Draft the mapping of an unknown file.

python -m pipelines.commands.propose FILE [--source SOURCE_ID] [--out DRAFT.yaml]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.sources.propose import propose
from pipelines.sources.workbook import UnreadableError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 with a sentence if there is nothing to draft."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.propose",
        description="Draft the mapping of an unknown file for city.yaml.",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--source", metavar="SOURCE_ID", help="the logical source, if it is known")
    parser.add_argument(
        "--out", type=Path, metavar="DRAFT.yaml", help="write here, not to the screen"
    )
    given = parser.parse_args(arguments)
    try:
        text = propose(given.file, given.source)
        if given.out:
            with given.out.open("x", encoding="utf-8") as file:
                file.write(text)
    except UnreadableError as error:
        return _refuse(f"{given.file}: {error}.", f"{given.file}: {error.he}.")
    except KeyError as error:
        return _refuse(str(error.args[0]) + ".", "אין מקור בשם הזה.")
    except FileExistsError:
        return _refuse(
            f"{given.out}: exists already; name another file.",
            f"{given.out}: הקובץ כבר קיים; יש לבחור שם אחר.",
        )
    if given.out:
        last = "\n".join(line.removeprefix("# ") for line in text.splitlines()[-2:])
        print(f"{given.out}\n{last}")
    else:
        print(text, end="")
    return 0


def _refuse(en: str, he: str) -> int:
    print(f"{en}\n{he}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
