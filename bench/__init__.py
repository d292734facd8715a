"""Benchmarks: the product measured against limits and peers, in rounds that take turns."""
