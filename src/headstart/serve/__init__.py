"""A delivered model as a service: predictions and recommendations over HTTP.

Nothing is imported here: the packages of the extra `serve` are needed only where the service runs.
"""
