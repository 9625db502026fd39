"""Models and records given to other tools, and models taken from them."""
