"""A function that can't do without numba's runtime."""

from __future__ import annotations


def tell(number: int) -> None:
    print(number)


FUNCTIONS = {"tell": (tell, "void(i8)")}
