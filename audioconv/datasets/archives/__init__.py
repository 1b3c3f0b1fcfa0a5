"""Untrusted archives: tar and zip, read in one pass, never written outside their folder."""
