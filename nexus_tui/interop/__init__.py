"""Other tools' runs, read in place: nothing is copied or changed, and no pickle is loaded."""
