"""Show explanations: overlays, sheets and pages."""
