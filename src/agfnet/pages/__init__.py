"""HTML pages: templates, and the blocks that reports are made of."""
