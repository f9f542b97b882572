"""CodeBLEU of Python programs (Ren et al., arXiv 2009.10297), on the standard library's syntax tree.

Choices, where implementations differ: see ``code_bleu``.
"""

from __future__ import annotations

import ast
import hashlib
import keyword
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from trueline.estimators.bleu import MAX_ORDER, brevity, n_gram_matches
from trueline.tasks.python_source import parse_python, preorder

#: Weight of a token that is no keyword, in the weighted unigram precision.
OTHER_WEIGHT = 0.2


def code_bleu(program: str, reference: str) -> float:
    """Mean of four parts, each in [0, 1]; higher = more alike.

    1. BLEU-4 on tokens split at white space, precisions above unigrams smoothed by adding one to both sides;
    2. the same with keywords of the language weighted 1 and other tokens 0.2 in the unigram precision;
    3. the share of the reference's subtrees (kinds of nodes, leaves left out) that the program has too;
    4. the share of the reference's (target, source) pairs of assignments, variables numbered by first use, that the program has too;
       1 where the reference assigns nothing.

    Parts 3 and 4 are 0 where either side does not parse.
    """
    given, wanted = program.split(), reference.split()
    plain = _bleu(given, wanted, lambda token: 1.0)
    weighted = _bleu(given, wanted, lambda token: 1.0 if keyword.iskeyword(token) else OTHER_WEIGHT)
    one, two = parse_python(program), parse_python(reference)
    trees = flows = 0.0
    if one is not None and two is not None:
        trees = _share(Counter(_subtrees(two)), Counter(_subtrees(one)))
        flows = _share(Counter(_assignments(two)), Counter(_assignments(one)))
    return (plain + weighted + trees + flows) / 4


def _bleu(given: Sequence[str], wanted: Sequence[str], weight: Callable[[str], float]) -> float:
    counts, known = Counter(given), Counter(wanted)
    total = math.fsum(weight(token) * count for token, count in counts.items())
    hits = math.fsum(weight(token) * min(count, known[token]) for token, count in counts.items())
    if not hits:
        return 0.0
    logs = [math.log(hits / total)]
    logs += [math.log((n_gram_matches(given, wanted, n) + 1) / (max(0, len(given) - n + 1) + 1)) for n in range(2, MAX_ORDER + 1)]
    return brevity(len(given), len(wanted)) * math.exp(math.fsum(logs) / MAX_ORDER)


def _share(wanted: Counter[str], given: Counter[str]) -> float:
    return (wanted & given).total() / wanted.total() if wanted else 1.0


def _subtrees(tree: ast.AST) -> Iterator[str]:
    """Each subtree with children, named by a digest of its kind and its children's: equal shapes, equal names. No recursion."""
    shape: dict[int, str] = {}
    for node in reversed(list(preorder(tree))):
        children = [shape[id(child)] for child in ast.iter_child_nodes(node)]
        name = type(node).__name__
        if children:
            name = _digest(f"{name}({','.join(children)})")
            yield name
        shape[id(node)] = name


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _assignments(tree: ast.AST) -> Iterator[str]:
    number: dict[str, int] = {}
    for node in preorder(tree):
        if isinstance(node, ast.arg):
            number.setdefault(node.arg, len(number))
        elif isinstance(node, ast.Name):
            number.setdefault(node.id, len(number))
    for node in preorder(tree):
        for target, source in _flows(node):
            yield f"{number[target]}<-{number[source]}"


def _flows(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(target, source) names of one assignment, loop or augmented assignment."""
    if isinstance(node, ast.Assign):
        targets: list[ast.AST] = list(node.targets)
        value: ast.AST | None = node.value
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr):
        targets, value = [node.target], node.value
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        targets, value = [node.target], node.iter
    else:
        return
    if value is None:
        return
    for target in (n.id for t in targets for n in preorder(t) if isinstance(n, ast.Name)):
        if isinstance(node, ast.AugAssign):
            yield target, target
        for source in (n.id for n in preorder(value) if isinstance(n, ast.Name)):
            yield target, source
