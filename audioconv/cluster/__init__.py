"""Processes that compute together, on one machine or on several: what they share out, and how their sums are added."""
