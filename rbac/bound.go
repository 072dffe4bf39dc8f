package rbac

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/orgkit/orgkit/store"
)

// bound is what a subject decides by in one context.
type bound struct {
	codes   []atomic.Uint32 // of the rules, if they alone decide
	rules   *Ruleset
	editing *Ruleset  // of an owner, for the editing of policies; nil is rules
	key     *boundKey // nil: of a member
	places  []string  // teams and projects in which the subject is active
}

// boundKey is what only keys have.
type boundKey struct {
	asTeam  *Ruleset // for what the key does as its team; nil is rules
	persons []*bound // as far as whose rights the explicit grants reach
	orphan  bool     // one of those is no member any more
	user    string   // bound to the key
}

// person is the user who acts: who was named, else the subject, or the user bound to the key.
func (b *bound) person(subject, named string) string {
	switch {
	case named != "":
		return named
	case b.key != nil:
		return b.key.user
	}
	return subject
}

// bind selects the statements for a subject in a context, "" for that of the organization.
func (g *Guard) bind(ctx context.Context, w world, st standing, team string, b *bound) (err error) {
	for _, a := range st.held {
		if a.active && a.teamID != "" {
			b.places = append(b.places, a.teamID)
		}
	}
	if key, ok := st.key(); ok {
		return g.bindKey(ctx, w, st, key, team, b)
	}
	p := st.profile(team)
	if b.rules, err = st.snap.ruleset(p); err != nil {
		return err
	}
	if p.Skip = st.ownerOf(); p.Skip > 0 {
		b.editing, err = st.snap.ruleset(p)
		return err
	}
	b.codes = b.rules.codes
	return nil
}

// bindKey is bind for an API key. What it acts for as its team needs no role of anybody. What it was granted
// explicitly holds only as far as its maker and the person bound to it hold the same, now.
func (g *Guard) bindKey(ctx context.Context, w world, st standing, key seat, team string, b *bound) (err error) {
	b.key = &boundKey{user: key.key.bound}
	p := profile{Team: team, Removed: key.remove}
	acts := key.active && (key.teamID == "" || key.teamID == team)
	if key.key.actsAsTeam {
		as := p
		if acts {
			as.Grants = []grant{{Key: true, Add: teamActions}}
		}
		if b.key.asTeam, err = st.snap.ruleset(as); err != nil {
			return err
		}
	}
	if acts && len(key.add) > 0 { // to be used goes without saying, as far as its persons may use keys (F065)
		p.Grants = []grant{{Key: true, Add: append(slices.Clone(key.add), "api_keys.use")}}
	}
	if b.rules, err = st.snap.ruleset(p); err != nil {
		return err
	}
	for _, user := range []string{key.key.createdBy, key.key.bound} {
		if user == "" {
			continue
		}
		person, err := w.stand(ctx, user)
		if errors.Is(err, store.ErrNotFound) {
			b.key.orphan = true
			continue
		} else if err != nil {
			return err
		}
		one := new(bound)
		if err := g.bind(ctx, w, person, team, one); err != nil {
			return err
		}
		b.key.persons = append(b.key.persons, one)
	}
	return nil
}

// teamActions is what a key with inherit_team_permissions may do: act as its team on the data
// plane, within the team's settings and policies (F472).
var teamActions = []string{"models.use", "models.read", "api_keys.use"}

// by is the ruleset for an action, and whether nobody else's rights count beside it.
func (b *bound) by(g *Guard, a Action) (rs *Ruleset, alone bool) {
	switch {
	case b.editing != nil && g.editing.has(a):
		return b.editing, true
	case b.key == nil:
		return b.rules, true
	case b.key.asTeam != nil && g.asTeam.has(a):
		return b.key.asTeam, true
	}
	return b.rules, len(b.key.persons) == 0 && !b.key.orphan
}

// holds decides for one call.
func (b *bound) holds(q *question, e *evaluation) bool {
	e.asker.bound = b
	rs, alone := b.by(e.asker.guard, q.action)
	return rs.find(q).holds(e) && (alone || b.others(q, e))
}

// others says whether those whose rights count beside the bound's may do the same.
func (b *bound) others(q *question, e *evaluation) bool {
	for _, p := range b.key.persons {
		if !p.holds(q, e) {
			return false
		}
	}
	return !b.key.orphan
}

// decide is holds with reasons.
func (b *bound) decide(q *question, e *evaluation) Decision {
	e.asker.bound = b
	rs, alone := b.by(e.asker.guard, q.action)
	d := rs.decide(q, e)
	if alone || d.Verdict == VerdictDeny {
		return d
	}
	if b.key.orphan {
		return Decision{Verdict: VerdictDeny, Code: "permission_denied", MissingPermission: rs.vocabulary.Name(q.action),
			Reasons: []Reason{{Kind: "key", ID: e.asker.subject, Text: "the key's maker or bound person is no member any more"}}}
	}
	var refused *Decision
	for _, p := range b.key.persons {
		u := p.decide(q, e)
		if !u.Allowed && (refused == nil || u.Verdict == VerdictDeny) { // one whom nothing helps comes first
			refused = &u
		}
	}
	if refused != nil {
		return *refused
	}
	d.Until = until(e.now, e.lasts)
	return d
}
