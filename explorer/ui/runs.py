"""The parts of the Runs page, from top to bottom."""

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from explorer.store import Row, StoreError
from explorer.ui import components, runs_actions
from explorer.ui.lab import lab
from explorer.ui.pages import question
from explorer.ui.panels import escaped, share_links
from explorer.ui.runs_actions import DELETED, IMPORTS, NOTE, TAGS
from explorer.ui.selection import MOST_COMPARED, Selection, selection
from explorer.ui.state import Choice

LARGEST_MB = 200
WITHOUT_SPEC = ("csv", "tensorboard")  # the forms that a run of a module of one's own can take
NOTHING = (
    "Nothing has been run yet. Press Play in the Playground, train from a terminal with "
    "`explorer train plain-20 resnet-20`, or import a file that `explorer runs export` wrote: "
    "every run is kept here."
)
STYLE = """<style>
.differing {overflow-x: auto; font-variant-numeric: tabular-nums}
.differing table {border-collapse: collapse; font-size: 0.875rem}
.differing :is(th, td) {padding: 0.3rem 0.75rem; text-align: left; border: 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent);
  min-width: 5rem; max-width: 16rem; overflow-wrap: anywhere; vertical-align: baseline}
.differing th {font-weight: 600}
.differing th:first-child {max-width: none; white-space: nowrap}
.export-links {display: flex; flex-direction: column; gap: 0.25rem}
.export-links a {padding: 0.25rem 0}
.export-links a, .plain-link {color: inherit; text-underline-offset: 0.2em}
</style>"""


def undo_line() -> None:
    """What was deleted last, and the way back."""
    ids = st.session_state.get(DELETED, [])
    if ids:
        with st.container(horizontal=True, vertical_alignment="center", key="undo_line"):
            st.markdown(f"{_runs(len(ids))} deleted.", width="content")
            st.button("Undo", key="undo", on_click=runs_actions.undo, args=(ids,))


def table() -> Selection | None:
    """All runs, or what to do where there are none; returns those selected, None without any."""
    store = lab().store
    look = runs_actions.look()
    if not store.table.rows(1):
        st.markdown(NOTHING)
        _link("/", "Open the Playground")
        return None
    components.table("runs", "/live/runs", look, store.table.tag(), runs_actions.remember)
    return selection(store, look.ids, len(look.ids))


def actions(chosen: Selection) -> None:
    """What can be done with the runs selected."""
    if not chosen.rows:
        st.caption(
            f"Select one or more runs to see their curves, up to {MOST_COMPARED} side by side; "
            "then they can be tagged, pinned, exported and deleted here."
        )
        return
    ids = [row.id for row in chosen.rows]
    pinned = all(row.pinned for row in chosen.rows)
    with st.container(horizontal=True, vertical_alignment="center", key="run_actions"):
        _open_link(chosen)
        with st.popover("Tag and annotate"):
            _annotation(chosen.rows, ids)
        st.button(
            "Unpin" if pinned else "Pin as reference",
            key="pin",
            help="Pinned runs are thin grey lines in the Playground's curves on the same data.",
            on_click=runs_actions.pin,
            args=(ids, not pinned),
        )
        if len(ids) == 1:
            with st.popover("Export"):
                _exports(chosen.rows[0])
            _share(chosen.rows[0])
        st.button(
            f"Delete {_runs(len(ids))}", key="delete", on_click=runs_actions.delete, args=(ids,)
        )


def _open_link(chosen: Selection) -> None:
    """The way to the Playground with the first selected run's arms; none for a watched run."""
    row = next((row for row in chosen.rows if row.spec is not None), None)
    try:
        comparison = lab().store.comparison(row.comparison) if row else None
    except StoreError:  # the data set of another arm is gone
        return
    if comparison is None:
        return
    choice = Choice(tuple(run.spec for run in comparison.runs), comparison.id)
    _link(f"/?{urlencode(choice.query, doseq=True)}", "Open in the Playground")


def _share(row: Row) -> None:
    """A link that rebuilds the run, with the arms it trained beside, and checks it."""
    if row.spec is None:
        return
    popover = st.popover("Share", key="share", on_change="rerun")
    if popover.open:
        with popover:
            found = lab().store.comparison(row.comparison)
            if found is not None:
                share_links(tuple(run.spec for run in found.runs), found)


def _link(address: str, label: str) -> None:
    """A link within the app; Streamlit's own ones need the navigation around the page."""
    link = f'<a class="plain-link" href="{html.escape(address)}">{html.escape(label)}</a>'
    st.html(STYLE + link, width="content")


