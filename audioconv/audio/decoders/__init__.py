"""Decoders of recordings, one a library or container, and the choice between them."""
