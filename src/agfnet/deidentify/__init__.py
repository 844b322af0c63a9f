"""Copies of images and tables without names, ids, dates and places."""
