"""An audit, an alignment, a night as plain functions: their steps in order, and what each is named by.

Needs neither Prefect nor, where the corpus is small, Ray: a Runner carries the steps out, Workers do the heavy ones.
"""
