"""Runtime of programs: instructions, convolution algorithms, memory plans, execution."""
