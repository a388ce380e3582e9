"""Searches replayed on tables of measured architectures."""
