"""Methods to compare with, one file each, all behind AGFnet's interface."""
