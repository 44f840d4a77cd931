"""Every request that leaves the service."""
