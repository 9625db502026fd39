"""The app. Reads Run, sends Control; computes nothing."""
