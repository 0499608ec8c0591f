"""The store: jobs, events, deliveries, attempts, accounts and leases in one database."""
