package rbac

import (
	"fmt"
	"slices"
)

// builtin are the actions that this library asks for or decides on.
var builtin = []string{
	"analytics.read", "api_keys.create", "api_keys.delete", "api_keys.read", "api_keys.update", "api_keys.use",
	"audit.read", "audit.update", "billing.read", "billing.update", "budget.modify", "budget.read",
	"compliance.create", "compliance.read", "invoices.download", "invoices.read", "members.approve_requests",
	"members.invite", "members.read", "members.remove", "members.update", "models.read", "models.use",
	"organizations.create", "organizations.delete", "organizations.read", "organizations.suspend", "organizations.update",
	"payment_methods.read", "policies.create", "policies.delete", "policies.read", "policies.update",
	"projects.create", "projects.delete", "projects.read", "projects.update",
	"reports.create", "reports.delete", "reports.read", "reports.update",
	"roles.create", "roles.delete", "roles.read", "roles.update", "sso.read", "sso.update",
	"teams.create", "teams.delete", "teams.read", "teams.update", "usage.read", "usage.write",
}

// Vocabulary is the closed list of actions. What is not in it is refused, whatever a wildcard says.
// It never changes and is safe for concurrent use.
type Vocabulary struct{ actions []string }

// NewVocabulary returns the library's actions and the host's own.
func NewVocabulary(extra ...string) (*Vocabulary, error) {
	v := &Vocabulary{slices.Clone(builtin)}
	for _, s := range extra {
		a, err := ParseAction(s)
		if err != nil {
			return nil, fmt.Errorf("action %q: %w", s, err)
		}
		v.actions = append(v.actions, a)
	}
	slices.Sort(v.actions)
	v.actions = slices.Compact(v.actions)
	return v, nil
}

// Known says whether the action (canonical) is registered.
func (v *Vocabulary) Known(action string) bool {
	_, ok := slices.BinarySearch(v.actions, action)
	return ok
}

// Actions returns all of them, sorted.
func (v *Vocabulary) Actions() []string { return slices.Clone(v.actions) }
