"""Theory beside measurement: dotted in the arm's colour, fainter where it does not hold."""

from collections.abc import Iterable

from explorer.figures.frame import Json
from explorer.figures.theme import faint

FAINT = 0.55  # of the colour, outside the region where a prediction holds


def dotted(color: str, holds: bool = True) -> Json:
    """The line of a prediction."""
    return {"color": color if holds else faint(color, FAINT), "dash": "dot", "width": 2}


def theory_note(predictions: Iterable[tuple[bool, str]]) -> str:
    """What dotted lines are, and where they hold; (valid, region) of each that is drawn."""
    drawn = list(predictions)
    if not drawn:
        return ""
    regions = [region for region in dict.fromkeys(region for _, region in drawn) if region]
    where = f" ({'; '.join(regions)})" if regions else ""
    outside = ", fainter: not valid here" if not all(valid for valid, _ in drawn) else ""
    return f"dotted: predicted{where}{outside}"
