package rbac

import (
	"context"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// holdings is what a subject was granted in a context, each grant with what is taken from it.
type holdings []holding

type holding struct {
	granted []Permission
	removed []Permission
}

func (g *Guard) holdings(ctx context.Context, tx *store.Tx, orgID, teamID, subject string) (holdings, error) {
	held, err := Held(ctx, tx, orgID, subject)
	if err != nil || len(held) == 0 {
		return nil, err
	}
	scope, err := Scopes.Get(ctx, tx, orgID)
	if err != nil {
		return nil, err
	}
	snap, err := g.snapshots.get(ctx, tx, scope)
	if err != nil {
		return nil, err
	}
	p := snap.profile(held, teamID)
	if held[0].Kind == Key {
		p.Grants = []grant{{Key: true, Add: held[0].Add}}
	}
	p.NoPolicies = true
	var h holdings
	for i, grant := range p.Grants {
		for _, rule := range snap.grantRules(teamID, i, grant, p.Removed) {
			one, err := newHolding(rule.Statement.Actions, rule.Except)
			if err != nil {
				return nil, err
			}
			h = append(h, one)
		}
	}
	return h, nil
}

func newHolding(granted, removed []string) (h holding, err error) {
	parse := func(in []string) []Permission {
		var out []Permission
		for _, s := range in {
			p, perr := ParsePermission(s)
			if perr != nil {
				err = perr // cannot happen: they were parsed when they were written
			}
			out = append(out, p)
		}
		return out
	}
	return holding{parse(granted), parse(removed)}, err
}

// contain says whether one grant holds all that the permission holds. A removal that touches the
// permission in any part takes it from that grant.
func (h holdings) contain(want Permission) bool {
	return slices.ContainsFunc(h, func(one holding) bool {
		touched := slices.ContainsFunc(one.removed, func(r Permission) bool {
			return r.Contains(want) || want.Contains(r) || r.Overlaps(want)
		})
		return !touched && slices.ContainsFunc(one.granted, func(p Permission) bool { return p.Contains(want) })
	})
}

// list writes the holdings as permissions. A wildcard from which something was removed is written
// out as the registered actions that are left of it.
func (h holdings) list(v *Vocabulary) []string {
	var out []string
	for _, one := range h {
		for _, p := range one.granted {
			if !slices.ContainsFunc(one.removed, p.Overlaps) {
				out = append(out, p.String())
				continue
			}
			for _, action := range v.Actions() {
				left := !slices.ContainsFunc(one.removed, func(r Permission) bool { return r.Covers(action) })
				if left && p.Covers(action) {
					if p.Own() {
						action += ":own"
					}
					out = append(out, action)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
