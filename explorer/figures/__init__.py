"""Figures: readings in, Plotly figures out. No torch, no Streamlit, nothing trained here."""

from explorer.figures.boundary import BoundarySeries, boundary
from explorer.figures.by_depth import by_depth
from explorer.figures.curves import CurveSeries, Event, curves
from explorer.figures.frame import alt_text
from explorer.figures.heatmap import heatmap
from explorer.figures.outcomes import Ending, outcomes
from explorer.figures.profile import ProfileSeries, profile, sites_lines
from explorer.figures.race import race
from explorer.figures.theme import Arm, Theme, arm_colors, make_arms
from explorer.figures.thin import thin

__all__ = [
    "Arm",
    "BoundarySeries",
    "CurveSeries",
    "Ending",
    "Event",
    "ProfileSeries",
    "Theme",
    "alt_text",
    "arm_colors",
    "boundary",
    "by_depth",
    "curves",
    "heatmap",
    "make_arms",
    "outcomes",
    "profile",
    "race",
    "sites_lines",
    "thin",
]
