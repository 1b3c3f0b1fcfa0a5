"""Spectrograms: front ends, their streams, and the scale of what a network takes."""
