"""Data sets from archives: located, extracted, sampled and written as a folder."""
