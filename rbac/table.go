package rbac

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
)

// table is a map that never changes: with and without return the next one, which shares nearly everything
// with it. The zero table is empty. A look-up touches few places of memory, since with many organizations
// each of them is a wait.
type table[V any] struct {
	shards []shard[V] // a power of two of them
	size   int
}

// shard is a part of a table, with open addressing.
type shard[V any] struct {
	slots []slot[V] // a power of two of them, never full
	used  int
}

type slot[V any] struct {
	hash  uint32 // 0 is an empty slot
	key   string
	value V
}

// perShard is how many entries a shard has at most, on average: what a change copies.
const perShard = 64

var shardSeed = maphash.MakeSeed()

func hashOf(key string) (place uint64, mark uint32) {
	h := maphash.String(shardSeed, key)
	return h, uint32(h>>32) | 1
}

func (t *table[V]) get(key string) (v V, ok bool) {
	if len(t.shards) == 0 {
		return v, false
	}
	place, mark := hashOf(key)
	if s := t.shards[place&uint64(len(t.shards)-1)].find(key, mark); s != nil {
		return s.value, true
	}
	return v, false
}

func (s *shard[V]) find(key string, mark uint32) *slot[V] {
	if len(s.slots) == 0 {
		return nil
	}
	for i := int(mark>>1) & (len(s.slots) - 1); ; i = (i + 1) & (len(s.slots) - 1) {
		switch at := &s.slots[i]; {
		case at.hash == 0:
			return nil
		case at.hash == mark && at.key == key:
			return at
		}
	}
}

// with returns the table with the entry.
func (t *table[V]) with(key string, v V) *table[V] {
	next := t.grown(t.size + 1)
	place, mark := hashOf(key)
	s := &next.shards[place&uint64(len(next.shards)-1)]
	s.slots = slices.Clone(s.slots)
	if s.put(key, mark, v) {
		next.size++
	}
	return next
}

// without returns the table without the entry.
func (t *table[V]) without(key string) *table[V] {
	if _, there := t.get(key); !there {
		return t
	}
	next := t.grown(t.size)
	place, _ := hashOf(key)
	s := &next.shards[place&uint64(len(next.shards)-1)]
	old := s.slots
	*s = shard[V]{}
	for i := range old {
		if old[i].hash != 0 && old[i].key != key {
			s.put(old[i].key, old[i].hash, old[i].value)
		}
	}
	next.size--
	return next
}

// grown returns a table that may be written to shard by shard, with room for so many entries.
func (t *table[V]) grown(size int) *table[V] {
	n := max(1, len(t.shards))
	for n*perShard < size {
		n *= 2
	}
	next := &table[V]{make([]shard[V], n), t.size}
	if n == len(t.shards) {
		copy(next.shards, t.shards)
		return next
	}
	for key, v := range t.all {
		next.put(key, v)
	}
	return next
}

// put changes a table that nobody else has seen. It does not count the entry.
func (t *table[V]) put(key string, v V) {
	place, mark := hashOf(key)
	t.shards[place&uint64(len(t.shards)-1)].put(key, mark, v)
}

// put changes a shard that nobody else has seen, and says whether the entry is new.
func (s *shard[V]) put(key string, mark uint32, v V) bool {
	if at := s.find(key, mark); at != nil {
		at.value = v
		return false
	}
	if 4*(s.used+1) > 3*len(s.slots) {
		old := s.slots
		s.slots = make([]slot[V], max(8, 2*len(old)))
		for i := range old {
			if old[i].hash != 0 {
				s.fill(old[i])
			}
		}
	}
	s.fill(slot[V]{mark, key, v})
	s.used++
	return true
}

func (s *shard[V]) fill(entry slot[V]) {
	i := int(entry.hash>>1) & (len(s.slots) - 1)
	for s.slots[i].hash != 0 {
		i = (i + 1) & (len(s.slots) - 1)
	}
	s.slots[i] = entry
}

// all walks the entries in no order that means anything.
func (t *table[V]) all(yield func(string, V) bool) {
	for i := range t.shards {
		for j := range t.shards[i].slots {
			if s := &t.shards[i].slots[j]; s.hash != 0 && !yield(s.key, s.value) {
				return
			}
		}
	}
}

// random returns any entry that fits, not the same one each time.
func (t *table[V]) random(fits func(V) bool) (v V, ok bool) {
	if len(t.shards) == 0 {
		return v, false
	}
	first := rand.IntN(len(t.shards))
	for i := range t.shards {
		slots := t.shards[(first+i)%len(t.shards)].slots
		if len(slots) == 0 {
			continue
		}
		at := rand.IntN(len(slots))
		for j := range slots {
			if s := &slots[(at+j)%len(slots)]; s.hash != 0 && fits(s.value) {
				return s.value, true
			}
		}
	}
	return v, false
}
