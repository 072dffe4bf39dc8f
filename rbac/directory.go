package rbac

import (
	"cmp"
	"encoding/binary"
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
		next.subjects = *d.subjects.with(subject, d.stakes.of(held))
	}
	return &next
}

// stake is what a subject holds in an organization. Those who hold the same share it.
type stake struct {
	held []Assignment // sorted by team, without what tells the holders apart

	mu     sync.Mutex
	bounds atomic.Pointer[[]binding]
}

// binding remembers what a stake comes to under some rules, in one context.
type binding struct {
	snap  *snapshot
	team  string
	own   *stake   // nil: only what comes from above
	above []*stake // in the organizations above
	bound *bound
}

// maxBindings bounds what a stake remembers.
const maxBindings = 256

func (s *stake) find(snap *snapshot, team string, own *stake, above []*stake) *bound {
	list := s.bounds.Load()
	if list == nil {
		return nil
	}
	for i := range *list {
		if b := &(*list)[i]; b.snap == snap && b.team == team && b.own == own && slices.Equal(b.above, above) {
			return b.bound
		}
	}
	return nil
}

func (s *stake) remember(b binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []binding
	if old := s.bounds.Load(); old != nil {
		for _, o := range *old {
			// What rested on other rules of the same organization is over.
			if o.snap == b.snap || o.snap.orgID() != b.snap.orgID() {
				list = append(list, o)
			}
		}
	}
	if len(list) >= maxBindings {
		list = slices.Delete(list, 0, maxBindings/2)
	}
	list = append(list, b)
	s.bounds.Store(&list)
}

// stakes finds the stake of those who hold the same. What nobody holds any more is forgotten.
type stakes struct {
	mu    sync.Mutex
	known map[string]weak.Pointer[stake]
	sweep int // the size at which what is gone is looked for
	key   []byte
}

func (s *stakes) of(held []Assignment) *stake {
	held = slices.Clone(held)
	slices.SortFunc(held, func(a, b Assignment) int { return cmp.Compare(a.TeamID, b.TeamID) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = s.key[:0]
	for i := range held {
		a := &held[i]
		for _, text := range [...]string{a.OrgID, a.TeamID, string(a.Kind), string(a.State), a.RoleID, a.Bound, a.CreatedBy} {
			s.key = append(binary.AppendUvarint(s.key, uint64(len(text))), text...)
		}
		for _, list := range [...][]string{a.Add, a.Remove} {
			s.key = binary.AppendUvarint(s.key, uint64(len(list)))
			for _, text := range list {
				s.key = append(binary.AppendUvarint(s.key, uint64(len(text))), text...)
			}
		}
		s.key = append(s.key, byte(number(a.ActsAsTeam)))
	}
	if st := s.known[string(s.key)].Value(); st != nil {
		return st
	}
	for i, a := range held {
		held[i] = Assignment{OrgID: a.OrgID, TeamID: a.TeamID, Kind: a.Kind, State: a.State, RoleID: a.RoleID,
			Add: a.Add, Remove: a.Remove, Bound: a.Bound, CreatedBy: a.CreatedBy, ActsAsTeam: a.ActsAsTeam}
	}
	st := &stake{held: held}
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

// directoryBuilder makes a directory from assignments in any order.
type directoryBuilder struct{ all []Assignment }

func newDirectoryBuilder() *directoryBuilder { return &directoryBuilder{} }

func (b *directoryBuilder) add(a Assignment) { b.all = append(b.all, a) }

func (b *directoryBuilder) directory() *directory {
	slices.SortFunc(b.all, func(a, b Assignment) int { return strings.Compare(a.Subject, b.Subject) })
	subjects := 0
	for i := range b.all {
		if i == 0 || b.all[i].Subject != b.all[i-1].Subject {
			subjects++
		}
	}
	d := &directory{subjects: *new(table[*stake]).grown(subjects), stakes: &stakes{known: map[string]weak.Pointer[stake]{}, sweep: 64}}
	d.subjects.size = subjects
	for rest := b.all; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Subject == rest[0].Subject {
			n++
		}
		d.subjects.put(rest[0].Subject, d.stakes.of(rest[:n]))
		rest = rest[n:]
	}
	return d
}
