"""Python's own stack, in linear memory, overflows in this build through cached recursion: a trap, and a defined exit."""
import functools


@functools.lru_cache(maxsize=None)
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


print(depth(20), flush=True)
print(depth(900), flush=True)
