"""Minimal filtering algorithms F(m, r), derived from points: exact matrices, their proof, straight-line code."""
