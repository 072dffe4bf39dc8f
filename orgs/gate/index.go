package gate

import "math/rand/v2"

// index finds what is known of a key by the first bytes of its hash: a table with open addressing, at most half full, in which
// a look-up touches one line of memory where a map touches two. The zero index is empty.
type index struct {
	slots []slot // a power of two of them
	used  int
}

type slot struct {
	in    uint64
	known *known // nil: nothing
}

// home is where a key would be if nobody were there. Its lowest bits say in which index it is.
func (x *index) home(in uint64) int { return int(in>>shardBits) & (len(x.slots) - 1) }

// at is the slot of a key, or the free one where it would be put.
func (x *index) at(in uint64) *slot {
	for i := x.home(in); ; i = (i + 1) & (len(x.slots) - 1) {
		if s := &x.slots[i]; s.known == nil || s.in == in {
			return s
		}
	}
}

func (x *index) get(in uint64) *known {
	if len(x.slots) == 0 {
		return nil
	}
	return x.at(in).known
}

// put puts it in the place of what was known before.
func (x *index) put(in uint64, n *known) {
	if 2*(x.used+1) > len(x.slots) {
		old := x.slots
		x.slots = make([]slot, max(8, 2*len(old)))
		for _, s := range old {
			if s.known != nil {
				*x.at(s.in) = s
			}
		}
	}
	s := x.at(in)
	if s.known == nil {
		x.used++
	}
	*s = slot{in, n}
}

// remove takes it out, and brings those behind it that have been displaced by it nearer to their homes.
func (x *index) remove(in uint64) {
	if x.get(in) == nil {
		return
	}
	mask := len(x.slots) - 1
	hole := x.home(in)
	for x.slots[hole].in != in || x.slots[hole].known == nil {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; x.slots[i].known != nil; i = (i + 1) & mask {
		if home := x.home(x.slots[i].in); (i-home)&mask >= (i-hole)&mask {
			x.slots[hole], hole = x.slots[i], i
		}
	}
	x.slots[hole] = slot{}
	x.used--
}

// any is one of those that are in it, not the same each time; ok is false where there is none.
func (x *index) any() (in uint64, ok bool) {
	if x.used == 0 {
		return 0, false
	}
	for i := rand.IntN(len(x.slots)); ; i = (i + 1) & (len(x.slots) - 1) {
		if s := &x.slots[i]; s.known != nil {
			return s.in, true
		}
	}
}
