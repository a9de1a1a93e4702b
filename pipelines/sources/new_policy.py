"""Draft the policy of a new city: only what a city must decide, each with its meaning in Hebrew.

What is known of the city's files is used – last year's money, who took part, the mean of the tests
– and named as the source; whatever no file says is named as assumed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import yaml

from pipelines.settings.fields import dictionary
from pipelines.settings.policy_defaults import DEFAULTS, OPEN
from pipelines.settings.yaml_files import read_yaml
from pipelines.sources.new_city import BUDGET, DELIVERY, NewCity, catalogue, words

_BACKGROUND_PCT = 25  # of the weight of need, where background is measured at all
_CHANNELS = frozenset(map(str, dictionary().fields["funding_channel"].allowed))
_MARK = "# draft "
_LATEST = 9999  # no year is later


def policy_text(city: NewCity, settings: dict[str, Any]) -> str:
    """Return the draft of `policy.yaml`.

    Args:
        city: how the files are read.
        settings: what `city.yaml` holds.
    """
    body = "".join(f"{line}\n" for line in _lines(city, settings))
    return f"{_MARK}{_hash(body)}\n{body}"


def is_untouched(text: str) -> bool:
    """Whether a policy is a draft that nobody has changed: then it may be drafted anew."""
    first, _, body = text.partition("\n")
    return first == f"{_MARK}{_hash(body)}"


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _lines(city: NewCity, settings: dict[str, Any]) -> Iterator[str]:
    meanings = words()["meanings_he"]
    year = settings["school_years"]["reference"]
    yield from (f"# {line}" for line in words()["head_he"])
    money = Money(city, year)
    parts: dict[str, Any] = {
        "planning_year": _value(year + 1, "school year", "city.yaml", "השנה שאחרי הנתונים"),
        "equity_gamma": _value(1.0, "exponent", "assumed", "העדפה ביחס ישר לצורך"),
        "channels": _channels(city, money),
        "targets": _targets(settings),
        "need": {"indicators": _indicators(city, settings)},
        "goals": {},
        "responses": _responses(city, money),
        "response_map": {"needs": {}, "topics": {}},
        "formula": {
            "by_pupils": {
                "pot": {"channel": "municipal_own"},
                "points": [
                    _point({"weights": {"pupils": 1.0}}, "כל תלמיד נספר פעם אחת"),
                    _point(
                        {"weights": {"pupils": 1.0}, "times": ["need"]}, "ועוד עד פעם, לפי הצורך"
                    ),
                ],
            }
        },
    }
    parts["response_map"]["needs"] = _needs(parts)
    used = {entry["goal"] for entry in parts["responses"].values()}
    used |= {need["goal"] for need in parts["response_map"]["needs"].values()}
    # For a programme of its own the city chooses among all goals.
    parts["goals"] = {
        key: goal for key, goal in words()["goals"].items() if city.own or key in used
    }
    for name, part in parts.items():
        yield ""
        yield f"# {meanings[name]}"
        yield from _written(name, part)
        if name == "responses":
            for programme in sorted(city.own):
                yield from own_response(city, programme, money)


def own_response(city: NewCity, programme: str, money: Money | None = None) -> Iterator[str]:
    """Yield the lines of a programme that no catalogue has, with what the city has to decide.

    Args:
        city: how the files are read.
        programme: its id.
        money: what the files say of programmes; added up if not given.
    """
    priced = _priced(programme, money or Money(city, _LATEST))
    held = {
        "name_he": city.own[programme],
        "name_en": programme,
        **words()["own_response"],
    } | priced
    if not priced.get("is_allocated", True):
        share = _value(0, "share of pupils", "assumed", "המענה אינו מוקצה")
        held["served_share"] = share
    yield ""
    yield f"  # {words()['own_head_he']}"
    yield f"  {programme}:"
    for key, entry in held.items():
        remark = words()["own_remarks_he"].get(key)
        is_open = entry == OPEN or (isinstance(entry, dict) and entry.get("value") == OPEN)
        said = f"  # {remark}" if remark and (is_open or key == "effects") else ""
        yield f"    {key}: {_flow(entry)}{said}"


def _written(name: str, part: Any) -> Iterator[str]:
    """Write one decision: an entry a line."""
    is_open = isinstance(part, dict) and "value" not in part
    if not is_open:
        yield f"{name}: {_flow(part)}"
        return
    yield f"{name}:" if part else f"{name}: {{}}"
    for key, entry in part.items():
        nested = isinstance(entry, dict) and name in ("need", "response_map") and entry
        if nested:
            yield f"  {key}:"
            yield from (f"    {one}: {_flow(value)}" for one, value in entry.items())
        else:
            yield f"  {key}: {_flow(entry)}"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        value, allow_unicode=True, width=2**31 - 1, default_flow_style=True, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _value(value: object, unit: str, source: str, reason: str) -> dict[str, object]:
    return {"value": value, "unit": unit, "source": source, "reason": reason}


def _point(point: dict[str, Any], reason: str) -> dict[str, Any]:
    return point | {"source": "assumed", "reason": reason}


class Money:
    """What the city's files say of programmes in the last year that each is known of.

    Attributes:
        planned: (programme, channel) → NIS.
        participants: programme → participants of the same year; of the last that is known, if none.
        year: programme → the year of its money.
        file: the files that say so.
        known: programmes of the catalogue and of the city's own.
    """

    def __init__(self, city: NewCity, last: int) -> None:
        """Add up the budget lines and the participants of each programme."""
        by_year: dict[tuple[str, str, str], float] = defaultdict(float)
        took_part: dict[tuple[str, str], float] = defaultdict(float)
        for table in city.of(BUDGET):
            rows = zip(
                table.column("school_year"),
                table.column("response_id"),
                table.column("funding_channel"),
                table.numbers("plan_nis"),
                strict=True,
            )
            for year, programme, channel, planned in rows:
                if channel not in _CHANNELS:  # nobody said what it is: it is told as open
                    continue
                by_year[year, programme, channel] += planned
        for table in city.of(DELIVERY):
            counted = table.numbers("participants")
            for year, programme, number in zip(
                table.column("school_year"), table.column("response_id"), counted, strict=True
            ):
                took_part[year, programme] += number
        years = [year for year, _, _ in by_year if year.isdecimal() and int(year) <= last]
        self.last = max(years, default="")
        self.year = {
            programme: max(year for year, other, _ in by_year if other == programme)
            for programme in {programme for _, programme, _ in by_year}
        }
        self.planned = {
            (programme, channel): planned
            for (year, programme, channel), planned in by_year.items()
            if year == self.year[programme] and planned > 0
        }
        self.participants = {
            programme: took_part.get((year, programme), 0.0)
            for programme, year in self.year.items()
        }
        self.file = ", ".join(dict.fromkeys(table.path.name for table in city.of(BUDGET)))
        self.named = {p for _, p in took_part} | {p for p, _ in self.planned}
        self.known = catalogue().keys() | city.own.keys()

    def of_channel(self, channel: str) -> int:
        """Return what a channel paid in the last year for programmes that are known, in whole
        NIS: what it paid for others is not the plan's to share.
        """
        return round(
            sum(
                planned
                for (programme, other), planned in self.planned.items()
                if other == channel
                and programme in self.known
                and self.year[programme] == self.last
            )
        )

    def shares(self, programme: str) -> dict[str, float]:
        """Return which share of a programme's money each channel paid; they sum to 1."""
        paid = {c: n for (p, c), n in self.planned.items() if p == programme}
        total = sum(paid.values())
        shares = {channel: round(n / total, 2) for channel, n in sorted(paid.items())}
        largest = max(shares, key=lambda channel: shares[channel])
        others = sum(share for channel, share in shares.items() if channel != largest)
        return shares | {largest: round(1 - others, 2)}

    def cost(self, programme: str) -> int | None:
        """Return a programme's cost per participant, in NIS to the ten; None if not known."""
        paid = sum(n for (p, _), n in self.planned.items() if p == programme)
        number = self.participants.get(programme, 0)
        return max(10, int(round(paid / number, -1))) if paid and number else None


