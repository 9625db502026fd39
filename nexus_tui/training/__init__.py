"""The trainer: writes a run, takes wishes through Control."""
