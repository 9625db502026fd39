"""The record of a run. No torch anywhere: a run opens in milliseconds."""
