"""Reading the state of jobs from providers."""
