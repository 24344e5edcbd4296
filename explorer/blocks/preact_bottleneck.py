"""The bottleneck with norm and activation before each layer."""

from explorer.blocks import Layer, block_form

block_form(
    "preact_bottleneck",
    "norm",
    "act",
    Layer(1, strided=True),
    "norm",
    "act",
    Layer(3),
    "norm",
    "act",
    Layer(1, outer=True),
    act_after_sum=False,
    expansion=4,
    source="He et al. 2016, arXiv 1603.05027, table 3 (ResNet-164 and ResNet-1001)",
)
