"""Measure and mend English inclination in multilingual embedding models. The library: never imports prefect."""
