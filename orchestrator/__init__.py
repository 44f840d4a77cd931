"""Orchestrator: a webhook-driven job orchestrator for media-generation APIs."""
