"""The search for frequent itemsets: a depth-first walk over blocks of bit rows.

How it works
------------
*Bits.* An itemset's baskets are a row of bits in 64-bit words; those of a larger itemset are the AND of two rows, and
its count is their popcount. numpy does both for a whole block of itemsets per call, so the walk spends its time in
loops over words and not in Python.

*Weights.* A row of baskets with weight w is written once per set bit of w, in the plane of that bit, and the popcounts
of plane b are worth 2^b. A million customers in a few thousand distinct baskets become a few thousand bits.

*Projection.* Items are ranked rare before frequent, and itemsets grow from their rarest item. Under item i only the
baskets with i matter, so its rows are cut to them: most rows become some words long. Deeper in, rows are cut again
when that costs less than it saves.

*Two roots.* The pairs under each item are found either from the lists of items (`_list_roots`: all pairs of each
basket are counted in one table; the work is the square of the basket width, whatever the number of items) or from
words of item bits (`_word_root`: the words are turned into a bit row per item, and pairs are candidates like any other;
the work is baskets times items, however wide the baskets are). Both give the same itemsets; the cheaper one by estimate
is taken.

Nothing is sampled and no count is approximate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mining.association.baskets import BasketError, Baskets, Integers, PackedBaskets, merged_rows, row_order

__all__ = ["FoundItemsets", "OutputBoundError", "count_itemsets", "search"]

Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Small = npt.NDArray[np.int32]

TILE_WORDS = 1 << 15
"""Words ANDed and counted at once: 256 kB, the size at which a core's own cache still holds the operands."""
CANDIDATE_WORDS = 1 << 22
"""Words of candidates looked at before going deeper, which bounds the memory of the walk: 32 MB per level."""
TABLE_CELLS = 1 << 22
"""Cells of the table of pair counts held at once: 32 MB. Above 2,000 items they are counted in several ranges."""
KEYS_AT_ONCE = 1 << 21
"""Pairs of basket members put into the table at once: 16 MB of keys."""
SPREAD_BYTES = 1 << 26
"""Bytes (one per bit to be) of the rows under a range of items held at once: 64 MB."""
CUT_RATIO = 2
"""Rows are cut only to itemsets that hold less than one in so many of their bits: fewer words remain."""
CUT_CALL = 150_000
CUT_WORD = 40
"""A cut costs about 100 microseconds and 20 ns a word, and spares up to words x siblings squared: in half nanoseconds.
Measured on 30 to 60 items of independent shares; a third less or more of each changes the whole by a tenth."""
WIDE_WORDS = 128
"""Rows at least this long may be cut again; for shorter ones a call costs more than the words it saves."""
MAXIMUM_ITEMS = 1 << 16
"""Frequent items the search takes on: the table of pairs would have 4,300,000,000 cells beyond."""


