"""What can be asked of trained networks: one file each, from networks to a JSON-able answer.

An analysis is added to ANALYSES by name; a page, the command line and Python ask for it so.
"""

import sys

from explorer.analyses.base import ANALYSES, Analysis, Json, Subject
from explorer.registry import discover

__all__ = ["ANALYSES", "Analysis", "Json", "Subject"]

discover(sys.modules[__name__])
