"""A study: models x engines x settings x workloads, each combination a cell that is measured several times."""
