"""Tests: a package of its own, so that no other package called `tests` on the path is taken for it."""
