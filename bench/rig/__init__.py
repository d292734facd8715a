"""What the benchmarks share: the product's processes, people by the thousand, sinks, figures."""
