package rbac

import (
	"math"
	"slices"
	"sync"
)

// snapshot is what decides in one organization: its layer and those above it. The compiled rulesets hang on
// it and die with it, so none outlives the rules that it was made of.
type snapshot struct {
	layers []*layer

	mu       sync.Mutex
	compiler *compiler
	parts    map[partKey][]*rule // many profiles share them
	rulesets map[string]*Ruleset
}

// partKey names rules that are compiled once: of the policies or the settings of a place, or what a role gives.
type partKey struct {
	id    string // of the organization, team, project or role
	kind  partKind
	index uint8 // of a role, the place of its grant, which is part of the ids of its rules
}

type partKind uint8

const (
	policyPart partKind = iota
	settingsPart
	rolePart
	inheritedPart
)

// maxRulesets bounds what one snapshot keeps. Profiles are few (roles times teams), so the bound
// is only met by organizations in which nearly everybody has grants of their own.
const maxRulesets = 4096

func newSnapshot(v *Vocabulary, o RulesetOptions, layers []*layer) *snapshot {
	o.Zone = layers[0].zone
	return &snapshot{layers: layers, compiler: newCompiler(v, &o), parts: map[partKey][]*rule{}, rulesets: map[string]*Ruleset{}}
}

func (s *snapshot) orgID() string { return s.layers[0].orgID }

// role returns a role of the organization or of one above it, zero when there is none.
func (s *snapshot) role(id string) Role {
	for _, l := range s.layers {
		if r, ok := l.roles[id]; ok {
			return r
		}
	}
	return Role{}
}

// ruleset compiles a profile, or returns what was compiled before.
func (s *snapshot) ruleset(p profile) (*Ruleset, error) {
	key := p.key()
	s.mu.Lock()
	defer s.mu.Unlock()
	if rs := s.rulesets[key]; rs != nil {
		return rs, nil
	}
	rules, err := s.rules(p)
	if err != nil {
		return nil, err
	}
	rs, err := s.compiler.ruleset(rules)
	if err != nil {
		return nil, err
	}
	if len(s.rulesets) >= maxRulesets {
		clear(s.rulesets)
	}
	s.rulesets[key] = rs
	return rs, nil
}

func (s *snapshot) rules(p profile) (rules []*rule, err error) {
	add := func(key partKey, make func() []Rule) {
		if err == nil {
			var part []*rule
			part, err = s.part(key, make)
			rules = append(rules, part...)
		}
	}
	for i, g := range p.Grants {
		if key, shared := s.sharedGrant(p, i, g); shared {
			add(key, func() []Rule { return s.grantRules(p.Team, i, g, nil) })
			continue
		}
		for _, r := range s.grantRules(p.Team, i, g, p.Removed) {
			c, err := s.compiler.compile(r)
			if err != nil {
				return nil, err
			}
			rules = append(rules, c)
		}
	}
	for i, l := range s.layers {
		if i >= p.Skip {
			add(partKey{l.orgID, policyPart, 0}, func() []Rule { return l.policyRules("") })
			if i == 0 && p.Team != "" {
				add(partKey{p.Team, policyPart, 0}, func() []Rule { return l.policyRules(p.Team) })
			}
		}
		// What an organization's settings forbid binds everything below it.
		add(partKey{l.orgID, settingsPart, 0}, func() []Rule { return l.settingsRules(l.orgID, "organization settings") })
	}
	if p.Team != "" {
		add(partKey{p.Team, settingsPart, 0}, func() []Rule { return s.layers[0].settingsRules(p.Team, "team settings") })
	}
	return rules, err
}

// sharedGrant says whether a grant is that of a role and nothing else, which gives the same to all who hold it in
// all teams without an override; and by what it is kept.
func (s *snapshot) sharedGrant(p profile, i int, g grant) (key partKey, shared bool) {
	if _, over := s.layers[0].overrides[[2]string{p.Team, g.Role}]; over || g.Key || len(g.Add)+len(g.Less)+len(p.Removed) > 0 || i > math.MaxUint8 {
		return key, false
	}
	if g.Above {
		return partKey{g.Role, inheritedPart, uint8(i)}, true
	}
	return partKey{g.Role, rolePart, uint8(i)}, true
}

// takeOver takes the parts of another snapshot that are the same in this one.
func (s *snapshot) takeOver(from *snapshot, c *layerChanges) {
	if c.all {
		return
	}
	from.mu.Lock()
	defer from.mu.Unlock()
	for key, part := range from.parts {
		if !c.concerns(key) {
			if part != nil { // mostly nothing is attached
				s.parts[key] = part
			}
		}
	}
}

// part compiles the rules of one place, or returns what was compiled before.
func (s *snapshot) part(key partKey, make func() []Rule) ([]*rule, error) {
	if part, ok := s.parts[key]; ok {
		return part, nil
	}
	var part []*rule
	for _, r := range make() {
		c, err := s.compiler.compile(r)
		if err != nil {
			return nil, err
		}
		part = append(part, c)
	}
	if part != nil { // mostly nothing is attached
		s.parts[key] = part
	}
	return part, nil
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

func (l *layer) settingsRules(id, source string) []Rule {
	if r, ok := l.restrictions[id]; ok {
		return r.rules(source)
	}
	return nil
}

// grantRules are those of one grant. The index keeps the ids apart when a role is held twice, at the
// level of the organization and in the team.
func (s *snapshot) grantRules(team string, i int, g grant, removed []string) []Rule {
	rule := func(id string, pool Pool, source string, actions, except []string) Rule {
		if i > 0 {
			id = indexed(id, i)
		}
		return Rule{ID: id, Pool: pool, Source: source, Team: team, Except: except,
			Statement: Statement{Effect: EffectAllow, Actions: actions, Resources: []string{"*"}}}
	}
	if g.Key {
		return []Rule{rule("key", PoolKey, "key", g.Add, removed)}
	}
	var rules []Rule
	role, over := s.role(g.Role), s.layers[0].overrides[[2]string{team, g.Role}]
	except := slices.Concat(over.remove, removed)
	if g.Above {
		except = g.Less
	}
	if actions := slices.Concat(role.Permissions, over.add); len(actions) > 0 {
		rules = append(rules, rule(role.ID, PoolRole, role.Slug, actions, except))
	}
	if len(g.Add) > 0 {
		rules = append(rules, rule(role.ID+"/member", PoolMember, "member grants", g.Add, except))
	}
	return rules
}
