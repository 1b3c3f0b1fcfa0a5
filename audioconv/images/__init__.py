"""Pictures: reading and augmentation."""

from audioconv.images.read import IMAGE_SUFFIXES, read

__all__ = ["IMAGE_SUFFIXES", "read"]
