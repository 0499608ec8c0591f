"""The log lines of the program."""