def _channels(city: NewCity, money: Money) -> dict[str, Any]:
    used = {"municipal_own", *(channel for _, channel in money.planned)}
    channels: dict[str, Any] = {}
    for channel in sorted(used, key=lambda one: one != "municipal_own"):
        if channel == "gefen_school" and city.has("finance__school_money", "gefen_nis"):
            channels[channel] = {"per_school_from": "gefen_agorot"}
        elif channel == "parents":
            channels[channel] = {}
        else:
            paid = money.of_channel(channel)
            source = f"{money.file}: {money.last}" if paid else "assumed"
            reason = "מה שתוקצב בשנה האחרונה" if paid else "אין קובץ תקציב: יש לכתוב כאן את הסכום"
            channels[channel] = {"budget": _value(paid, "NIS per year", source, reason)}
    return channels


def _targets(settings: dict[str, Any]) -> list[dict[str, Any]]:
    first = settings["school_years"]["first"]
    return [
        {
            "type": "absolute",
            "scales": [scale_id],
            "value": scale["mean"],
            "valid_from": f"{first - 1}-09-01",
            "source": "ממוצע הציונים בקבצים",
        }
        for scale_id, scale in settings["scales"].items()
        if scale.get("mean") is not None
    ]


def _indicators(city: NewCity, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the indicators that the files measure, with weights that sum to 100."""
    held = {
        key: entry
        for key, entry in words()["indicators"].items()
        if entry.get("subject") in settings["subjects"]
        or ("source" in entry and city.has(entry["source"], entry.get("column")))
    }
    if not held:  # nothing is measured: a gap in the first subject, told as not measured
        held = {"gap_hebrew": words()["indicators"]["gap_hebrew"]}
    is_background = {key: "column" in entry for key, entry in held.items()}
    pots = {True: _BACKGROUND_PCT, False: 100 - _BACKGROUND_PCT}
    if len(set(is_background.values())) == 1:
        pots = {True: 100, False: 100}
    weights: dict[str, int] = {}
    for kind in (False, True):
        of_kind = [key for key in held if is_background[key] == kind]
        total, left = sum(held[key]["weight"] for key in of_kind), pots[kind]
        for key in of_kind:
            weights[key] = round(pots[kind] * held[key]["weight"] / total)
            left -= weights[key]
        if of_kind:
            weights[of_kind[0]] += left
    return {
        key: {
            **(
                {"target": _value(entry["target"], entry["unit"], "assumed", "יעד מקובל")}
                if "target" in entry
                else {}
            ),
            "weight_pct": _value(weights[key], "percent", "assumed", "משקל מוצע"),
        }
        for key, entry in held.items()
    }


def _responses(city: NewCity, money: Money) -> dict[str, Any]:
    """Return the city's programmes of the catalogue; those without a known cost are not planned."""
    return {
        programme: {"goal": words()["responses"][programme]["goal"], **_priced(programme, money)}
        for programme in sorted(money.named & catalogue().keys())
    }


def _priced(programme: str, money: Money) -> dict[str, Any]:
    """Return what the files say of a programme's cost; without one it is not planned."""
    cost = money.cost(programme)
    source = f"{money.file}: {money.year[programme]}" if cost else "assumed"
    reason = "תקציב השנה חלקי מספר המשתתפים" if cost else "לא ידועה עלות בקבצים"
    return {
        **({} if cost else {"is_allocated": False}),
        "fixed_cost": _value(0, "NIS per school per year", "assumed", "כל העלות לפי משתתפים"),
        "unit_cost": _value(cost or 0, "NIS per participant per year", source, reason),
        "funding": money.shares(programme) if cost else {"municipal_own": 1.0},
        "funding_source": source,
        "cost_reason_he": reason,
    }


def _needs(parts: dict[str, Any]) -> dict[str, Any]:
    names = words()["indicators"]
    return {
        key: {
            "name_he": _indicator_name(key),
            "name_en": names[key]["name_en"],
            **(
                {"measure": "gap", "subject": names[key]["subject"]}
                if "subject" in names[key]
                else {"measure": key}
            ),
            "goal": names[key]["goal"],
            "responses": [
                programme
                for programme in parts["responses"]
                if key in words()["responses"][programme]["needs"]
            ],
            "source": "assumed",
            "reason": "המענים שהשפעתם הרשומה היא על צורך זה",
        }
        for key in parts["need"]["indicators"]
        if "goal" in names[key]
    }


def _indicator_name(indicator: str) -> str:
    held = read_yaml(DEFAULTS)["where_named"]["need.indicators"]
    return str(held[indicator]["name_he"])
