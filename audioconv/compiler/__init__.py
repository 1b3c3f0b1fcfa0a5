"""Compiler: a network as a graph of fused layers, and its programs of instructions."""
