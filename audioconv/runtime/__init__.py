"""Runtime of programs: their instructions, convolution algorithms, memory plans and execution."""
