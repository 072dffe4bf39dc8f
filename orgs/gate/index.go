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

// at is where a key is, or the free slot where it would be put.
func (x *index) at(in uint64) int {
	for i := x.home(in); ; i = (i + 1) & (len(x.slots) - 1) {
		if s := &x.slots[i]; s.known == nil || s.in == in {
			return i
		}
	}
}

func (x *index) get(in uint64) *known {
	if len(x.slots) == 0 {
		return nil
	}
	return x.slots[x.at(in)].known
}

// put puts it in the place of what was known before.
func (x *index) put(in uint64, n *known) {
	if 2*(x.used+1) > len(x.slots) {
		old := x.slots
		x.slots = make([]slot, max(8, 2*len(old)))
		for _, s := range old {
			if s.known != nil {
				x.slots[x.at(s.in)] = s
			}
		}
	}
	s := &x.slots[x.at(in)]
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
	hole, mask := x.at(in), len(x.slots)-1
	for i := (hole + 1) & mask; x.slots[i].known != nil; i = (i + 1) & mask {
		if home := x.home(x.slots[i].in); (i-home)&mask >= (i-hole)&mask {
			x.slots[hole], hole = x.slots[i], i
		}
	}
	x.slots[hole] = slot{}
	x.used--
}

// random is one of those that are in it, not the same each time. There must be some.
func (x *index) random() (in uint64) {
	for i := rand.IntN(len(x.slots)); ; i = (i + 1) & (len(x.slots) - 1) {
		if s := &x.slots[i]; s.known != nil {
			return s.in
		}
	}
}
