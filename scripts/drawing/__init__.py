"""What the pictures of docs/convolution.md are drawn with."""
