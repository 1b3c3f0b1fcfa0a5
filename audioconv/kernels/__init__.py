"""Numba kernels: arrays and integers in, the caller's out-array written. Nothing here checks or allocates results."""
