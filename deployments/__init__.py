"""How the flows become a service: what is deployed, which processes serve it, what happens when a run goes wrong."""
