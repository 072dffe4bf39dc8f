package rbac

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/orgkit/orgkit/store"
)

// layer is everything of one organization that statements are made of, at one revision. It never changes.
type layer struct {
	orgID        string
	revision     int64
	zone         *time.Location
	roles        map[string]Role        // by id
	overrides    map[[2]string]Override // by team and role id
	policies     map[string][]Policy    // by team id, "" for the organization's
	restrictions map[string]Restriction // by team id, and by its own for the organization's
}

// snapshot is what decides in one organization: its layer and those above it. The compiled rulesets hang on
// it and die with it, so none outlives its revision.
type snapshot struct {
	layers []*layer

	mu       sync.Mutex
	rulesets map[string]*Ruleset
}

// maxRulesets bounds what one snapshot keeps. Profiles are few (roles times teams), so the bound
// is only met by organizations in which nearly everybody has grants of their own.
const maxRulesets = 4096

// snapshots holds the newest layer and snapshot of each organization that was asked about.
type snapshots struct {
	mu     sync.Mutex
	layers map[string]*layer
	whole  map[string]*snapshot
}

// maxSnapshots bounds the organizations that are kept ready.
const maxSnapshots = 4096

// get returns the snapshot of the scopes' revisions, which the caller has read in tx: a role that was
// revoked is refused by the very next check, in every process. locked says that the first of the scopes is
// locked by the unit.
func (c *snapshots) get(ctx context.Context, tx *store.Tx, chain []Scope, locked bool) (*snapshot, error) {
	layers := make([]*layer, len(chain))
	for i, scope := range chain {
		var err error
		if layers[i], err = c.layer(ctx, tx, scope, locked && i == 0); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.whole[chain[0].ID]; s != nil && slices.Equal(s.layers, layers) {
		return s, nil
	}
	s := &snapshot{layers: layers, rulesets: map[string]*Ruleset{}}
	for _, l := range layers {
		if c.layers[l.orgID] != l { // older than what is kept, or made of what is not committed
			return s, nil
		}
	}
	c.whole = keep(c.whole, chain[0].ID, s)
	return s, nil
}

// layer returns the layer of a scope. In an Update that has written, the records may be ahead of the
// revision, which is raised last: what is loaded there is used there and never kept. In one that has not
// written yet, what is loaded is kept only if the scope is locked: else a commit may come in between.
func (c *snapshots) layer(ctx context.Context, tx *store.Tx, scope Scope, locked bool) (*layer, error) {
	c.mu.Lock()
	l := c.layers[scope.ID]
	c.mu.Unlock()
	settled := !tx.Writable() || tx.Clean()
	if l != nil && l.revision == scope.Revision && settled {
		return l, nil
	}
	l, err := load(ctx, tx, scope)
	if err != nil || !settled || tx.Writable() && !locked {
		return l, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch old := c.layers[scope.ID]; {
	case old == nil || old.revision < l.revision: // the pointer only moves forward
		c.layers = keep(c.layers, scope.ID, l)
	case old.revision == l.revision: // somebody was faster
		l = old
	}
	return l, nil
}

func keep[T any](m map[string]T, id string, v T) map[string]T {
	if m == nil {
		m = map[string]T{}
	}
	if _, there := m[id]; !there && len(m) >= maxSnapshots {
		for some := range m { // any one: the map's order is random
			delete(m, some)
			break
		}
	}
	m[id] = v
	return m
}

// resident are the revisions of the layers that are kept.
func (c *snapshots) resident() Revision {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := make(Revision, len(c.layers))
	for id, l := range c.layers {
		r[id] = l.revision
	}
	return r
}

func load(ctx context.Context, tx *store.Tx, scope Scope) (*layer, error) {
	zone, err := time.LoadLocation(scope.Zone)
	if err != nil {
		return nil, err
	}
	l := &layer{
		orgID: scope.ID, revision: scope.Revision, zone: zone,
		roles: map[string]Role{}, overrides: map[[2]string]Override{},
		policies: map[string][]Policy{}, restrictions: map[string]Restriction{},
	}
	q := store.Query{Where: []store.Cond{store.Eq("org_id", scope.ID)}}
	for r, err := range roles.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		l.roles[r.ID] = r
	}
	for o, err := range overrides.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		l.overrides[[2]string{o.TeamID, o.RoleID}] = o
	}
	for p, err := range policies.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		if p.Enabled {
			l.policies[p.TeamID] = append(l.policies[p.TeamID], p)
		}
	}
	for r, err := range Restrictions.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		l.restrictions[r.ID] = r
	}
	return l, nil
}

