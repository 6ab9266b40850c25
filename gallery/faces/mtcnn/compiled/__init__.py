"""MTCNN's nets as machine code for this processor: written in Python, compiled by numba when first needed."""
