"""F(x) + x with norm and activation before each layer, so that the sum is left alone."""

from explorer.blocks import Layer, block_form

block_form(
    "preact",
    "norm",
    "act",
    Layer(3, strided=True),
    "norm",
    "act",
    Layer(3, outer=True),
    act_after_sum=False,
    source="He et al. 2016, arXiv 1603.05027, fig. 4 (e), full pre-activation",
)
