"""Cases: the table, its splits, the images, and batches for the network."""