// role returns a role of the organization or of one above it, zero when there is none.
func (s *snapshot) role(id string) Role {
	for _, l := range s.layers {
		if r, ok := l.roles[id]; ok {
			return r
		}
	}
	return Role{}
}

// ruleset compiles a profile, or returns what was compiled before. The key is JSON, which keeps
// every part apart from every other (C9).
func (s *snapshot) ruleset(p profile, resolve func(string) (string, bool)) (*Ruleset, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	key := string(b)
	s.mu.Lock()
	rs := s.rulesets[key]
	s.mu.Unlock()
	if rs != nil {
		return rs, nil
	}
	rs, err = NewRuleset(s.rules(p), &RulesetOptions{Zone: s.layers[0].zone, Resolve: resolve})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rulesets) >= maxRulesets {
		clear(s.rulesets)
	}
	s.rulesets[key] = rs
	return rs, nil
}

func (s *snapshot) rules(p profile) []Rule {
	var rules []Rule
	for i, g := range p.Grants {
		rules = append(rules, s.grantRules(p.Team, i, g, p.Removed)...)
	}
	for i, l := range s.layers {
		if i >= p.Skip {
			rules = append(rules, l.policyRules("")...)
			if i == 0 && p.Team != "" {
				rules = append(rules, l.policyRules(p.Team)...)
			}
		}
		// What an organization's settings forbid binds everything below it.
		if r, ok := l.restrictions[l.orgID]; ok {
			rules = append(rules, r.rules("organization settings")...)
		}
	}
	if r, ok := s.layers[0].restrictions[p.Team]; ok && p.Team != "" {
		rules = append(rules, r.rules("team settings")...)
	}
	return rules
}

func (l *layer) policyRules(team string) []Rule {
	var rules []Rule
	for _, policy := range l.policies[team] {
		for i, st := range policy.Statements {
			rules = append(rules, Rule{ID: policy.ID + "/" + indexed("statements", i), Pool: PoolPolicy,
				Source: policy.Name, Team: team, Zone: l.zone, Statement: st})
		}
	}
	return rules
}

// grantRules compiles one grant. The index keeps the ids apart when a role is held twice, at the
// level of the organization and in the team.
func (s *snapshot) grantRules(team string, i int, g grant, removed []string) []Rule {
	rule := func(id string, pool Pool, source string, actions, except []string) Rule {
		return Rule{ID: indexed(id, i), Pool: pool, Source: source, Team: team, Except: except,
			Statement: Statement{Effect: EffectAllow, Actions: actions, Resources: []string{"*"}}}
	}
	if g.Key {
		return []Rule{rule("key", PoolKey, "key", g.Add, removed)}
	}
	var rules []Rule
	role, over := s.role(g.Role), s.layers[0].overrides[[2]string{team, g.Role}]
	except := slices.Concat(over.Remove, removed)
	if g.Above {
		except = g.Less
	}
	if actions := slices.Concat(role.Permissions, over.Add); len(actions) > 0 {
		rules = append(rules, rule(role.ID, PoolRole, role.Slug, actions, except))
	}
	if len(g.Add) > 0 {
		rules = append(rules, rule(role.ID+"/member", PoolMember, "member grants", g.Add, except))
	}
	return rules
}
