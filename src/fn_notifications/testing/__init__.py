"""What tests of this package and of adapters to it are made of: Hypothesis strategies and conformance suites."""
