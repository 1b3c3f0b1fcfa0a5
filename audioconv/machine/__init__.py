"""Programs for the machine in `kernels.program`: how they are written, where their memory lies, running them."""
