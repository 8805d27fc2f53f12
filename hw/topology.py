"""Order and depth of populations, also where connections form loops."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["components", "depths_of"]


def components(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the strongly connected parts of a network, sources first.

    Parameters
    ----------
    names : sequence of str
        Populations.
    edges : sequence of (str, str)
        (from, to).

    Returns
    -------
    list of tuple of str
        Each part in the order of `names`; a population without a loop is a part of its own.

    Examples
    --------
    >>> components(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "b")])
    [('a',), ('b', 'c')]
    """
    after: dict[str, list[str]] = {name: [] for name in names}
    before: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    finished: list[str] = []
    seen: set[str] = set()
    for name in names:
        _finish(name, after, seen, finished)
    parts: list[tuple[str, ...]] = []
    placed: set[str] = set()
    position = {name: k for k, name in enumerate(names)}
    for name in reversed(finished):
        if name not in placed:
            members: list[str] = []
            _finish(name, before, placed, members)
            parts.append(tuple(sorted(members, key=position.__getitem__)))
    return parts


def _finish(start: str, after: dict[str, list[str]], seen: set[str], finished: list[str]) -> None:
    """Append all that can be reached and was not seen, each after all that it leads to."""
    if start in seen:
        return
    seen.add(start)
    stack = [(start, iter(after[start]))]
    while stack:
        name, rest = stack[-1]
        for follower in rest:
            if follower not in seen:
                seen.add(follower)
                stack.append((follower, iter(after[follower])))
                break
        else:
            finished.append(name)
            stack.pop()


def depths_of(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the longest way from an input to each population, in connections; edges that close a loop do not count.

    Parameters
    ----------
    names : sequence of str
        Populations.
    edges : sequence of (str, str)
        (from, to).

    Returns
    -------
    dict of str to int
        0 for populations without predecessors.

    Examples
    --------
    >>> depths_of(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c"), ("c", "b")])
    {'a': 0, 'b': 1, 'c': 2}
    """
    order = [name for part in components(names, edges) for name in _unrolled(part, edges)]
    position = {name: k for k, name in enumerate(order)}
    depths = dict.fromkeys(order, 0)
    for name in order:
        sources = [source for source, target in edges if target == name and position[source] < position[name]]
        depths[name] = max((depths[source] + 1 for source in sources), default=0)
    return {name: depths[name] for name in names}


def _unrolled(part: tuple[str, ...], edges: Sequence[tuple[str, str]]) -> list[str]:
    """Order the members of a loop: breadth first from those that are fed from outside."""
    if len(part) == 1:
        return list(part)
    inside = set(part)
    fed = [name for name in part if any(t == name and s not in inside for s, t in edges)]
    order = fed or [part[0]]
    for name in order:
        order += [t for s, t in edges if s == name and t in inside and t not in order]
    return list(dict.fromkeys(order))
