"""Pictures: the same layers train on an image folder and on arrays."""

from audioconv.images.read import IMAGE_SUFFIXES, read

__all__ = ["IMAGE_SUFFIXES", "read"]
