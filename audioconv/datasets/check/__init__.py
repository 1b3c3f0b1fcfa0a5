"""Faults of data sets: measured, listed and drawn."""
