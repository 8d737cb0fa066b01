"""Response, staging, endpoints. No code yet."""
