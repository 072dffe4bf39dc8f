package rbac

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Finding is a warning of a record that is there.
type Finding struct {
	Type   string `json:"type"` // policy, role, override, or settings
	ID     string `json:"id"`   // of the record; of settings, of the team or organization
	TeamID string `json:"team_id"`
	Warning
}

// LintPermissions warns of entries of a role, an override or a member that no registered action matches.
func (g *Guard) LintPermissions(field string, permissions []string) []Warning {
	l := linter{known: Knowledge{Vocabulary: g.vocabulary}}
	l.actions(field, permissions)
	return l.warnings
}

// Lint warns of everything in an organization that cannot do what it looks like: of what [Lint] warns of, in every
// policy that is enabled; of statements that one of another policy leaves nothing to say; of roles that give
// everything, or whose all is denied; of what roles, overrides and settings name and nothing matches. It needs
// policies.read and roles.read. The order is that of types and ids.
func (g *Guard) Lint(ctx context.Context, orgID string) (found []Finding, err error) {
	err = g.Read(ctx, Op{Action: "policies.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		if err := g.Read(ctx, Op{Action: "roles.read", OrgID: orgID}, func(context.Context, *store.Tx) error { return nil }); err != nil {
			return err
		}
		chain, err := Lineage(ctx, tx, orgID)
		if err != nil {
			return err
		}
		snap, err := g.memory.of(ctx, tx, chain, false)
		if err != nil {
			return err
		}
		l := organizationLint{guard: g, layers: snap.layers, own: snap.layers[0], now: tx.Now()}
		if err := l.policies(); err != nil {
			return err
		}
		l.roles()
		l.settings()
		found = l.found
		return nil
	})
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.TeamID, b.TeamID), cmp.Compare(a.ID, b.ID))
	})
	return found, err
}

// knowledge is what policies of a place are held against.
func (g *Guard) knowledge(ctx context.Context, tx *store.Tx, orgID, teamID string) (Knowledge, error) {
	scope, err := Scopes.Get(ctx, tx, orgID)
	if err != nil {
		return Knowledge{}, err
	}
	st, err := g.memory.state(ctx, tx, scope, false)
	if err != nil {
		return Knowledge{}, err
	}
	return g.knows(st.layer, teamID, tx.Now())
}

func (g *Guard) knows(l *layer, teamID string, now time.Time) (Knowledge, error) {
	may := map[string]bool{}
	for id, r := range l.roles {
		o := l.overrides[[2]string{teamID, id}]
		h, err := newHolding(slices.Concat(r.Permissions, o.add), o.remove)
		if err != nil {
			return Knowledge{}, err
		}
		may[r.SlugKey] = holdings{h}.contain(Permission{pattern: approving})
	}
	return Knowledge{Vocabulary: g.vocabulary, AnomalySource: g.opt.Anomaly != nil, Now: now, Approves: func(who string) bool {
		return strings.HasPrefix(who, "user:") || may[store.SlugKey(who)]
	}}, nil
}

// organizationLint collects what is found in one organization.
type organizationLint struct {
	guard  *Guard
	layers []*layer // the organization's and those above it
	own    *layer
	now    time.Time
	found  []Finding
}

func (l *organizationLint) add(typ, id, team string, warnings []Warning) {
	for _, w := range warnings {
		l.found = append(l.found, Finding{typ, id, team, w})
	}
}

func (l *organizationLint) policies() error {
	for team, list := range l.own.policies {
		known, err := l.guard.knows(l.own, team, l.now)
		if err != nil {
			return err
		}
		for _, p := range list {
			warnings := Lint(p.Statements, known)
			l.add("policy", p.ID, team, append(warnings, l.overruled(p, warnings)...))
		}
	}
	return nil
}

// overruled looks for statements of other policies, in the same context, that leave those of a policy nothing to
// say. What was warned of already is not looked at.
func (l *organizationLint) overruled(p Policy, known []Warning) (warnings []Warning) {
	for i, st := range p.Statements {
		at := indexed("statements", i)
		if slices.ContainsFunc(known, func(w Warning) bool { return w.Field == at && (w.Code == WarnShadowed || w.Code == WarnNeverAllows) }) {
			continue
		}
		for _, o := range l.beside(p) {
			j := slices.IndexFunc(o.Statements, func(other Statement) bool {
				return other.Effect == EffectDeny && st.Effect == EffectAllow && other.Conditions == (Conditions{}) && other.covers(st)
			})
			if j >= 0 {
				warnings = append(warnings, Warning{Code: WarnNeverAllows, Field: at, Message: indexed("statements", j) + " of " + o.Name + " (" + o.ID + ") denies all of it"})
				break
			}
		}
	}
	return warnings
}

// beside are the policies that always speak where one speaks.
func (l *organizationLint) beside(p Policy) (list []Policy) {
	places := []string{""}
	if p.TeamID != "" {
		places = append(places, p.TeamID)
	}
	for i, layer := range l.layers {
		for _, place := range places {
			if i > 0 && place != "" {
				continue
			}
			for _, o := range layer.policies[place] {
				if o.ID != p.ID {
					list = append(list, o)
				}
			}
		}
	}
	return list
}

func (l *organizationLint) roles() {
	for id, r := range l.own.roles {
		warnings := l.guard.LintPermissions("permissions", r.Permissions)
		if slices.Contains(r.Permissions, "*") && !r.seeded() {
			warnings = append(warnings, Warning{Code: WarnBroad, Field: "permissions", Message: "gives everything"})
		}
		if by := l.swallows(r); by != "" {
			warnings = append(warnings, Warning{Code: WarnSwallowed, Field: "permissions", Message: by + " denies everything that the role gives"})
		}
		l.add("role", id, "", warnings)
	}
	for key, o := range l.own.overrides {
		l.add("override", o.id, key[0], append(l.guard.LintPermissions("permissions_override.add", o.add),
			l.guard.LintPermissions("permissions_override.remove", o.remove)...))
	}
}

// swallows names a policy that speaks in every context and leaves nothing of a role, "" for none.
func (l *organizationLint) swallows(r Role) string {
	if len(r.Permissions) == 0 {
		return ""
	}
	all := Statement{Actions: make([]string, len(r.Permissions)), Resources: []string{"*"}}
	for i, p := range r.Permissions {
		all.Actions[i] = strings.TrimSuffix(p, ":own")
	}
	for _, layer := range l.layers {
		for _, p := range layer.policies[""] {
			for _, st := range p.Statements {
				if st.Effect == EffectDeny && st.Conditions == (Conditions{}) && st.covers(all) {
					return p.Name + " (" + p.ID + ")"
				}
			}
		}
	}
	return ""
}

func (l *organizationLint) settings() {
	for id, r := range l.own.restrictions {
		team := id
		if id == l.own.orgID {
			team = ""
		}
		lint := linter{known: Knowledge{Vocabulary: l.guard.vocabulary}}
		lint.resources("settings.models.allowed", models(r.Allowed))
		lint.resources("settings.models.blocked", models(r.Blocked))
		lint.resources("settings.models.require_approval", models(r.RequireApproval))
		l.add("settings", id, team, lint.warnings)
	}
}
