"""Attribution maps of a network, and sanity checks of their reliability."""
