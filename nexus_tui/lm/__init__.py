"""The language model. Torch; knows nothing of runs, files of a run or screens."""
