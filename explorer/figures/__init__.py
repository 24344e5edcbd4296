"""Figures: readings in, Plotly figures out. No torch, no Streamlit, nothing trained here."""

from explorer.figures.attribution import Panel, attribution
from explorer.figures.boundary import BoundarySeries, boundary
from explorer.figures.by_block import BlockSeries, by_block
from explorer.figures.by_depth import by_depth
from explorer.figures.by_depth_ratio import RatioSeries, depth_ratio
from explorer.figures.condition import ConditionSeries, condition
from explorer.figures.conductance import conductance
from explorer.figures.curves import CurveSeries, Event, curves
from explorer.figures.distributions import Spread, distributions, histogram
from explorer.figures.factor_dots import FactorSeries, factor_dots
from explorer.figures.frame import alt_text
from explorer.figures.gradient_correlation import CorrelationSeries, correlation_by_depth
from explorer.figures.heatmap import heatmap
from explorer.figures.lens import lens
from explorer.figures.lesion_draws import Counts, counts, swaps
from explorer.figures.lesions import Each, each, ranking
from explorer.figures.outcomes import Ending, outcomes
from explorer.figures.path_lengths import PathSeries, path_lengths
from explorer.figures.profile import ProfileSeries, profile, sites_lines
from explorer.figures.race import race
from explorer.figures.shattering import GradientSeries, autocorrelations, gradient_pictures
from explorer.figures.similarity import similarity
from explorer.figures.spectra import SpectrumSeries, spectrum
from explorer.figures.split import SplitSeries, split
from explorer.figures.theme import Arm, Theme, arm_colors, make_arms
from explorer.figures.thin import thin
from explorer.figures.walks import WalkSeries, walks

__all__ = [
    "Arm",
    "BlockSeries",
    "BoundarySeries",
    "ConditionSeries",
    "CorrelationSeries",
    "Counts",
    "CurveSeries",
    "Each",
    "Ending",
    "Event",
    "FactorSeries",
    "GradientSeries",
    "Panel",
    "PathSeries",
    "ProfileSeries",
    "RatioSeries",
    "SpectrumSeries",
    "SplitSeries",
    "Spread",
    "Theme",
    "WalkSeries",
    "alt_text",
    "arm_colors",
    "attribution",
    "autocorrelations",
    "boundary",
    "by_block",
    "by_depth",
    "condition",
    "conductance",
    "correlation_by_depth",
    "counts",
    "curves",
    "depth_ratio",
    "distributions",
    "each",
    "factor_dots",
    "gradient_pictures",
    "heatmap",
    "histogram",
    "lens",
    "make_arms",
    "outcomes",
    "path_lengths",
    "profile",
    "race",
    "ranking",
    "similarity",
    "sites_lines",
    "spectrum",
    "split",
    "swaps",
    "thin",
    "walks",
]
