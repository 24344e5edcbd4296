"""Inside the blocks of a network: what x, F(x) and their sum hold, and what is lost without them.

Every function reads a network and leaves it as it was, bit for bit: its mode, gates, buffers,
gradients and the random numbers of torch. What takes long calls `report(done, total)` now and
then, which may raise to cancel it.
"""
