"""Flows: sequence only, one a file."""

from clir_core import telemetry

# from whatever runs a flow; before prefect and ray are imported
telemetry.switch_off()
