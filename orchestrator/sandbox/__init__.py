"""A stand-in for WaveSpeed over real HTTP, for the demo, the tests and the benchmarks.

It imports nothing of the rest of the package, so that a mistake cannot be made twice and cancel out.
"""