class OutputBoundError(Exception):
    """More itemsets than allowed; `sizes` are the numbers found so far, by length."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__(f"more itemsets than allowed: {sizes}")
        self.sizes = sizes


@dataclass
class FoundItemsets:
    """Itemsets as they are found: each is one of the level before it and one more item.

    ``parents[k]``, ``items[k]`` and ``counts[k]`` are pieces of the itemsets of k + 1 items: the place of the first k
    items in the level before, the last item's rank, and the count.
    """

    limit: int
    parents: list[list[Integers]] = field(default_factory=list)
    items: list[list[Integers]] = field(default_factory=list)
    counts: list[list[Integers]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def add_items(self, counts: Integers) -> None:
        """Record the single items, by rank."""
        self.add(1, np.zeros(len(counts), dtype=np.int64), np.arange(len(counts)), counts)

    def add(self, length: int, parents: Integers, items: Integers, counts: npt.NDArray[np.number]) -> Integers:
        """Record itemsets of `length` items and return their places in their level."""
        while len(self.sizes) < length:
            self.sizes.append(0)
            for pieces in (self.parents, self.items, self.counts):
                pieces.append([])
        first = self.sizes[length - 1]
        self.sizes[length - 1] += len(items)
        if sum(self.sizes) > self.limit:
            raise OutputBoundError(self.sizes)
        self.parents[length - 1].append(parents)
        self.items[length - 1].append(items)
        self.counts[length - 1].append(counts.astype(np.int64))
        return np.arange(first, first + len(items))

    def levels(self, labels: Integers) -> tuple[list[Small], list[Integers]]:
        """Return the codes (ascending in a row, rows in order) and counts per length; `labels` is the code per rank."""
        ranks: npt.NDArray[np.int64] = np.empty((1, 0), dtype=np.int64)
        codes_by_level, counts_by_level = [], []
        found = sum(size > 0 for size in self.sizes)  # a level without itemsets ends them
        for parents, items, counts in zip(self.parents[:found], self.items[:found], self.counts[:found], strict=True):
            ranks = np.column_stack([ranks[np.concatenate(parents)], np.concatenate(items)])
            codes = np.sort(labels[ranks], axis=1).astype(np.int32)
            order = row_order(codes, int(labels.max()) + 1)
            codes_by_level.append(codes[order])
            counts_by_level.append(np.concatenate(counts)[order])
        return codes_by_level, counts_by_level


@dataclass
class _Rows:
    """Baskets as words of item bits, in the order of the bits of a block: the other way to read the same cells.

    words : (baskets and padding, words of items); bit_of : by rank, the place of the item's bit, -1 where it has none.
    """

    words: Words
    bit_of: Integers


@dataclass
class _Block:
    """Itemsets of one length with their bit rows, siblings (same items but the last) beside each other.

    bits : (itemsets, words); plane_words : (planes,), how many of the words belong to each plane; ends : (itemsets,),
    where the siblings of each end; ranks : of the last items; places : in the level of `FoundItemsets`; rows : what the
    bits stand for, where it is at hand.
    """

    bits: Words
    plane_words: Integers
    ends: Integers
    ranks: Integers
    places: Integers
    rows: _Rows | None = None


def search(
    baskets: Baskets | PackedBaskets, min_count: int, *, max_len: int | None, limit: int
) -> tuple[list[Small], list[Integers]]:
    """Return the codes and counts of all itemsets of at least `min_count` baskets, by length.

    Parameters
    ----------
    baskets : Baskets or PackedBaskets
        The baskets.
    min_count : int
        At least 1.
    max_len : int or None
        Longest itemset wanted.
    limit : int
        Most itemsets wanted.

    Raises
    ------
    OutputBoundError
        When there are more than `limit`.
    BasketError
        When more than 65,536 items are frequent.
    """
    found = FoundItemsets(limit)
    walk = _Walk(min_count, max_len or len(baskets.items), found)
    if not len(baskets.weights):
        return [], []
    merged = merged_rows(baskets)
    if isinstance(merged, PackedBaskets):
        labels, counts, root = _word_root(merged, walk)
        if _words_are_cheaper(merged.widths, len(labels)):
            found.add_items(counts)
            walk.grow(root, 1)
            return found.levels(labels)
        merged = merged.unpack()
    counts = merged.item_counts()
    labels = _ranked(counts, min_count)
    if not len(labels):
        return [], []
    is_frequent = counts >= min_count
    widths = np.diff(np.append(0, np.cumsum(is_frequent[merged.codes], dtype=np.int64))[merged.offsets])
    if _words_are_cheaper(widths, len(labels)):
        ranked, counts, root = _word_root(merged.without(~is_frequent).pack(), walk)
        found.add_items(counts)
        walk.grow(root, 1)
        return found.levels(np.sort(labels)[ranked])
    found.add_items(counts[labels])
    if walk.max_len > 1:
        for block in _list_roots(merged, labels, walk):
            walk.grow(block, 2)
    return found.levels(labels)


def count_itemsets(baskets: Baskets | PackedBaskets, itemsets: Integers) -> Integers:
    """Return how many baskets hold each itemset, whether frequent or not.

    Parameters
    ----------
    baskets : Baskets or PackedBaskets
        At least one row.
    itemsets : ndarray of int, shape (itemsets, items)
        Codes of the items.
    """
    needed, codes = np.unique(itemsets, return_inverse=True)
    codes = codes.reshape(itemsets.shape)
    packed = baskets if isinstance(baskets, PackedBaskets) else baskets.without(~_marked(needed, baskets)).pack()
    planes = _planes(packed.weights)
    rows, plane_words = _planed(packed.words, planes)
    bits = _columns(rows, needed if isinstance(baskets, PackedBaskets) else np.arange(len(needed)))
    scale = np.repeat([worth for worth, _ in planes], plane_words)
    counts = np.zeros(len(codes))
    at_once = max(1, CANDIDATE_WORDS // max(1, len(scale)))
    for start in range(0, len(codes), at_once):
        some = codes[start : start + at_once]
        held = bits[some[:, 0]]
        for column in some.T[1:]:
            held &= bits[column]
        counts[start : start + at_once] = _popcounts(held, scale)
    return counts.astype(np.int64)


def _marked(codes: Integers, baskets: Baskets) -> npt.NDArray[np.bool_]:
    marked = np.zeros(len(baskets.items), dtype=bool)
    marked[codes] = True
    return marked


def _ranked(counts: Integers, min_count: int) -> Integers:
    """Return the codes of the frequent items, rare before frequent."""
    frequent = np.flatnonzero(counts >= min_count)
    if len(frequent) > MAXIMUM_ITEMS:
        raise BasketError(
            f"{len(frequent):,} items are in at least {min_count:,} baskets; the search takes {MAXIMUM_ITEMS:,} items: "
            "raise min_count or min_support."
        )
    return frequent[np.argsort(counts[frequent], kind="stable")]


def _words_are_cheaper(widths: Integers, items: int) -> bool:
    """Estimate which of the two roots costs less, in nanoseconds measured on one core of a server of 2023."""
    members = float(widths.sum())
    by_lists = 4.0 * float((widths.astype(np.float64) ** 2).sum()) + 60.0 * members
    by_words = items * (1.5 * len(widths) + 0.15 * members + 50_000.0)
    return by_words < by_lists


class _Walk:
    """The bounds of one search, and the growth of a block into all that follows from it."""

    def __init__(self, min_count: int, max_len: int, found: FoundItemsets) -> None:
        self.min_count = min_count
        self.max_len = max_len
        self.found = found
        self.worth: Floats = np.empty(0)
        """What a bit of each plane counts."""
        self.pairs: npt.NDArray[np.bool_] | None = None
        """Whether two ranks (lower, higher) are a frequent pair, when the whole table is at hand."""

    def grow(self, block: _Block, length: int) -> None:
        """Record everything that extends the itemsets of a block, which have `length` items."""
        if length >= self.max_len:
            return
        words = block.bits.shape[1]
        siblings = block.ends - np.arange(len(block.ends)) - 1
        if words >= WIDE_WORDS:
            kept = _popcounts(block.bits, np.ones(words))
            pays = siblings**2 * words > CUT_CALL + CUT_WORD * words
            cut = np.flatnonzero(pays & (kept * CUT_RATIO < 64 * words))
            siblings[cut] = 0
            self._grow_cut(block, cut, length)
        scale = np.repeat(self.worth, block.plane_words)
        so_far = np.cumsum(siblings)
        candidates_at_once = max(1, CANDIDATE_WORDS // words)
        start = 0
        while start < len(siblings):
            before = so_far[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(so_far, before + candidates_at_once, side="right")))
            left = np.repeat(np.arange(start, stop), siblings[start:stop])
            right = left + 1 + _within(siblings[start:stop])
            start = stop
            if self.pairs is not None:
                possible = self.pairs[block.ranks[left], block.ranks[right]]
                left, right = left[possible], right[possible]
            if not len(left):
                continue
            counts = _pair_counts(block.bits, scale, left, right)
            frequent = np.flatnonzero(counts >= self.min_count)
            left, right = left[frequent], right[frequent]
            places = self.found.add(length + 1, block.places[left], block.ranks[right], counts[frequent])
            child = _joined(block, left, right, places)
            if child is not None:
                self.grow(child, length + 1)

    def _grow_cut(self, block: _Block, cut: Integers, length: int) -> None:
        """Record everything that extends some itemsets of a block by cutting the rows to their baskets."""
        rows, end_of_rows = block.rows, -1
        waiting: list[_Block] = []
        for place in cut.tolist():
            others = np.arange(place + 1, block.ends[place])
            if rows is None or (block.rows is None and end_of_rows != block.ends[place]):
                rows, end_of_rows = _rows_of(block, place), int(block.ends[place])
            bits, plane_words, kept = _cut(block, place, rows, block.ranks[others])
            counts = _popcounts(bits, np.repeat(self.worth, plane_words))
            frequent = np.flatnonzero(counts >= self.min_count)
            if not len(frequent):
                continue
            ranks = block.ranks[others[frequent]]
            parents = np.full(len(frequent), block.places[place])
            places = self.found.add(length + 1, parents, ranks, counts[frequent])
            if len(frequent) == 1:
                continue
            child = _Block(
                bits[frequent], plane_words, np.full(len(ranks), len(ranks)), ranks, places, _Rows(kept, rows.bit_of)
            )
            if bits.shape[1] >= WIDE_WORDS:
                self.grow(child, length + 1)
                continue
            child.rows = None
            waiting.append(child)
            if sum(one.bits.size for one in waiting) > TILE_WORDS:
                self.grow(_merged(waiting), length + 1)
                waiting = []
        if waiting:
            self.grow(_merged(waiting), length + 1)


def _planes(weights: Integers) -> list[tuple[float, Integers]]:
    """Return for each bit of the weights what it is worth and the rows that have it."""
    planes = []
    for bit in range(int(weights.max(initial=0)).bit_length()):
        rows = np.flatnonzero(weights >> bit & 1)
        if len(rows):
            planes.append((float(1 << bit), rows))
    return planes


def _word_root(packed: PackedBaskets, walk: _Walk) -> tuple[Integers, Integers, _Block]:
    """Return the codes and counts of the frequent items by rank, and the block of them."""
    planes = _planes(packed.weights)
    walk.worth = np.array([worth for worth, _ in planes])
    padded, plane_words = _planed(packed.words, planes)
    bits = _columns(padded, np.arange(len(packed.items)))
    counts = _popcounts(bits, np.repeat(walk.worth, plane_words)).astype(np.int64)
    ranked = _ranked(counts, walk.min_count)
    ranks = np.arange(len(ranked))
    ends = np.full(len(ranked), len(ranked))
    return ranked, counts[ranked], _Block(bits[ranked], plane_words, ends, ranks, ranks, _Rows(padded, ranked))


def _planed(words: Words, planes: list[tuple[float, Integers]]) -> tuple[Words, Integers]:
    """Return the rows once for each plane they are in, planes padded to whole words of bits, and these words."""
    plane_words = -(-np.array([len(rows) for _, rows in planes]) // 64)
    padded = np.zeros((64 * int(plane_words.sum()), words.shape[1]), dtype=np.uint64)
    starts = 64 * (np.cumsum(plane_words) - plane_words)
    for (_, rows), start in zip(planes, starts.tolist(), strict=True):
        padded[start : start + len(rows)] = words if len(rows) == len(words) else words[rows]
    return padded, plane_words


def _columns(rows: Words, places: Integers) -> Words:
    """Return the given bits of all rows as bit rows of their own, shape (places, rows / 64)."""
    octets = rows.view(np.uint8)
    needed, column = np.unique(places >> 3, return_inverse=True)
    upright = np.empty((len(needed), len(rows)), dtype=np.uint8)
    for number, octet in enumerate(needed.tolist()):
        upright[number] = octets[:, octet]
    masks = np.uint8(1) << (places & 7).astype(np.uint8)
    bits = np.empty((len(places), len(rows) // 8), dtype=np.uint8)
    at_once = max(1, 8 * TILE_WORDS // max(1, len(rows)))
    for start in range(0, len(places), at_once):
        some = slice(start, start + at_once)
        bits[some] = np.packbits(upright[column[some]] & masks[some, None], axis=1, bitorder="little")
    return bits.view(np.uint64)


def _rows_of(block: _Block, place: int) -> _Rows:
    """Return the rows behind the siblings from `place` on, read from their bits."""
    bits = block.bits[place : block.ends[place]]
    octets = np.zeros((64 * bits.shape[1], 8 * (-(-len(bits) // 64))), dtype=np.uint8)
    for start in range(0, len(bits), 8):
        cells = np.unpackbits(bits[start : start + 8].view(np.uint8), axis=1, bitorder="little")
        octets[:, start // 8] = np.packbits(cells, axis=0, bitorder="little")[0]
    bit_of = np.full(int(block.ranks.max()) + 1, -1)
    bit_of[block.ranks[place : block.ends[place]]] = np.arange(len(bits))
    return _Rows(octets.view(np.uint64), bit_of)


def _cut(block: _Block, place: int, rows: _Rows, others: Integers) -> tuple[Words, Integers, Words]:
    """Return the bit rows of other items within the baskets of an itemset, their words per plane, and these baskets."""
    kept = np.flatnonzero(np.unpackbits(block.bits[place].view(np.uint8), bitorder="little").view(bool))
    sizes = np.diff(np.searchsorted(kept, 64 * np.cumsum(block.plane_words)), prepend=0)
    plane_words = -(-sizes // 64)
    words = np.zeros((64 * int(plane_words.sum()), rows.words.shape[1]), dtype=np.uint64)
    source = 0
    starts = 64 * (np.cumsum(plane_words) - plane_words)
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        np.take(rows.words, kept[source : source + size], axis=0, out=words[start : start + size], mode="clip")
        source += size
    return _columns(words, rows.bit_of[others]), plane_words, words


def _joined(block: _Block, left: Integers, right: Integers, places: Integers) -> _Block | None:
    """Return the block of the ANDs of pairs of siblings, without those that have no sibling themselves."""
    sizes = np.bincount(left, minlength=len(block.ends))
    grows = sizes[left] > 1
    if not grows.any():
        return None
    sizes = sizes[sizes > 1]
    bits = block.bits[left[grows]]
    bits &= block.bits[right[grows]]
    return _Block(
        bits,
        block.plane_words,
        np.repeat(np.cumsum(sizes), sizes),
        block.ranks[right[grows]],
        places[grows],
        block.rows,
    )


def _merged(blocks: list[_Block]) -> _Block:
    """Return several blocks as one; rows of the shorter ones are padded, plane by plane."""
    if len(blocks) == 1:
        return blocks[0]
    plane_words = np.max([block.plane_words for block in blocks], axis=0)
    starts = np.cumsum(plane_words) - plane_words
    sizes = np.array([len(block.ends) for block in blocks])
    firsts = np.cumsum(sizes) - sizes
    bits = np.zeros((int(sizes.sum()), int(plane_words.sum())), dtype=np.uint64)
    for block, first in zip(blocks, firsts.tolist(), strict=True):
        source = 0
        for start, size in zip(starts.tolist(), block.plane_words.tolist(), strict=True):
            bits[first : first + len(block.ends), start : start + size] = block.bits[:, source : source + size]
            source += size
    return _Block(
        bits,
        plane_words,
        np.concatenate([block.ends + first for block, first in zip(blocks, firsts, strict=True)]),
        np.concatenate([block.ranks for block in blocks]),
        np.concatenate([block.places for block in blocks]),
    )


def _popcounts(bits: Words, scale: Floats) -> Floats:
    """Return what the set bits of each row count, shape (rows,)."""
    counts = np.empty(len(bits))
    at_once = max(1, TILE_WORDS // max(1, bits.shape[1]))
    for start in range(0, len(bits), at_once):
        counts[start : start + at_once] = np.bitwise_count(bits[start : start + at_once]).astype(np.float64) @ scale
    return counts


def _pair_counts(bits: Words, scale: Floats, left: Integers, right: Integers) -> Floats:
    """Return the weighted popcounts of the ANDs of pairs of rows, tile by tile."""
    words = bits.shape[1]
    counts = np.zeros(len(left))
    width = min(words, TILE_WORDS // 4)
    height = max(1, TILE_WORDS // width)
    one, other = np.empty((2, height, width), dtype=np.uint64)
    ones = np.empty((height, width), dtype=np.uint8)
    for word in range(0, words, width):
        columns = slice(word, min(words, word + width))
        for start in range(0, len(left), height):
            some = slice(start, min(len(left), start + height))
            size = some.stop - start
            a, b = one[:size, : columns.stop - word], other[:size, : columns.stop - word]
            if width == words:
                np.take(bits, left[some], axis=0, out=a, mode="clip")
                np.take(bits, right[some], axis=0, out=b, mode="clip")
                np.bitwise_and(a, b, out=a)
            else:
                np.bitwise_and(bits[left[some], columns], bits[right[some], columns], out=a)
            popcounts = np.bitwise_count(a, out=ones[:size, : columns.stop - word])
            counts[some] += popcounts.astype(np.float64) @ scale[columns]
    return counts


def _within(lengths: Integers) -> Integers:
    """Return 0..n-1 for each n of `lengths`, after each other."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)


