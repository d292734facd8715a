"""Whether sending is well: one page for the operator, a strip on every page, and /metrics."""
