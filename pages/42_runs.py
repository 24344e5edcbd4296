"""What has been run on this machine, and what came of it?

All runs, to be searched, compared, tagged, exported and deleted.
"""

from pathlib import Path

from explorer.ui import panels, runs

runs.title(Path(__file__))
panels.trouble()
runs.undo_line()
chosen = runs.table()
if chosen is not None:
    runs.actions(chosen)
    runs.comparison(chosen)
runs.keeping()
runs.reading_guide()
