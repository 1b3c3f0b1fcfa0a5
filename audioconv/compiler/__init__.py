"""From a network to a program: its layers, merged where they can be, as instructions for the machine."""
