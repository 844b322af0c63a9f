"""Baselines: other fusion methods, one file each, with the interface of AGFnet."""
