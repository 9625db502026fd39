"""What checkpoints are like and how they differ, computed from weights and text; no screen, no commands."""