@dataclass
class _Lists:
    """Baskets of one plane and about one width, as ranks in columns.

    ranks : (width, baskets), ascending down a column, padded with the number of ranks; bits : the bit place of each
    member among the baskets with the same item; worth : what one basket counts.
    """

    plane: int
    worth: int
    ranks: Small
    bits: Small


def _list_roots(baskets: Baskets, ranked: Integers, walk: _Walk) -> Iterator[_Block]:
    """Record the pairs of each basket and yield the blocks they grow from."""
    total = len(ranked)
    lists, members = _lists(baskets, ranked)
    if not lists:
        return
    walk.worth = np.array([next(one.worth for one in lists if one.plane == plane) for plane in range(members.shape[1])])
    step = max(1, TABLE_CELLS // (total + 1))
    for low in range(0, total - 1, step):
        high = min(total, low + step)
        table = np.zeros((high - low + 1, total + 1), dtype=np.int64)  # the last row and column hold the padding
        for plane in range(members.shape[1]):
            groups = [group for group in lists if group.plane == plane]
            for keys, _ in _pair_keys(groups, low, high, total):
                table += np.bincount(keys, minlength=table.size).reshape(table.shape) * groups[0].worth
        table = table[:-1, :-1]
        first, second = np.nonzero(table >= walk.min_count)
        if not len(first):
            continue
        places = walk.found.add(2, first + low, second, table[first, second])
        if step >= total:
            walk.pairs = table >= walk.min_count
        if walk.max_len > 2:
            yield from _pair_blocks(lists, members, (first + low, second, places))


def _lists(baskets: Baskets, ranked: Integers) -> tuple[list[_Lists], Integers]:
    """Return the baskets of two or more frequent items by plane and width, and the members per rank and plane."""
    rank_of = np.full(len(baskets.items), -1, dtype=np.int32)
    rank_of[ranked] = np.arange(len(ranked))
    ranks = rank_of[baskets.codes]
    kept = ranks >= 0
    offsets = np.concatenate([[0], np.cumsum(kept)])[baskets.offsets]
    shape = (len(baskets.weights), len(ranked))
    members = sparse.csr_array((np.ones(int(kept.sum()), dtype=bool), ranks[kept], offsets), shape=shape)
    ranks = np.append(members.tocsc().tocsr().indices, np.int32(len(ranked)))  # twice transposed: sorted in each row
    widths = np.diff(offsets)
    steps = [*range(2, 17)]
    while steps[-1] < widths.max(initial=0):
        steps.append(steps[-1] * 9 // 8)  # padding adds at most an eighth, and there are few distinct widths
    padded = np.array(steps)[np.searchsorted(steps, np.maximum(widths, 2))]
    lists: list[_Lists] = []
    sizes = []
    for plane, (worth, rows) in enumerate(_planes(np.where(widths > 1, baskets.weights, 0))):
        groups = []
        for width in np.unique(padded[rows]):
            of_width = rows[padded[rows] == width]
            place = np.arange(width)[:, None]
            inside = place < widths[of_width]
            columns = ranks[np.where(inside, offsets[of_width] + place, len(ranks) - 1)]
            groups.append(_Lists(plane, int(worth), columns, columns))
        flat = np.concatenate([group.ranks.ravel() for group in groups])
        by_rank = sparse.csr_array(
            (np.arange(len(flat)), flat, np.arange(len(flat) + 1)), shape=(len(flat), len(ranked) + 1)
        ).tocsc()
        of_rank = np.diff(by_rank.indptr).astype(np.int64)
        bits = np.empty(len(flat), dtype=np.int32)
        bits[by_rank.data] = _within(of_rank)
        ends = np.cumsum([group.ranks.size for group in groups])
        for group, piece in zip(groups, np.split(bits, ends[:-1]), strict=True):
            group.bits = piece.reshape(group.ranks.shape)
        lists += groups
        sizes.append(of_rank[:-1])
    return lists, np.array(sizes).T


def _pair_keys(lists: list[_Lists], low: int, high: int, total: int) -> Iterator[tuple[Integers, Small]]:
    """Yield all pairs with a first rank in [low, high): cells of the table of pairs, and the bit place of the first."""
    keys = np.empty(KEYS_AT_ONCE, dtype=np.int64)
    bits = np.empty(KEYS_AT_ONCE, dtype=np.int32)
    filled = 0
    for group in lists:
        for place in range(len(group.ranks) - 1):
            first, first_bits, rest = group.ranks[place], group.bits[place], group.ranks[place + 1 :]
            if low > 0 or high < total:
                chosen = np.flatnonzero((first >= low) & (first < high))
                first, first_bits, rest = first[chosen], first_bits[chosen], rest[:, chosen]
            cells = (first.astype(np.int64) - low) * (total + 1)
            at_once = max(1, KEYS_AT_ONCE // len(rest))
            for start in range(0, len(first), at_once):
                columns = slice(start, start + at_once)
                shape = rest[:, columns].shape
                size = shape[0] * shape[1]
                if filled + size > KEYS_AT_ONCE:
                    yield keys[:filled], bits[:filled]
                    filled = 0
                np.add(rest[:, columns], cells[columns], out=keys[filled : filled + size].reshape(shape))
                bits[filled : filled + size].reshape(shape)[:] = first_bits[columns]
                filled += size
    if filled:
        yield keys[:filled], bits[:filled]


@dataclass
class _Batch:
    """Neighbouring ranks whose rows share one layout: `words` per plane; pairs [start, stop)."""

    words: Integers
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Words of all its rows."""
        return int(self.words.sum()) * (self.stop - self.start)


_Pairs = tuple[Integers, Integers, Integers]
"""First ranks (ascending), second ranks and places of frequent pairs."""


def _pair_blocks(lists: list[_Lists], members: Integers, pairs: _Pairs) -> Iterator[_Block]:
    """Yield the blocks of the given pairs; a pair without a sibling cannot grow."""
    first, second, places = pairs
    parents, family, sizes = np.unique(first, return_inverse=True, return_counts=True)
    grows = sizes[family] > 1
    first, second, places = first[grows], second[grows], places[grows]
    parents, sizes = parents[sizes > 1], sizes[sizes > 1]
    starts = np.cumsum(sizes) - sizes
    batches: list[_Batch] = []
    for parent, start, size in zip(parents, starts.tolist(), sizes.tolist(), strict=True):
        words = -(-members[parent] // 64)
        last = batches[-1] if batches else None
        if last is not None:
            shared = np.maximum(last.words, words)
            wasted = int(shared.sum()) > 4 + 3 * int(np.minimum(last.words, words).sum()) // 2
            if not wasted and int(shared.sum()) * (start + size - last.start) * 64 <= SPREAD_BYTES:
                last.words, last.stop = shared, start + size
                continue
        batches.append(_Batch(words, start, start + size))
    load: list[_Batch] = []
    for batch in [*batches, None]:
        if load and (batch is None or sum(one.size for one in load) + batch.size > SPREAD_BYTES // 64):
            yield from _spread(lists, members.shape, load, (first, second, places))
            load = []
        if batch is not None:
            load.append(batch)


def _spread(lists: list[_Lists], shape: tuple[int, ...], load: list[_Batch], pairs_of: _Pairs) -> Iterator[_Block]:
    """Write the bit rows of the pairs of some batches and yield one block for each batch."""
    first, second, places = pairs_of
    total = shape[0]
    pairs = slice(load[0].start, load[-1].stop)
    low, high = int(first[pairs.start]), int(first[pairs.stop - 1]) + 1
    if 2 * (high - low) > total and (total + 1) ** 2 <= TABLE_CELLS:
        low, high = 0, total  # to take all pairs is cheaper than to choose most
    widths = np.concatenate([np.full(batch.stop - batch.start, batch.words.sum()) for batch in load])
    word_ends = np.cumsum(widths)
    plane_places = np.zeros((total + 1, shape[1]), dtype=np.int32)
    for batch in load:
        ranks = slice(int(first[batch.start]), int(first[batch.stop - 1]) + 1)
        plane_places[ranks] = 64 * (np.cumsum(batch.words) - batch.words)
    placed = [
        _Lists(group.plane, group.worth, group.ranks, group.bits + plane_places[group.ranks, group.plane])
        for group in lists
    ]
    rows = np.empty(int(word_ends[-1]), dtype=np.uint64)
    cells = (first[pairs] - low) * (total + 1) + second[pairs]
    start = 0
    while start < len(cells):
        done = int(word_ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(word_ends, done + SPREAD_BYTES // 64, side="right")))
        number = np.full((high - low + 1) * (total + 1), -1, dtype=np.int32)
        number[cells[start:stop]] = np.arange(stop - start)
        row_starts = 64 * (word_ends[start:stop] - widths[start:stop] - done)
        chosen = np.zeros(64 * (int(word_ends[stop - 1]) - done), dtype=np.uint8)
        for keys, bits in _pair_keys(placed, low, high, total):
            pair = number[keys]
            wanted = np.flatnonzero(pair >= 0)
            chosen[row_starts[pair[wanted]] + bits[wanted]] = 1
        rows[done : word_ends[stop - 1]] = np.packbits(chosen, bitorder="little").view(np.uint64)
        start = stop
    done = 0
    for batch in load:
        size = batch.stop - batch.start
        sizes = np.unique(first[batch.start : batch.stop], return_counts=True)[1]
        yield _Block(
            rows[done : done + batch.size].reshape(size, -1),
            batch.words,
            np.repeat(np.cumsum(sizes), sizes),
            second[batch.start : batch.stop],
            places[batch.start : batch.stop],
        )
        done += batch.size
