"""Faults of data sets: measured, found, told and drawn."""
