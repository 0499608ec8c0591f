"""`kill -9` at each named failpoint of delivering: `python -m bench.crash --runs 1000`."""
