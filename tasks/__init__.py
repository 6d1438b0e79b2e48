"""Prefect adapters: names, caching, artifacts and progress around clir_core. No computing."""

from tasks.patience import wait_for_the_server

wait_for_the_server()
