package rbac

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/orgkit/orgkit/store"
)

// snapshot is everything of one organization that statements are made of, at one revision. It
// never changes. The compiled rulesets hang on it and die with it, so none outlives its revision.
type snapshot struct {
	revision     int64
	zone         *time.Location
	roles        map[string]Role        // by id
	overrides    map[[2]string]Override // by team and role id
	policies     map[string][]Policy    // by team id, "" for the organization's
	restrictions map[string]Restriction

	mu       sync.Mutex
	rulesets map[string]*Ruleset
}

// maxRulesets bounds what one snapshot keeps. Profiles are few (roles times teams), so the bound
// is only met by organizations in which nearly everybody has grants of their own.
const maxRulesets = 4096

// snapshots holds the newest snapshot of each organization that was asked about.
type snapshots struct {
	mu   sync.Mutex
	byID map[string]*snapshot
}

// maxSnapshots bounds the organizations that are kept ready.
const maxSnapshots = 4096

// get returns the snapshot of the scope's revision, which the caller has read in tx: a role that
// was revoked is refused by the very next check, in every process.
func (c *snapshots) get(ctx context.Context, tx *store.Tx, scope Scope) (*snapshot, error) {
	c.mu.Lock()
	s := c.byID[scope.ID]
	c.mu.Unlock()
	// Inside an Update the records may be ahead of the revision, which is raised last: what is
	// loaded there is used there and never kept.
	if s != nil && s.revision == scope.Revision && !tx.Writable() {
		return s, nil
	}
	s, err := load(ctx, tx, scope)
	if err != nil || tx.Writable() {
		return s, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.byID[scope.ID]; old != nil && old.revision > s.revision {
		return s, nil // the pointer only moves forward
	}
	if c.byID == nil {
		c.byID = map[string]*snapshot{}
	}
	if len(c.byID) >= maxSnapshots {
		for id := range c.byID { // any one: the map's order is random
			delete(c.byID, id)
			break
		}
	}
	c.byID[scope.ID] = s
	return s, nil
}

func load(ctx context.Context, tx *store.Tx, scope Scope) (*snapshot, error) {
	zone, err := time.LoadLocation(scope.Zone)
	if err != nil {
		return nil, err
	}
	s := &snapshot{
		revision: scope.Revision, zone: zone,
		roles: map[string]Role{}, overrides: map[[2]string]Override{},
		policies: map[string][]Policy{}, restrictions: map[string]Restriction{},
		rulesets: map[string]*Ruleset{},
	}
	q := store.Query{Where: []store.Cond{store.Eq("org_id", scope.ID)}}
	for r, err := range roles.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		s.roles[r.ID] = r
	}
	for o, err := range overrides.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		s.overrides[[2]string{o.TeamID, o.RoleID}] = o
	}
	for p, err := range policies.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		if p.Enabled {
			s.policies[p.TeamID] = append(s.policies[p.TeamID], p)
		}
	}
	for r, err := range Restrictions.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		s.restrictions[r.ID] = r
	}
	return s, nil
}

// profile is what selects the statements of a decision. Two subjects with equal profiles share a
// ruleset.
type profile struct {
	Team       string
	Grants     []grant  // by role, or of the member or key itself
	Removed    []string // of the person in this context, whatever grants it (F469)
	NoPolicies bool     // an owner edits policies
}

type grant struct {
	Role string // id, "" for a key
	Add  []string
	Key  bool
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
	rs, err = NewRuleset(s.rules(p), &RulesetOptions{Zone: s.zone, Resolve: resolve})
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
	if !p.NoPolicies {
		attached := s.policies[""]
		if p.Team != "" {
			attached = append(attached[:len(attached):len(attached)], s.policies[p.Team]...)
		}
		for _, policy := range attached {
			for i, st := range policy.Statements {
				rules = append(rules, Rule{ID: policy.ID + "/" + indexed("statements", i), Pool: PoolPolicy,
					Source: policy.Name, Team: policy.TeamID, Statement: st})
			}
		}
	}
	if r, ok := s.restrictions[p.Team]; ok && p.Team != "" {
		rules = append(rules, r.rules()...)
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
	role, over := s.roles[g.Role], s.overrides[[2]string{team, g.Role}]
	except := slices.Concat(over.Remove, removed)
	if actions := slices.Concat(role.Permissions, over.Add); len(actions) > 0 {
		rules = append(rules, rule(role.ID, PoolRole, role.Slug, actions, except))
	}
	if len(g.Add) > 0 {
		rules = append(rules, rule(role.ID+"/member", PoolMember, "member grants", g.Add, except))
	}
	return rules
}

func (s *snapshot) profile(held []Assignment, team string) profile {
	p := profile{Team: team}
	for _, a := range in(held, team) {
		p.Grants = append(p.Grants, grant{Role: a.RoleID, Add: a.Add})
		p.Removed = append(p.Removed, a.Remove...)
	}
	return p
}

// owner says whether somebody holds org_admin at the level of the organization.
func (s *snapshot) owner(held []Assignment) bool {
	for _, a := range in(held, "") {
		if s.roles[a.RoleID].Slug == OwnerRole && a.Kind == Member {
			return true
		}
	}
	return false
}
