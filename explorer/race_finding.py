"""What a race of depths shows, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from explorer.race_rule import RACE_RULE, Compared, compare, compared, share
from explorer.race_runs import KINDS, Kind, RaceRun, finished_groups


@dataclass(frozen=True)
class Finding:
    """What the finished runs show, with the comparisons behind it, of every kind and variant."""

    sentence: str
    rows: tuple[Compared, ...]
    rule: str = RACE_RULE


def finding(runs: Sequence[RaceRun]) -> Finding:
    """One sentence on the runs as asked; the rows are of the variants, too."""
    rows = tuple(compare(runs))
    asked = [run for run in runs if not run.variant]
    finished = sum(run.finished for run in asked)
    groups = finished_groups(asked)
    if not groups:
        return Finding(f"no run has finished with readings yet, of {len(asked)}", rows)
    start = f"so far ({finished} of {len(asked)} runs finished): " if finished < len(asked) else ""
    parts = []
    for kind in KINDS:
        wanted = [run.depth for run in asked if run.kind == kind]
        if wanted:
            mine = [row for row in rows if row.kind == kind and not row.variant]
            parts += _said_of(kind, mine, [d for k, _, d in groups if k == kind], max(wanted))
    parts += [text for group in groups.values() for text in _diverged(group)]
    return Finding(start + "; ".join(parts), rows)


def _said_of(
    kind: Kind, rows: Sequence[Compared], depths: Sequence[int], deepest: int
) -> list[str]:
    """The clauses on one kind: each depth that is worse or open, and the others together.

    `depths` have finished; `deepest` was asked for.
    """
    if not rows:
        there = f"only {kind}-{depths[0]}" if depths else "none"
        return [f"{kind} networks cannot be compared: {there} has finished with readings"]
    fine = [row for row in rows if row.word == "no worse"]
    if len(fine) == len(rows):
        return [f"{kind} networks do not train worse {reach(depths[-1], deepest)}"]
    parts = [_clause(row) for row in rows if row not in fine]
    if fine:
        names = " and ".join(f"{kind}-{row.depth}" for row in fine)
        do = "does" if len(fine) == 1 else "do"
        parts.append(f"{names} {do} not train worse than a shallower one")
    return parts


def reach(finished: int, asked: int) -> str:
    """How far a statement on all depths goes: the deepest that has finished, of those asked for."""
    return "with depth" if finished >= asked else f"up to depth {finished}"


def _clause(row: Compared) -> str:
    deep, best = f"{row.kind}-{row.depth}", f"{row.kind}-{row.best}"
    numbers = f"{share(row.error)} against {share(row.best_error)} ({row.tested})"
    if row.word == "trains worse":
        return f"{deep} trains worse than {best}: {numbers}"
    return f"{deep} beside {best} is {row.word}: {numbers}"


def _diverged(group: Sequence[RaceRun]) -> list[str]:
    gone = [run for run in group if run.diverged]
    if not gone:
        return []
    count = f"{len(gone)} of {len(group)} runs" if len(group) > 1 else "the run"
    counts = "counts" if len(gone) == 1 else "count"
    return [f"{count} of {gone[0].name} diverged and {counts} at chance, {share(gone[0].chance)}"]


def explanation(runs: Sequence[RaceRun]) -> list[str]:
    """Sentences on each depth that trains worse: what more steps, and normalised ones, left of it.

    By the same rule; what has not been trained, or not to the end, is said.
    """
    said = []
    for row in compare(run for run in runs if not run.variant):
        if row.word == "trains worse":
            said += [_after_more_steps(row, runs), _with_normalised_steps(row, runs)]
    return said


def _after_more_steps(row: Compared, runs: Sequence[RaceRun]) -> str:
    """The depth with 3x the steps against the best shallower one as it was asked for."""
    groups = finished_groups(runs)
    deep, missing = _of_variant(row, runs, "longer")
    if not deep:
        return f"{row.kind}-{row.depth} with 3x the steps: {missing}"
    best = groups[row.kind, "", row.best]
    now = compared(deep, best)
    words = {"trains worse": "still worse", "no worse": "caught up"}
    return "; ".join(
        [
            f"{deep[0].name} after {deep[0].steps} steps: {share(now.error)}, {best[0].name} "
            f"after {best[0].steps}: {share(now.best_error)} ({now.tested}): "
            f"{words.get(now.word, now.word)}{missing}",
            *_diverged(deep),
        ]
    )


def _with_normalised_steps(row: Compared, runs: Sequence[RaceRun]) -> str:
    """The depth against the best shallower one, both with steps normalised by layer."""
    name = f"{row.kind}-{row.depth} with normalised steps"
    deep, missing = _of_variant(row, runs, "normalized")
    if not deep:
        return f"{name}: {missing}"
    rows = compare(run for run in runs if run.variant == "normalized" and run.kind == row.kind)
    now = next((other for other in rows if other.depth == row.depth), None)
    if now is None:
        return f"{name}: no shallower one to compare with has finished yet"
    words = {"trains worse": "a gap stayed", "no worse": "no gap stayed"}
    return "; ".join(
        [
            f"{name}: {share(now.error)}, {row.kind}-{now.best} likewise: "
            f"{share(now.best_error)} ({now.tested}), where the steps as asked left a difference "
            f"of {share(row.difference)}: {words.get(now.word, now.word)}{missing}",
            *_diverged(deep),
        ]
    )


def _of_variant(row: Compared, runs: Sequence[RaceRun], variant: str) -> tuple[list[RaceRun], str]:
    """The finished runs of the row's depth in that variant, and what is missing of them."""
    key = (row.kind, variant, row.depth)
    asked = [run for run in runs if (run.kind, run.variant, run.depth) == key]
    finished = finished_groups(asked).get(key, [])
    if not asked:
        return [], "not trained yet"
    count = f"{sum(run.finished for run in asked)} of {len(asked)} runs finished"
    if not finished:
        return [], count
    return finished, "" if all(run.finished for run in asked) else f" so far ({count})"
