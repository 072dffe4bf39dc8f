package rbac

import (
	"fmt"
	"slices"
	"sync"
)

// builtin are the actions that this library asks for or decides on.
var builtin = []string{
	"analytics.read", "api_keys.create", "api_keys.delete", "api_keys.read", "api_keys.update", "api_keys.use",
	"audit.read", "audit.update", "billing.read", "billing.update", "budget.modify", "budget.read",
	"compliance.create", "compliance.read", "invoices.download", "invoices.finalize", "invoices.mark_paid", "invoices.read", "invoices.void", "members.approve_requests",
	"members.invite", "members.read", "members.remove", "members.update", "models.read", "models.use",
	"organizations.create", "organizations.delete", "organizations.read", "organizations.suspend", "organizations.update",
	"payment_methods.read", "policies.create", "policies.delete", "policies.read", "policies.update",
	"projects.create", "projects.delete", "projects.read", "projects.update",
	"reports.create", "reports.delete", "reports.read", "reports.update",
	"roles.create", "roles.delete", "roles.read", "roles.update", "sso.read", "sso.update",
	"teams.create", "teams.delete", "teams.read", "teams.update", "usage.read", "usage.write",
	"webhooks.create", "webhooks.delete", "webhooks.read", "webhooks.update",
}

// Vocabulary is the closed list of actions. What is not in it is refused, whatever a wildcard says.
// It never changes and is safe for concurrent use.
type Vocabulary struct {
	actions []string // sorted; an Action is a place in it
	index   map[string]Action

	mu    sync.Mutex
	cover map[string]actionSet // by pattern, what was asked for
}

// Action is an action of a [Vocabulary], looked up once for many questions. The zero Action is none:
// nobody may do it.
type Action struct{ place uint32 } // from 1

// NewVocabulary returns the library's actions and the host's own.
func NewVocabulary(extra ...string) (*Vocabulary, error) {
	v := &Vocabulary{actions: slices.Clone(builtin)}
	for _, s := range extra {
		a, err := ParseAction(s)
		if err != nil {
			return nil, fmt.Errorf("action %q: %w", s, err)
		}
		v.actions = append(v.actions, a)
	}
	slices.Sort(v.actions)
	v.actions = slices.Compact(v.actions)
	v.index, v.cover = make(map[string]Action, len(v.actions)), map[string]actionSet{}
	for i, a := range v.actions {
		v.index[a] = Action{uint32(i + 1)}
	}
	return v, nil
}

// Action returns the action of that name in canonical form, the zero Action where there is none.
func (v *Vocabulary) Action(name string) Action { return v.index[name] }

// Name is the canonical form of an action of this vocabulary, "" for the zero Action.
func (v *Vocabulary) Name(a Action) string {
	if a.place == 0 {
		return ""
	}
	return v.actions[a.place-1]
}

// Known says whether the action (canonical) is registered.
func (v *Vocabulary) Known(action string) bool { return v.index[action] != Action{} }

// Actions returns all of them, sorted.
func (v *Vocabulary) Actions() []string { return slices.Clone(v.actions) }

// actionSet is a set of actions of one vocabulary, a bit for each; nil is empty.
type actionSet []uint64

func (s actionSet) has(a Action) bool {
	i := a.place / 64
	return i < uint32(len(s)) && s[i]&(1<<(a.place%64)) != 0
}

// set returns the actions that are meant.
func (v *Vocabulary) set(means func(action string) bool) actionSet {
	s := make(actionSet, len(v.actions)/64+1)
	for i, name := range v.actions {
		if place := uint32(i + 1); means(name) {
			s[place/64] |= 1 << (place % 64)
		}
	}
	return s
}

// maxCovers bounds what is remembered of patterns, which tenants write.
const maxCovers = 1024

// covered returns the actions that a permission covers. The set is shared and must not be changed.
func (v *Vocabulary) covered(p Permission) actionSet {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, known := v.cover[p.pattern]; known {
		return s
	}
	if len(v.cover) >= maxCovers {
		clear(v.cover)
	}
	s := v.set(p.Covers)
	v.cover[p.pattern] = s
	return s
}

// coveredBy returns the actions that any of some permissions covers.
func (v *Vocabulary) coveredBy(permissions []Permission, counts func(Permission) bool) actionSet {
	all := make(actionSet, len(v.actions)/64+1)
	for _, p := range permissions {
		if counts(p) {
			for i, word := range v.covered(p) {
				all[i] |= word
			}
		}
	}
	return all
}

// without takes the actions of another set out.
func (s actionSet) without(o actionSet) actionSet {
	for i := range s {
		s[i] &^= o[i]
	}
	return s
}
