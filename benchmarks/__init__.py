"""What `make bench` measures: ratios, each in one run, the contenders in turn."""
