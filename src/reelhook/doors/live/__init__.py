"""Events as they happen, over a connection that stays open."""
