package rbac

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"weak"
)

// directory says what every subject holds in one organization. It never changes.
type directory struct {
	subjects table[*stake]
	stakes   *stakes
}

// get returns what the subject holds, nil for nothing: strangers leave no trace.
func (d *directory) get(subject string) *stake {
	s, _ := d.subjects.get(subject)
	return s
}

// with returns the directory in which the subject holds this.
func (d *directory) with(subject string, held []Assignment) *directory {
	next := *d
	if len(held) == 0 {
		next.subjects = *d.subjects.without(subject)
	} else {
		seats := make([]seat, 0, len(held))
		for i := range held {
			seats = append(seats, held[i].seats()...)
		}
		next.subjects = *d.subjects.with(subject, d.stakes.of(seats))
	}
	return &next
}

// stake is what a subject holds in an organization. Those who hold the same share it.
type stake struct {
	held   []seat // sorted by team
	number uint32 // of the stakes of its organization, some of which are gone

	bindings
}

// bindings remember what a stake comes to.
type bindings struct {
	mu    sync.Mutex // of writers
	first atomic.Pointer[binding]
}

// binding is what a stake comes to under some rules, in one context. Only its next changes. What a question
// needs fills the first 64 bytes.
type binding struct {
	next  atomic.Pointer[binding]
	snap  *snapshot
	team  string
	above *[]*stake // those that count beside it, in the organizations above; nil for none
	bound bound
}

// maxBindings bounds what is remembered of a stake.
const maxBindings = 256

// find returns what was remembered.
func (s *bindings) find(snap *snapshot, team string, above []*stake) *bound {
	for b := s.first.Load(); b != nil; b = b.next.Load() {
		if b.snap == snap && b.team == team && b.rests(above) {
			return &b.bound
		}
	}
	return nil
}

func (b *binding) rests(above []*stake) bool {
	if b.above == nil {
		return len(above) == 0
	}
	return slices.Equal(*b.above, above)
}

// remember puts a binding first. What rested on other rules of the same organization is forgotten, and what is
// beyond the bound.
func (s *bindings) remember(fresh *binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh.next.Store(s.first.Load())
	n := 1
	for last, b := fresh, fresh.next.Load(); b != nil; b = b.next.Load() {
		if over := b.snap != fresh.snap && b.snap.orgID() == fresh.snap.orgID(); over || n == maxBindings {
			last.next.Store(b.next.Load())
			continue
		}
		last = b
		n++
	}
	s.first.Store(fresh)
}

// stakes finds the stake of those who hold the same. What nobody holds any more is forgotten.
type stakes struct {
	mu    sync.Mutex
	known map[string]weak.Pointer[stake]
	last  uint32
	sweep int // the size at which what is gone is looked for
	key   []byte
}

// of returns the stake of those who have these seats, which it sorts and does not keep.
func (s *stakes) of(seats []seat) *stake {
	slices.SortStableFunc(seats, func(a, b seat) int { return cmp.Compare(a.teamID, b.teamID) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = s.key[:0]
	for i := range seats {
		s.key = seats[i].append(s.key)
	}
	if st := s.known[string(s.key)].Value(); st != nil {
		return st
	}
	s.last++
	st := &stake{held: slices.Clone(seats), number: s.last}
	s.known[string(s.key)] = weak.Make(st)
	if len(s.known) > s.sweep {
		for key, p := range s.known {
			if p.Value() == nil {
				delete(s.known, key)
			}
		}
		s.sweep = 2*len(s.known) + 64
	}
	return st
}

// append writes the seat, each part apart from every other. The organization is that of the directory.
func (s *seat) append(b []byte) []byte {
	flags, bound, createdBy := byte(number(s.active)), "", ""
	if s.key != nil {
		flags |= 2 | byte(number(s.key.actsAsTeam))<<2
		bound, createdBy = s.key.bound, s.key.createdBy
	}
	b = appendTexts(append(b, flags), s.teamID, s.roleID, bound, createdBy)
	return appendTexts(appendTexts(b, s.add...), s.remove...)
}

// directoryBuilder makes a directory from assignments in any order.
type directoryBuilder struct {
	layer *layer
	all   []taken
}

// taken is a seat and who has it.
type taken struct {
	subject string
	seat
}

func (b *directoryBuilder) add(a *Assignment) {
	for _, s := range a.seats() {
		s.teamID, s.roleID = b.layer.same(s.teamID), b.layer.same(s.roleID)
		b.all = append(b.all, taken{a.Subject, s})
	}
}

func (b *directoryBuilder) directory() *directory {
	slices.SortStableFunc(b.all, func(a, b taken) int { return strings.Compare(a.subject, b.subject) })
	subjects := 0
	for i := range b.all {
		if i == 0 || b.all[i].subject != b.all[i-1].subject {
			subjects++
		}
	}
	d := &directory{subjects: *new(table[*stake]).grown(subjects), stakes: &stakes{known: map[string]weak.Pointer[stake]{}, sweep: 64}}
	d.subjects.size = subjects
	var held []seat
	for rest := b.all; len(rest) > 0; {
		held = held[:0]
		for len(held) < len(rest) && rest[len(held)].subject == rest[0].subject {
			held = append(held, rest[len(held)].seat)
		}
		d.subjects.put(rest[0].subject, d.stakes.of(held))
		rest = rest[len(held):]
	}
	return d
}
