"""Which places of an image count for a class: the image and its maps side by side, arm by arm."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from explorer.figures.block_series import NOT_MEASURED, Numbers, joined
from explorer.figures.boundary import RED_BLUE
from explorer.figures.frame import NARROW, NOTE_SIZE, WIDE, Frame, Json, empty, finish, swatch
from explorer.figures.frame import Panel as Area
from explorer.figures.theme import LOOKS, Arm, Theme
from explorer.wording import capital, number, percent

SIDE, SIDE_NARROW = 165, 150  # pixels of a picture
COLUMNS_NARROW = 2
LINE, GAP = 17, 12  # pixels of a heading's line, and between rows of pictures
LETTER = 0.53 * NOTE_SIZE  # pixels of a heading's letter
# The same with the page's colour in the middle.
RED_BLUE_DARK = ("#f4a582", "#d6604d", "#7a2f2a", "#161b22", "#23507a", "#4393c3", "#92c5de")
KEY = "blue: for the class, red: against it, each map to its own peak"


@dataclass(frozen=True)
class Panel:
    """One map (H, W) at its own resolution, what it is, and what is said of it below that."""

    heading: str
    values: Numbers
    note: str = ""

    @property
    def peak(self) -> float:
        """The greatest size of a finite value; NaN if there is none."""
        sizes = np.abs(self.values[np.isfinite(self.values)])
        return float(sizes.max()) if len(sizes) else float("nan")

    @property
    def half(self) -> float:
        """The least share of the places that hold half of the sum of sizes; NaN if that is 0."""
        sizes = np.sort(np.abs(self.values[np.isfinite(self.values)]))[::-1].astype(np.float64)
        if not sizes.any():
            return float("nan")
        held = np.cumsum(sizes)
        return float((held < held[-1] / 2).sum() + 1) / len(sizes)


def attribution(
    image: Numbers,
    panels_by_arm: Sequence[tuple[Arm, Sequence[Panel]]],
    theme: Theme = "light",
    *,
    narrow: bool = False,
    note: str = "",
) -> go.Figure:
    """The image (C, H, W), values from 0 to 1, and each arm's maps over the same extent."""
    rows = [(arm, panels) for arm, panels in panels_by_arm if panels]
    if not rows:
        frame = Frame("Which places count for the class", note, theme, narrow)
        return empty(frame, "column", "row", SIDE, why=NOT_MEASURED)
    frame = Frame(_finding(rows), "; ".join(filter(None, (note, KEY))), theme, narrow)
    columns = COLUMNS_NARROW if narrow else 1 + max(len(panels) for _, panels in rows)
    room = int(((NARROW if narrow else WIDE) / columns - GAP) / LETTER)
    headings = [
        text for arm, panels in rows for text in (_named(arm), *(_said(p, room) for p in panels))
    ]
    lines = max(text.count("<br>") + 1 for text in headings)
    areas = list(_areas([1 + len(panels) for _, panels in rows], columns, lines, narrow))
    pictures = [picture for _, panels in rows for picture in (None, *panels)]
    side = SIDE_NARROW if narrow else SIDE
    layout = frame.layout(_tall(areas, side, lines), below=4)
    layout["annotations"] = []
    data = []
    for area, picture, text in zip(areas, pictures, headings, strict=True):
        layout |= _axes(area, image.shape[1:])
        layout["annotations"].append({**area.heading(text), "font": _quiet(theme)})
        drawn = _image(image) if picture is None else _map(picture, image.shape[1:], theme)
        data.append({**drawn, **area.ref})
    arms = ", ".join(arm.name for arm, _ in rows)
    return finish(data, layout, f"An image and its attribution maps for {arms}. {frame.title}.")


def _quiet(theme: Theme) -> Json:
    return {"size": NOTE_SIZE, "color": LOOKS[theme].text}


def _named(arm: Arm) -> str:
    return f"{swatch(arm)}<br>image"


def _said(panel: Panel, room: int) -> str:
    """Heading, peak and note, in lines of `room` letters."""
    peak = "not finite" if np.isnan(panel.peak) else f"peak {number(panel.peak)}"
    parts = [panel.heading, "0 everywhere" if panel.peak == 0 else peak, panel.note]
    lines = [line for part in parts if part for line in textwrap.wrap(part, room)]
    return "<br>".join(lines)


