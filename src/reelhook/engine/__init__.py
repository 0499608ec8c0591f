"""The loops that move jobs on: submit, resolve, watch, deliver, sweep; one runner turns them."""
