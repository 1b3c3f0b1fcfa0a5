"""Programs of convolutions, copies and sums: how they are written, where their memory lies, and how they run."""
