"""What `make torture` does to the program, each for real, and what must hold all the same."""
