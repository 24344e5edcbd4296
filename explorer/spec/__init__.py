"""Specs: what is built and how it is trained, as frozen, checked values with a content key."""

from explorer.spec.base import SpecError, printable, quote
from explorer.spec.network import NetworkSpec, Stage
from explorer.spec.recipe import DataSpec, Recipe
from explorer.spec.run import RunSpec
from explorer.spec.text import KEYS, parse, short_form

__all__ = [
    "KEYS",
    "DataSpec",
    "NetworkSpec",
    "Recipe",
    "RunSpec",
    "SpecError",
    "Stage",
    "parse",
    "printable",
    "quote",
    "short_form",
]
