package rbac

import (
	"hash/maphash"
	"maps"
)

// table is a map that never changes: with and without return the next one, which shares nearly everything
// with it. The zero table is empty.
type table[V any] struct {
	shards []map[string]V // a power of two of them
	size   int
}

// perShard is how many entries a shard has at most, on average: what a change copies.
const perShard = 64

var shardSeed = maphash.MakeSeed()

func (t *table[V]) shard(key string) int {
	if len(t.shards) == 1 {
		return 0
	}
	return int(maphash.String(shardSeed, key)) & (len(t.shards) - 1)
}

func (t *table[V]) get(key string) (v V, ok bool) {
	if len(t.shards) == 0 {
		return v, false
	}
	v, ok = t.shards[t.shard(key)][key]
	return v, ok
}

// with returns the table with the entry.
func (t *table[V]) with(key string, v V) *table[V] {
	next := t.grown(t.size + 1)
	i := next.shard(key)
	if _, there := next.shards[i][key]; !there {
		next.size++
	}
	shard := maps.Clone(next.shards[i])
	if shard == nil {
		shard = map[string]V{}
	}
	shard[key] = v
	next.shards[i] = shard
	return next
}

// without returns the table without the entry.
func (t *table[V]) without(key string) *table[V] {
	if _, there := t.get(key); !there {
		return t
	}
	next := t.grown(t.size)
	i := next.shard(key)
	next.shards[i] = maps.Clone(next.shards[i])
	delete(next.shards[i], key)
	next.size--
	return next
}

// grown returns a table that may be written to shard by shard, with room for so many entries.
func (t *table[V]) grown(size int) *table[V] {
	n := max(1, len(t.shards))
	for n*perShard < size {
		n *= 2
	}
	next := &table[V]{make([]map[string]V, n), t.size}
	if n == len(t.shards) {
		copy(next.shards, t.shards)
		return next
	}
	for key, v := range t.all {
		next.put(key, v)
	}
	return next
}

// put changes a table that nobody else has seen.
func (t *table[V]) put(key string, v V) {
	i := t.shard(key)
	if t.shards[i] == nil {
		t.shards[i] = make(map[string]V, perShard/2)
	}
	t.shards[i][key] = v
}

// all walks the entries in no order.
func (t *table[V]) all(yield func(string, V) bool) {
	for _, shard := range t.shards {
		for key, v := range shard {
			if !yield(key, v) {
				return
			}
		}
	}
}
