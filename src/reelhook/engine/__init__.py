"""The loops that move jobs forward (submit, resolve, watch, deliver, sweep), and their runner."""
