"""act(F(x) + x) with two 3x3 layers."""

from explorer.blocks import Layer, block_form

block_form(
    "basic",
    Layer(3, strided=True),
    "norm",
    "act",
    Layer(3, outer=True),
    "norm",
    act_after_sum=True,
    source="He et al. 2015, arXiv 1512.03385, fig. 2 and fig. 5 left",
)
