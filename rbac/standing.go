package rbac

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// standing is a subject in an organization, with the rules there.
type standing struct {
	chain []Scope // the organization, then those above it
	held  []seat  // there, suspended included, and what inherited roles give from above
	snap  *snapshot
}

// stand returns where a subject stands, or store.ErrNotFound for one that holds nothing: strangers cost no
// more than this. locked says that the organization is locked by the unit.
func (g *Guard) stand(ctx context.Context, tx *store.Tx, chain []Scope, subject string, locked bool) (standing, error) {
	st := standing{chain: chain}
	held, news, err := g.held(ctx, tx, chain, subject)
	if err != nil {
		return st, err
	}
	var above []seat
	for level, seats := range held {
		for _, s := range seats {
			s.level = int32(level)
			switch {
			case level == 0:
				st.held = append(st.held, s)
			case s.flowsDown():
				above = append(above, s)
			}
		}
	}
	if len(st.held)+len(above) == 0 {
		return st, store.ErrNotFound
	}
	if st.snap, err = g.memory.of(ctx, tx, chain, locked); err != nil {
		return st, err
	}
	if news {
		for i, scope := range chain {
			g.memory.remember(scope, subject, held[i])
		}
	}
	for _, a := range above {
		if st.snap.role(a.roleID).Inherited {
			st.held = append(st.held, a)
		}
	}
	if len(st.held) == 0 {
		return st, store.ErrNotFound
	}
	slices.SortStableFunc(st.held, func(a, b seat) int { return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.teamID, b.teamID)) })
	return st, nil
}

// held returns what a subject holds in each organization of a chain, and whether some of it is worth to be remembered. A snapshot
// need not ask the store where memory is of the revision that it sees; a unit that writes must, and nothing is remembered of it:
// a commit may have come after it has read the revision, and it may have written itself.
func (g *Guard) held(ctx context.Context, tx *store.Tx, chain []Scope, subject string) (held [][]seat, news bool, err error) {
	held = make([][]seat, len(chain))
	snapshot := !tx.Writable()
	var ids []string
	for i, scope := range chain {
		known := false
		if snapshot {
			held[i], known = g.memory.recall(scope, subject)
		}
		if !known {
			ids = append(ids, scope.ID)
		}
	}
	if len(ids) == 0 {
		return held, false, nil
	}
	for a, err := range Assignments.All(ctx, tx, store.Query{
		Where: []store.Cond{store.Eq("subject", subject), store.In("org_id", ids)},
	}) {
		if err != nil {
			return nil, false, err
		}
		i := slices.IndexFunc(chain, func(s Scope) bool { return s.ID == a.OrgID })
		held[i] = append(held[i], a.seats()...)
	}
	return held, snapshot, nil
}

// standingOf is stand for an organization by its id.
func (g *Guard) standingOf(ctx context.Context, tx *store.Tx, orgID, subject string) (standing, error) {
	chain, err := Lineage(ctx, tx, orgID)
	if err != nil {
		return standing{}, err
	}
	return g.stand(ctx, tx, chain, subject, false)
}

// Belongs answers store.ErrNotFound unless the subject holds something in the organization, there or by an
// inherited role from above. To a subject of a deleted organization it does not exist.
func (g *Guard) Belongs(ctx context.Context, tx *store.Tx, orgID, subject string) error {
	chain, err := Lineage(ctx, tx, orgID)
	if err != nil {
		return err
	}
	if Effective(chain) == Gone {
		return store.ErrNotFound
	}
	_, err = g.stand(ctx, tx, chain, subject, false)
	return err
}

// flowsDown says whether the seat acts in the organizations below, if its role is inherited.
func (s *seat) flowsDown() bool { return s.teamID == "" && s.active && s.key == nil }

// key is the seat of an API key, if the subject is one.
func (st standing) key() (seat, bool) { return st.held[0], st.held[0].key != nil }

// rulesApply are the scopes whose rules for signed-in people bind the subject: the organization itself, and
// those above in which it holds what acts here.
func (st standing) rulesApply() []Scope {
	bound := st.chain[:1:1]
	for i, s := range st.chain[1:] {
		if slices.ContainsFunc(st.held, func(a seat) bool { return int(a.level) == i+1 }) {
			bound = append(bound, s)
		}
	}
	return bound
}

// profile is what selects the statements of a decision. Two subjects with equal profiles share a
// ruleset.
type profile struct {
	Team    string
	Grants  []grant  // by role, or of the member or key itself
	Removed []string // of the person in this context, whatever role of the organization grants it (F469)

	// Skip leaves out the attached policies of the organization and those above it, as many: an owner
	// edits policies.
	Skip int
}

// grant is what one assignment gives.
type grant struct {
	Role  string // id, "" for a key
	Add   []string
	Key   bool
	Above bool     // by an inherited role; what the organization removes does not concern it
	Less  []string // removed from this grant alone
}

// key tells profiles apart: every part of it is kept apart from every other (C9).
func (p *profile) key() string {
	b := make([]byte, 0, 128)
	b = appendTexts(b, p.Team)
	b = binary.AppendUvarint(b, uint64(p.Skip))
	b = appendTexts(b, p.Removed...)
	for _, g := range p.Grants {
		b = append(b, byte(number(g.Key)|number(g.Above)<<1))
		b = appendTexts(b, g.Role)
		b = appendTexts(b, g.Add...)
		b = appendTexts(b, g.Less...)
	}
	return string(b)
}

// appendTexts writes texts so that no other list of texts is written alike.
func appendTexts(b []byte, texts ...string) []byte {
	b = binary.AppendUvarint(b, uint64(len(texts)))
	for _, text := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

func (st standing) profile(team string) profile {
	p := profile{Team: team}
	for _, a := range in(st.held, team) {
		if a.level > 0 {
			p.Grants = append(p.Grants, grant{Role: a.roleID, Above: true, Less: a.remove})
			continue
		}
		p.Grants = append(p.Grants, grant{Role: a.roleID, Add: a.add})
		p.Removed = append(p.Removed, a.remove...)
	}
	return p
}

// ownerOf is how many organizations, from this one upwards, the subject owns by one of its roles.
func (st standing) ownerOf() (levels int) {
	for _, a := range in(st.held, "") {
		if a.key != nil || st.snap.role(a.roleID).Slug != OwnerRole {
			continue
		}
		levels = max(levels, int(a.level)+1)
	}
	return levels
}
