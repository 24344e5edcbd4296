"""What these pages show, in the address: `?net=resnet-56,width=8,steps=300@300&image=test:17`.

They share networks, image and block, so that a visitor goes from page to page with the same ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from explorer.experiments.inside_questions import IMAGE, PLAIN, PLAIN_20, RESIDUAL
from explorer.spec import SpecError
from explorer.ui.state import complain

MOST_NETS = 4
MOST_ON = {
    "gradient_profile": 4,
    "sum_node": 1,
}  # what a page shows at most; two are shown on the others
USUAL_NETS = (PLAIN, RESIDUAL)
# A plain network of 56 layers has learned so little that it has little to lose.
USUAL_ON: dict[str, tuple[str, ...]] = {
    "lesions": (PLAIN_20, RESIDUAL),
    "paths": (RESIDUAL,),
    "product_of_factors": (),
    "gradient_profile": (f"{PLAIN}@0", f"{RESIDUAL}@0"),
    "shattering": (),
    "jacobians": (f"{PLAIN}@0", f"{RESIDUAL}@0"),
    "gradient_by_depth": (f"{PLAIN}@0", f"{RESIDUAL}@0"),
    "sum_node": (f"{RESIDUAL}@0",),
}
LONGEST_NET, LONGEST_IMAGE, LONGEST_WORD = 2000, 31_000, 4000  # characters
# What else an address may say, a page's own: the allowed values, the usual one first.
WORDS: dict[str, tuple[str, ...]] = {
    "what": (
        *("response_std", "ratio", "cosine", "effective_rank", "dead_share"),
        *("probe_accuracy", "lens_accuracy", "lens_confidence"),
    ),
    "others": ("0", "1"),
    "debiased": ("1", "0"),
    "pooled": ("1", "0"),
    "n": ("3", "1", "2", "4", "5", "6"),
    "draws": ("16", "4", "64", "200"),
    "harm": ("delete", "zero_output", "noise_residual", "noise_output"),
    "mode": ("delete", "swap"),
    "reestimate": ("0", "1"),
    "blocks": ("24", "2", "4", "8", "16", "50", "100"),
    "grid": ("shown", "inits", "norms"),
    "activation": ("relu", "tanh", "linear"),
    "seeds": ("8", "1", "2", "4", "16", "32"),
    "variant": ("as_is", "no_act", "projection", "zeroed", "cut"),
}
NUMBERS = {"target": 999, "steps": 1000, "layers": 1000, "width": 1024}  # the largest of a number
FREE = ("order0", "order1", "methods", "variance", "base")  # read by their page


@dataclass(frozen=True)
class InsideChoice:
    """Networks by their names in the address, an image, a block from 1, and words.

    No networks means those that a page usually shows, block 0 the page's own choice.
    """

    nets: tuple[str, ...] = ()
    image: str = IMAGE
    block: int = 0
    words: Mapping[str, str] = field(default_factory=dict)

    def nets_on(self, page: str) -> tuple[str, ...]:
        """The networks that the page shows."""
        nets = self.nets or USUAL_NETS
        usual = USUAL_ON.get(page)
        if usual is not None and (not self.nets or not usual):
            nets = usual
        return nets[: MOST_ON.get(page, 2)]

    def word(self, name: str) -> str:
        """A word of the page's own; the usual one if the address does not say."""
        return self.words.get(name) or WORDS.get(name, ("",))[0]

    def number(self, name: str) -> int | None:
        """A number of the page's own, if the address says it."""
        return int(self.words[name]) if self.words.get(name) else None

    def but(self, **words: str) -> "InsideChoice":
        """The same with other words; an empty one is left out."""
        return replace(self, words={**self.words, **words})

    @property
    def query(self) -> dict[str, Any]:
        """The query parameters that say so; defaults are left out."""
        said: dict[str, Any] = {
            "net": list(self.nets),
            "image": self.image if self.image != IMAGE else "",
            "block": str(self.block) if self.block else "",
        }
        said |= {
            name: word for name, word in self.words.items() if word != WORDS.get(name, ("",))[0]
        }
        return {name: value for name, value in said.items() if value}


def read_inside(query: Mapping[str, str], nets: Sequence[str]) -> InsideChoice:
    """The choice that an address names; SpecError of one line if it names none.

    Whether its networks and its image are there, only their use tells.
    """
    if len(nets) > MOST_NETS:
        raise SpecError("net", f"{len(nets)} networks", f"at most {MOST_NETS}")
    for name, text, longest in (
        *(("net", net, LONGEST_NET) for net in nets),
        ("image", query.get("image", ""), LONGEST_IMAGE),
    ):
        if len(text) > longest:
            raise SpecError(name, text[:40], f"at most {longest} characters")
    words = {name: query[name] for name in (*WORDS, *NUMBERS, *FREE) if query.get(name)}
    for name, word in words.items():
        _check(name, word)
    block = query.get("block") or "0"
    _check_number("block", block, 10_000)
    return InsideChoice(tuple(nets), query.get("image") or IMAGE, int(block), words)


def _check(name: str, word: str) -> None:
    if name in WORDS and word not in WORDS[name]:
        raise SpecError(name, word[:40], f"choose one of {', '.join(WORDS[name])}")
    if name in NUMBERS:
        _check_number(name, word, NUMBERS[name])
    if len(word) > LONGEST_WORD:
        raise SpecError(name, word[:40], f"at most {LONGEST_WORD} characters")


def _check_number(name: str, text: str, most: int) -> None:
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) <= most):
        raise SpecError(name, text[:40], f"a whole number up to {most}")


def current_inside() -> InsideChoice:
    """The choice in the address bar; what cannot be read gives way to the default, and is said."""
    try:
        words = {name: st.query_params[name] for name in st.query_params}
        return read_inside(words, st.query_params.get_all("net"))
    except SpecError as error:
        complain(str(error))
        st.query_params.clear()
        return InsideChoice()


def choose_inside(choice: InsideChoice) -> None:
    """Put `choice` into the address bar; the next run of the script shows it."""
    st.query_params.from_dict(choice.query)


def inside_url(page: str, choice: InsideChoice, show: tuple[str, ...]) -> str:
    """The address of the page's live view, with the figures in `show`, on this server."""
    words = {**choice.query, "show": ",".join(show)}
    return f"/live/inside/{page}?{urlencode(words, doseq=True)}"
