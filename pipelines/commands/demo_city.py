"""Generate the demonstration city.

    python -m pipelines.commands.demo_city [--seed 1] [--profile clean] [--years 2022-2026]
                                           [--out data_raw/demo_city] [--force]
    python -m pipelines.commands.demo_city --live 6      months of the plan that was decided on

Everything in it is synthetic.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from models.demo import DEFAULT_YEARS, PROFILES, generate
from pipelines.demo.write import write_city, write_year

DEFAULT_FOLDER = Path("data_raw") / "demo_city"


def _years(text: str) -> tuple[int, ...]:
    try:
        first, last = (int(part) for part in text.split("-"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no range of years; write 2022-2026"
        ) from None
    if first > last:
        raise argparse.ArgumentTypeError(f"'{text}' runs backwards; write {last}-{first}")
    return tuple(range(first, last + 1))


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no seed; write a whole number from 0 up")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.commands.demo_city",
        description="Generate the demonstration city. Everything in it is synthetic.",
    )
    parser.add_argument("--seed", type=_seed, default=1)
    parser.add_argument("--profile", choices=PROFILES, default="clean")
    parser.add_argument("--years", type=_years, default=DEFAULT_YEARS, help="such as 2022-2026")
    parser.add_argument(
        "--forecast", action="store_true", help="with a registration forecast of the next year"
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER, help="folder to write")
    parser.add_argument("--force", action="store_true", help="replace the folder if it exists")
    parser.add_argument(
        "--live", type=int, choices=range(1, 11), help="months of the decided plan to live through"
    )
    options = parser.parse_args(arguments)
    if options.live:
        try:
            planted = write_year(options.out, options.live, seed=options.seed)
        except FileNotFoundError as error:
            parser.exit(1, f"{error}\n")
        print(f"{options.out}: {options.live} months lived through; planted: {planted.height}")
        return 0
    if options.out.exists() and not options.force:
        print(f"{options.out} exists: nothing done. Add --force to generate it anew.")
        return 0
    start = time.perf_counter()
    city = generate(options.seed, options.profile, options.years, with_forecast=options.forecast)
    try:
        write_city(city, options.out)
    except (FileExistsError, FileNotFoundError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    schools = sum(n for key, n in city.expected.items() if key.startswith("schools."))
    print(
        f"{options.out}: synthetic city '{city.profile}' (seed {city.seed}), {schools} schools, "
        f"{city.expected['pupils.all']:,} pupils in {city.years[-1]}, {len(city.files)} files, "
        f"{time.perf_counter() - start:.1f} s"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