def _areas(counts: Sequence[int], columns: int, lines: int, narrow: bool) -> Iterator[Area]:
    """A square a picture, each arm's pictures from the left of a row of their own."""
    rows = sum(-(-count // columns) for count in counts)
    side = SIDE_NARROW if narrow else SIDE
    whole = rows * (side + LINE * lines + GAP)
    row, index = -1, 0
    for count in counts:
        for place in range(count):
            index, column = index + 1, place % columns
            row += column == 0
            top = 1 - (row * (side + LINE * lines + GAP) + LINE * lines) / whole
            across = (column / columns, (column + 1) / columns - 0.02)
            yield Area(index, across, (max(top - side / whole, 0), top), False)


def _tall(areas: Sequence[Area], side: int, lines: int) -> int:
    return len({area.y_domain for area in areas}) * (side + LINE * lines + GAP)


def _axes(area: Area, extent: tuple[int, ...]) -> Json:
    """Equal axes without numbers, row 0 at the top."""
    height, width = extent
    bare = {"showgrid": False, "showticklabels": False, "constrain": "domain", "ticks": ""}
    bare |= {"showline": True, "mirror": True}
    x = {**bare, "range": [-0.5, width - 0.5], "constraintoward": "left"}
    y = {**bare, "range": [height - 0.5, -0.5], "constraintoward": "top"}
    return area.axes(x, {**y, "scaleanchor": f"x{area.suffix}"})


def _image(image: Numbers) -> Json:
    """Red, green and blue of three channels; the mean as grey of any other number."""
    known = np.nan_to_num(np.clip(image, 0, 1))
    channels = known if len(known) == 3 else np.repeat(known.mean(0)[None], 3, axis=0)
    pixels = np.rint(255 * np.moveaxis(channels, 0, -1)).astype(np.uint8)
    where = "row %{y}, column %{x}<extra></extra>"
    return {"type": "image", "z": pixels, "colormodel": "rgb", "hovertemplate": where}


def _map(panel: Panel, extent: tuple[int, ...], theme: Theme) -> Json:
    """The map's cells stretched over the image, white (or the page's colour) at 0."""
    colors = RED_BLUE if theme == "light" else RED_BLUE_DARK
    most = panel.peak or 1.0
    most = most if np.isfinite(most) else 1.0
    rows, columns = (_centres(a, b) for a, b in zip(panel.values.shape, extent, strict=True))
    return {
        "type": "heatmap",
        "x": columns,
        "y": rows,
        "z": np.asarray(panel.values, np.float32),
        "colorscale": [[i / 6, color] for i, color in enumerate(colors)],
        "zmin": -most,
        "zmid": 0,
        "zmax": most,
        "showscale": False,
        "hovertemplate": "%{z:.2~g} at row %{y:.0f}, column %{x:.0f}<extra></extra>",
    }


def _centres(cells: int, pixels: int) -> Numbers:
    """The middles, in pixels, of `cells` that together are as long as `pixels`."""
    return ((np.arange(cells) + 0.5) * pixels / cells - 0.5).astype(np.float32)


def _finding(rows: Sequence[tuple[Arm, Sequence[Panel]]]) -> str:
    """How narrowly each arm's first map is gathered; how alike the maps of two arms are."""
    first = [(arm, panels[0]) for arm, panels in rows]
    heading = first[0][1].heading
    same = [(arm, panel) for arm, panel in first if panel.heading == heading]
    known = [(arm, panel.half) for arm, panel in same if np.isfinite(panel.half)]
    if not known:
        return f"{capital(heading)}: 0 at every place"
    (arm, half), *others = known
    text = f"{capital(heading)}: half lies on {percent(half)} of the places in {arm.name}"
    text = joined([text, *(f"{percent(half)} in {arm.name}" for arm, half in others)])
    maps = [panel.values.ravel().astype(np.float64) for _, panel in same]
    if len(maps) == 2 and len(maps[0]) == len(maps[1]) and all(map(_varies, maps)):
        text += f"; the maps' correlation is {number(float(np.corrcoef(maps[0], maps[1])[0, 1]))}"
    return text


def _varies(values: Numbers) -> bool:
    return bool(np.isfinite(values).all() and np.ptp(values) > 0)
