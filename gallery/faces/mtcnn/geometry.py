"""How large the pictures are that MTCNN's nets look at: they were trained so."""

CELL_PX = 12
"""PNet's window: what one of its cells sees of a pyramid level."""
STRIDE_PX = 2
"""From one of PNet's cells to the next, in pixels of a level."""
RNET_PX = 24
ONET_PX = 48
"""Sides of the crops that RNet and ONet take."""
