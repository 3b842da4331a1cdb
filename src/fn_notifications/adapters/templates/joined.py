"""A template and those it extends as one: no parent to look up at every message, and no block to call.

What comes out is what Jinja makes of the chain itself, which stays the way for whatever is not certain here: `super()`,
`self`, a parent known only while rendering, a block where a name means something else than around the block. Only what
fails in the chain, because a name has no value in a block, may come out here.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from jinja2 import Environment, nodes

_DECLARES: Final = (nodes.Import, nodes.FromImport, nodes.Macro, nodes.Assign, nodes.AssignBlock)
"""What a template that extends another does of its own, before the other: its texts are dropped."""
_DROPPED: Final = (nodes.Output, nodes.Block)
_OF_CHAINS: Final = frozenset({"self", "super"})


def joined(environment: Environment, tree: nodes.Template, name: str) -> nodes.Template:
    """One template for the chain that starts with this one, or this one. Raises what reading a parent raises."""
    blocks: dict[str, nodes.Block] = {}
    declared: list[nodes.Node] = []
    seen = [name]
    last = tree
    while last.body and isinstance(first := last.body[0], nodes.Extends):
        parent = _parent(environment, first, seen)
        if parent is None or not all(isinstance(node, (*_DECLARES, *_DROPPED)) for node in last.body[1:]):
            return tree
        declared += (node for node in last.body if isinstance(node, _DECLARES))
        blocks = {block.name: block for block in last.find_all(nodes.Block)} | blocks
        last = parent
    whole = nodes.Template(_inlined([*declared, *last.body], blocks), lineno=1)
    return tree if _needs_chain(whole) else whole.set_environment(environment)  # type: ignore[return-value]  # itself


def _parent(environment: Environment, extends: nodes.Extends, seen: list[str]) -> nodes.Template | None:
    """None for one that is not known by now, that escapes otherwise, or that was there before."""
    name = getattr(extends.template, "value", None)
    escapes = environment.autoescape
    if not isinstance(name, str) or name in seen or environment.loader is None or not callable(escapes):
        return None
    if escapes(name) != escapes(seen[0]):
        return None
    seen.append(name)
    return environment.parse(environment.loader.get_source(environment, name)[0], name)


def _inlined(body: Iterable[nodes.Node], blocks: Mapping[str, nodes.Block]) -> list[nodes.Node]:
    """The same with the last word on each block in its place, and neighbouring texts as one."""
    whole: list[nodes.Node] = []
    for piece in (piece for node in body for piece in _pieces(node, blocks)):
        before = whole[-1] if whole else None
        if isinstance(piece, nodes.Output) and isinstance(before, nodes.Output):
            whole[-1] = nodes.Output([*before.nodes, *piece.nodes], lineno=before.lineno)
        else:
            whole.append(piece)
    return whole


def _pieces(node: nodes.Node, blocks: Mapping[str, nodes.Block]) -> list[nodes.Node]:
    if isinstance(node, nodes.Block):
        block = blocks.get(node.name, node)
        if block.required or (_holds(block, nodes.Block) and _holds(block, *_DECLARES)):
            return [block]
        body = _inlined(block.body, blocks)
        texts_only = all(isinstance(piece, nodes.Output) for piece in body)
        return body if texts_only else [nodes.Scope(body, lineno=node.lineno)]
    if isinstance(node, nodes.If):
        return [_branches(node, blocks)]
    if isinstance(node, nodes.AssignBlock):
        return [nodes.AssignBlock(node.target, node.filter, _inlined(node.body, blocks), lineno=node.lineno)]
    return [node]


def _branches(node: nodes.If, blocks: Mapping[str, nodes.Block]) -> nodes.If:
    others = [_branches(other, blocks) for other in node.elif_]
    return nodes.If(node.test, _inlined(node.body, blocks), others, _inlined(node.else_, blocks), lineno=node.lineno)


def _holds(node: nodes.Node, *kinds: type[nodes.Node]) -> bool:
    return any(True for _ in node.find_all(kinds))


def _needs_chain(tree: nodes.Template) -> bool:
    names = {one.name for one in tree.find_all(nodes.Name)}
    return _holds(tree, nodes.Block, nodes.Extends) or not names.isdisjoint(_OF_CHAINS) or _reads_early(tree.body)


def _reads_early(body: list[nodes.Node]) -> bool:
    """Whether a name is read before it is bound, where a block of the chain would still see the variable so called."""
    later = set[str]()
    for node in reversed(body):
        later |= _bound(node)
        if later.intersection(one.name for one in node.find_all(nodes.Name) if one.ctx == "load"):
            return True
    return False


def _bound(node: nodes.Node) -> set[str]:
    """The names a node of the top level gives a value to, or may."""
    if isinstance(node, nodes.Scope):
        return set()
    found = {one.name for one in node.find_all(nodes.Name) if one.ctx == "store"}
    if isinstance(node, nodes.FromImport):
        return found | {name if isinstance(name, str) else name[1] for name in node.names}
    if isinstance(node, nodes.Import):
        return found | {node.target}
    return found | {node.name} if isinstance(node, nodes.Macro) else found
