"""`make bench`: what the product costs, as ratios taken in one run."""
