"""How people see a release: pages, charts, worklists. Given a release path and nothing else."""
