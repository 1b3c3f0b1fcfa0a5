"""Compiler of networks: a graph of fused layers, and programs of instructions for forward and backward pass."""
