"""Responses that do the same for the same pupils: their benefit is not counted twice (R92)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.keys import PAIR


@dataclass(frozen=True)
class Overlap:
    """A group of responses whose benefits overlap where one school has several of them.

    In each school the one with the largest benefit counts in full and every further one counts
    `counted_share` of its benefit, so that benefits b are worth c·Σb + (1 − c)·max b. A harm (a
    benefit below zero, as draws can have it) is never discounted. Money does not depend on it.

    Attributes:
        overlap_id: key, unique within a problem.
        name_en: for people.
        name_he: for people.
        responses: ids; no response is in two groups. One without options is no mistake.
        counted_share: 0 = each goal is counted once, 1 = no overlap.
    """

    overlap_id: str
    name_en: str
    name_he: str
    responses: tuple[str, ...]
    counted_share: float


def check_overlaps(overlaps: Sequence[Overlap]) -> None:
    """Raise ValueError where groups share an id or a response, or a share is not within 0..1."""
    group_of: dict[str, str] = {}
    for overlap in overlaps:
        name = overlap.overlap_id
        if not 0 <= overlap.counted_share <= 1:
            raise ValueError(
                f"Overlap {name}: counted_share must be between 0 and 1, not "
                f"{overlap.counted_share:g}."
            )
        if sum(other.overlap_id == name for other in overlaps) > 1:
            raise ValueError(f"Overlap {name} is given twice.")
        for response in overlap.responses:
            if response in group_of:
                raise ValueError(
                    f"Response {response} is in the overlap groups {group_of[response]} and {name};"
                    " a response can be in one only, once. Take it out of one, or join the groups."
                )
            group_of[response] = name


@dataclass(frozen=True)
class Counting:
    """What every option adds to its school's need-weighted gain.

    An option adds `each`, and the leader of its group (the largest bought in its school) adds
    `first` besides. Of equal benefits the larger unweighted one leads, then the earlier option.

    Attributes:
        each: by option, SD·pupils.
        first: by option, SD·pupils ≥ 0; 0 in no group.
        group: by option, number of the school's group; −1 = its benefit overlaps with none.
        place: by option, its place in the order in which options lead.
        slot: by option, number of its response within the group; 0 in no group.
        share: by option, the share that counts where it does not lead.
        tie: by option, unweighted benefit.
    """

    each: np.ndarray
    first: np.ndarray
    group: np.ndarray
    place: np.ndarray
    slot: np.ndarray
    share: np.ndarray
    tie: np.ndarray

    @classmethod
    def of(cls, options: pl.DataFrame, overlaps: Sequence[Overlap]) -> Counting:
        """The counting of options with semel_mosad, response_id and benefits.

        A group of which a school is offered one response only changes nothing and is left out.
        """
        named = [
            (response, overlap.overlap_id, overlap.counted_share)
            for overlap in overlaps
            if overlap.counted_share < 1
            for response in overlap.responses
        ]
        schema = {"response_id": pl.String, "overlap_id": pl.String, "share": pl.Float64}
        of_response = pl.DataFrame(named, schema=schema, orient="row")
        by = ["semel_mosad", "overlap_id"]
        held = options.select(PAIR).join(
            of_response, on="response_id", how="left", maintain_order="left"
        )
        several = (
            held.drop_nulls("overlap_id")
            .group_by(by)
            .agg(count=pl.col("response_id").n_unique())
            .filter(pl.col("count") > 1)
            .sort(by)
            .with_row_index("group")
        )
        placed = held.join(several, on=by, how="left", maintain_order="left").with_columns(
            slot=pl.col("response_id").rank("dense").over("group").cast(pl.Int64) - 1
        )
        group = placed["group"].cast(pl.Int64).fill_null(-1).to_numpy()
        share = np.where(group >= 0, placed["share"].fill_null(1.0).to_numpy(), 1.0)
        tie = options["benefit_sd_pupils"].to_numpy()
        nothing = np.zeros(len(group))
        slot = np.where(group >= 0, placed["slot"].to_numpy(), 0)
        return cls(nothing, nothing, group, nothing, slot, share, tie).at(
            options["weighted_benefit"].to_numpy()
        )

    def at(self, benefit: np.ndarray) -> Counting:
        """The same groups with other weighted benefits."""
        each = np.where(benefit > 0, self.share * benefit, benefit)
        return replace(self, each=each, first=benefit - each, place=self._placed(benefit))

    def with_means(self, each: np.ndarray, first: np.ndarray) -> Counting:
        """The same groups, led by whom these (means over scenarios) put first."""
        return replace(self, each=each, first=first, place=self._placed(first))

    def _placed(self, benefit: np.ndarray) -> np.ndarray:
        """The place of every option when the largest benefit leads."""
        order = np.lexsort((np.arange(len(benefit)), -self.tie, -benefit))
        place = np.empty(len(benefit), dtype=np.int64)
        place[order] = np.arange(len(benefit))
        return place

    @property
    def shared(self) -> np.ndarray:
        """Positions of the options that are in a group."""
        return np.flatnonzero(self.group >= 0)

    def leaders(self, x: np.ndarray) -> np.ndarray:
        """The two that lead each group among the options bought: group × 2, −1 = none."""
        found = np.full((int(self.group.max(initial=-1)) + 1, 2), -1)
        held = self.shared[x[self.shared] > 0.5]
        held = held[np.lexsort((self.place[held], self.group[held]))]
        group = self.group[held]
        rank = np.arange(len(held)) - np.searchsorted(group, group)
        top = rank < 2
        found[group[top], rank[top]] = held[top]
        return found

    def leads(self, x: np.ndarray) -> np.ndarray:
        """Whether each option leads its group, 0/1."""
        found = np.zeros(len(self.group))
        first = self.leaders(x)[:, 0]
        found[first[first >= 0]] = 1
        return found

    def counted(self, benefit: np.ndarray, x: np.ndarray) -> np.ndarray:
        """What counts of some benefits of the options bought; their own where they lead."""
        discounted = (self.group >= 0) & (self.leads(x) < 0.5) & (benefit > 0)
        return x * np.where(discounted, self.share * benefit, benefit)

    def total(self, x: np.ndarray) -> float:
        """What a plan gains, need-weighted."""
        return float(self.each @ x + self.first @ self.leads(x))

    def lead_changes(
        self, x: np.ndarray, add: np.ndarray, drop: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Who hands the lead to whom when `drop` leaves a plan and then `add` comes (−1 = nobody).

        Returns:
            By move: from and to at the leaving, from and to at the coming.
        """
        leaders = np.vstack([self.leaders(x), [[-1, -1]]])
        group, place = np.append(self.group, -1), np.append(self.place, np.inf)
        first, second = leaders[group[drop]].T
        leaves = (drop >= 0) & (first == drop)
        base = leaders[group[add], 0]
        base = np.where((drop >= 0) & (base == drop), leaders[group[add], 1], base)
        comes = (group[add] >= 0) & (place[add] < place[base])
        return (
            np.where(leaves, drop, -1),
            np.where(leaves, second, -1),
            np.where(comes, base, -1),
            np.where(comes, add, -1),
        )

    def change(self, x: np.ndarray, add: np.ndarray, drop: np.ndarray) -> np.ndarray:
        """What a plan gains when `drop`, a line of it, leaves and `add` comes (−1 = none).

        Within a group it is the difference of what the group is worth after and before, each worked
        out from the group's lines alone. Rounding then cannot make a round of moves look like a
        gain.
        """
        each = np.append(self.each, 0)
        gain = each[add] - each[drop]
        group, slot = np.append(self.group, -1), np.append(self.slot, 0)
        at = np.flatnonzero((group[add] >= 0) | (group[drop] >= 0))
        if not len(at):
            return gain
        held = np.full((int(self.group.max()) + 1, int(self.slot.max()) + 1), -1)
        bought = self.shared[x[self.shared] > 0.5]
        held[self.group[bought], self.slot[bought]] = bought
        worth = self._worth(held)
        coming, leaving = add[at], drop[at]
        one = np.where(group[leaving] >= 0, group[leaving], group[coming])
        after = held[one]
        out, same = np.flatnonzero(group[leaving] >= 0), np.flatnonzero(group[coming] == one)
        after[out, slot[leaving[out]]] = -1
        after[same, slot[coming[same]]] = coming[same]
        change = self._worth(after) - worth[one]
        other = np.flatnonzero((group[coming] >= 0) & (group[coming] != one))
        joined = held[group[coming[other]]]
        joined[np.arange(len(other)), slot[coming[other]]] = coming[other]
        change[other] += self._worth(joined) - worth[group[coming[other]]]
        change += np.where(group[coming] < 0, each[coming], 0)
        gain[at] = change - np.where(group[leaving] < 0, each[leaving], 0)
        return gain

    def _worth(self, held: np.ndarray) -> np.ndarray:
        """What the lines of groups (group × response, −1 = none) are worth together."""
        each, first = np.append(self.each, 0), np.append(self.first, 0)
        place = np.append(self.place, np.inf)
        worth = first[held[np.arange(len(held)), place[held].argmin(axis=1)]]
        for slot in range(held.shape[1]):
            worth = worth + each[held[:, slot]]
        return worth

    def marginal(self, x: np.ndarray, pair: np.ndarray) -> np.ndarray:
        """What each option adds to the plan without its pair's line."""
        held = np.full(int(pair.max(initial=-1)) + 1, -1)
        taken = np.flatnonzero(x > 0.5)
        held[pair[taken]] = taken
        _, _, before, after = self.lead_changes(x, np.arange(len(x)), held[pair])
        first = np.append(self.first, 0)
        return self.each + first[after] - first[before]
