"""BytePlus and Volcengine Ark: Seedance."""
