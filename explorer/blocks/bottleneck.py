"""act(F(x) + x) where F narrows to a quarter, works there, and widens again."""

from explorer.blocks import Layer, block_form

block_form(
    "bottleneck",
    Layer(1, strided=True),  # the paper strides here; "v1.5" networks stride in the 3x3
    "norm",
    "act",
    Layer(3),
    "norm",
    "act",
    Layer(1, outer=True),
    "norm",
    act_after_sum=True,
    expansion=4,
    source="He et al. 2015, arXiv 1512.03385, fig. 5 right",
)
