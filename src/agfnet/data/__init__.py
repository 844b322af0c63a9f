"""What a case is: the cases table, its splits, its images and the way they reach the network."""
