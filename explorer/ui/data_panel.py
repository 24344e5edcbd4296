"""Getting data: published sets downloaded when asked for, and a visitor's own images."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from explorer.catalog import BUILT_IN
from explorer.home import home
from explorer.processes import Chore
from explorer.ui.state import change, complain

CHORE = "chore"  # the session's one chore
LARGEST_MB = 200


def data_panel() -> None:
    """A popover: download a published data set, or add one's own images."""
    with st.popover("More data"):
        if CHORE in st.session_state:
            _progress()
            return
        st.markdown("**Download**, once, into this program's own folder")
        names = [name for name, info in BUILT_IN.items() if info.download_mb]
        label = {name: f"{name}, {BUILT_IN[name].download_mb} MB" for name in names}
        chosen = st.selectbox("Data set", names, format_func=label.__getitem__, key="to_download")
        st.button("Download", key="download", on_click=_download, args=(chosen,))
        st.markdown("**Your own images**: a folder with one subfolder per class, or a zip of it")
        st.text_input("Name", "mine", max_chars=40, key="own_name")
        st.file_uploader(
            "Zip", type="zip", key="own_zip", max_upload_size=LARGEST_MB, on_change=_add_zip
        )
        st.file_uploader(
            "Folder",
            accept_multiple_files="directory",
            key="own_folder",
            max_upload_size=LARGEST_MB,
            on_change=_add_folder,
        )


def _download(name: str) -> None:
    st.session_state[CHORE] = Chore(lambda: None, chore="download", name=name)


def _add_zip() -> None:
    upload = st.session_state["own_zip"]
    if upload is not None:
        _start("add_zip", {"upload.zip": upload}, [])


def _add_folder() -> None:
    uploads = st.session_state["own_folder"] or []
    if uploads:
        numbered = {str(index): upload for index, upload in enumerate(uploads)}
        _start("add_files", numbered, [upload.name for upload in uploads])


def _start(chore: str, uploads: dict[str, Any], names: list[str]) -> None:
    """Lay the uploads down under names of our own and have a worker read them."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="upload-", dir=home()))
        for name, upload in uploads.items():
            with (folder / name).open("wb") as file:
                shutil.copyfileobj(upload, file)
    except OSError as error:
        complain(f"upload: it could not be stored; {error.strerror}")
        return
    st.session_state[CHORE] = Chore(
        lambda: shutil.rmtree(folder, ignore_errors=True),
        chore=chore,
        folder=str(folder),
        name=st.session_state["own_name"],
        files=names,
    )


@st.fragment(run_every=0.5)
def _progress() -> None:
    chore: Chore = st.session_state[CHORE]
    if chore.ended:
        del st.session_state[CHORE]
        if chore.result:
            change("data", chore.result)
        else:
            complain(chore.error)
        st.rerun()
    share = chore.done / chore.total if chore.total else 0.0
    size = f"{chore.done / 1e6:.0f} of {chore.total / 1e6:.0f} MB" if chore.total else "working"
    st.progress(min(share, 1.0), text=size)
    st.button("Cancel", key="cancel_chore", on_click=chore.cancel)
