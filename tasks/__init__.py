"""Prefect adapters: names, caching, artifacts and progress around clir_core. No computing."""

from tasks.deployed_run import prepare

prepare()
