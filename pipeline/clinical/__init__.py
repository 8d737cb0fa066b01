"""Response, staging and endpoints from tables that others have read."""
