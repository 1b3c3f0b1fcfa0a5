"""Data sets made from archives: located, extracted, sampled, and put down as a folder."""
