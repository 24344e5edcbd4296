"""Watching somebody's own training loop: two lines in it, and the app shows the run live.

`subject` finds what is watched, `tape` reads what passes through the module, `weights` its
weights, `recorder` writes both into the store, `watched` joins them; `lightning` and
`transformers` have callbacks for those libraries and are imported by name only, since they
load them.
"""

from explorer.watching.watched import Watched, watch

__all__ = ["Watched", "watch"]