def _annotation(rows: Sequence[Row], ids: Sequence[int]) -> None:
    """Tags and note of one run, or tags to add to several."""
    if len(rows) > 1:
        if st.session_state.get("annotated"):  # the form still holds those of a single run
            st.session_state.update({"annotated": "", TAGS: "", NOTE: ""})
        st.text_input("Tags to add, separated by commas", key=TAGS)
        st.text_area("Note, in place of theirs unless it is empty", key=NOTE, max_chars=4000)
        st.button("Add", key="add_tags", on_click=runs_actions.add_tags, args=(ids,))
        return
    (row,) = rows
    shown = f"{row.id}: {row.tags} {row.note}"
    if st.session_state.get("annotated") != shown:
        st.session_state["annotated"] = shown
        st.session_state[TAGS] = ", ".join(row.tags)
        st.session_state[NOTE] = row.note
    st.text_input("Tags, separated by commas", key=TAGS)
    st.text_area("Note", key=NOTE, max_chars=4000)
    st.button("Save", key="annotate", on_click=runs_actions.annotate, args=(ids,))


def _exports(row: Row) -> None:
    """A link for each form that a run can take; it is made when it is asked for."""
    from explorer.exports import FORMATS

    links = [
        f'<a href="/export/{row.id}/{name}">{html.escape(FORMATS[name].label)}</a>'
        for name in (FORMATS if row.spec is not None else WITHOUT_SPEC)
    ]
    st.html(f'{STYLE}<div class="export-links">{"".join(links)}</div>')


def comparison(chosen: Selection) -> None:
    """Curves, profile and findings of the runs selected, and what differs between them."""
    shown = Selection(chosen.rows[:MOST_COMPARED])
    url = f"/live/compare?{urlencode([('id', row.id) for row in shown.rows])}"
    # Mounted with nothing in it, too: plotly.js is there before the first run is selected.
    ids = ["curves", "profile", "sentences"] if shown.rows else []
    components.charts("compare", url, ids, wide=("sentences",))
    if len(chosen.rows) > MOST_COMPARED:
        st.caption(f"The first {MOST_COMPARED} of {len(chosen.rows)} are drawn.")
    held = shown.held_fixed()
    if held:
        st.markdown(escaped(held))
    if len(shown.rows) > 1:
        _differing(shown)


def _differing(shown: Selection) -> None:
    """The fields that differ as rows, one column a run."""
    lines = shown.differing()
    if not lines:
        st.markdown("Nothing differs: these are repetitions.")
        return
    heads = "".join(f'<th scope="col"><bdi>{html.escape(t)}</bdi></th>' for t in shown.labels)
    body = "".join(
        f'<tr><th scope="row">{html.escape(field)}</th>'
        + "".join(f"<td><bdi>{html.escape(value)}</bdi></td>" for value in values)
        + "</tr>"
        for field, values in lines
    )
    region = 'class="differing" role="region" tabindex="0" aria-label="What differs"'
    head = f'<thead><tr><th scope="col">Differs in</th>{heads}</tr></thead>'
    st.html(f"{STYLE}<div {region}><table>{head}<tbody>{body}</tbody></table></div>")


def keeping() -> None:
    """Import, disk use, and what was deleted lately."""
    store = lab().store
    aside = store.table.rows(deleted=True)
    with st.expander("Import, storage, deleted runs", expanded=not store.table.rows(1)):
        key = f"import_{st.session_state.get(IMPORTS, 0)}"
        st.file_uploader(
            "A JSON file that `explorer runs export` or the export above wrote",
            type="json",
            key=key,
            max_upload_size=LARGEST_MB,
            on_change=runs_actions.take_in,
            args=(key,),
        )
        st.markdown(f"The store takes {_size(store.size())}: {escaped(str(store.path))}")
        if aside:
            st.markdown(
                f"Set aside within the last day: {_runs(len(aside))}, deleted for good when the "
                "app starts again later."
            )
            ids = [row.id for row in aside]
            st.button("Take all back", key="take_back", on_click=runs_actions.undo, args=(ids,))


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


GUIDE = """
**Search** looks for every word in the network, the state, the device, tags, notes and numbers of
the runs. `state:done`, `norm:none` and `tag:mine` look into one field, `depth>20`, `error<5` and
`loss>=2` compare a number, `-plain` leaves out. Errors are in percent: 100 % less the accuracy, in
training the mean over the last epoch, in the test the newest over the whole test set. Of a module
of your own the newest reading counts.

**Select** runs with the boxes, or by a click on a row. The address names them, so that a copied
link shows the same comparison. Run numbers never come twice; the newest 1000 runs are listed.

**Gradient by block** is the newest reading of each run. Runs of unlike depth are drawn each
against its own blocks, the input on the left.
"""


def reading_guide() -> None:
    """How to read the page."""
    with st.expander("How to read this"):
        st.markdown(GUIDE)


def title(page: Path) -> None:
    """The question that the page answers."""
    st.title(question(page))
