"""The finished samples of runs, and the attempts they are made of."""
