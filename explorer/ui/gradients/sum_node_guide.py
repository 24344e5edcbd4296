"""How to read the Sum node page, and where it comes from."""

GUIDE = """
**The diagram** is one block, from its input at the top to its output. Every arrow carries two
numbers. ↓ is the standard deviation of the values on their way forward, over all entries of the
batch. ↑ is ‖dL/d(value)‖ on the way back, the L2 norm over the batch of the gradient of the mean
cross entropy. They are read from one forward and one backward pass through the whole network, in
training mode; the gradient that arrives at the output has come through all later blocks.

**The sum copies.** d(a + b)/da = d(a + b)/db = 1, so both inputs of the sum receive its gradient
entry by entry, whatever the network has learned. This is the whole trick of a skip connection: F
may weaken or twist the gradient, the shortcut hands on another copy that F never touched.

**The fork adds.** x is read twice, so dL/dx is the sum of what comes back both ways. Vectors add,
norms do not: two gradients that point the same way make a longer one, opposite ones cancel.

**What is no copy.** A ReLU after the sum lets a gradient through only where the sum is above 0:
so do all blocks of He et al. 2015, and the blocks of 2016 (`block=preact`) do without it. A
projection multiplies by its weights. A gate multiplies by a number: F times 0 leaves x alone, and
teaches F nothing; with the skip cut the block is a plain one.

**Not drawn**: nodes that change nothing, which are gates of 1 and a shortcut that is x itself.

**What to try.** `resnet-56,width=8,block=preact`: nothing stands after the sum. A block that
changes the shape, such as 10 or 19 of `resnet-56`: zero padding drops three of four pixels, and
with them their gradient. `plain-56,width=8`: one way only.
"""

SOURCES = """
The block: He et al. 2015, arXiv 1512.03385, fig. 2; projections: its section 3.3, options B and C.
Sum and fork in the backward pass, and the ReLU after the sum: He et al. 2016, arXiv 1603.05027,
equations 4 and 5 and section 4. Numbers: PyTorch's autograd, a tensor an arrow.
"""
