package rbac

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
)

// world is what decisions in one organization are made of besides its rules, at one moment: by the records
// that a unit sees, or in memory.
type world interface {
	// stand is where a subject stands, or store.ErrNotFound.
	stand(ctx context.Context, subject string) (standing, error)
	// grants are the approvals of exactly this that were given and may still be in force.
	grants(ctx context.Context, w wish) ([]Approval, error)
}

// wish is what an approval is asked for.
type wish struct{ team, requester, action, resource string }

func (a *Approval) wish() wish { return wish{a.TeamID, a.Requester, a.Action, a.Resource} }

// records is the world as a unit sees it.
type records struct {
	guard  *Guard
	tx     *store.Tx
	chain  []Scope
	locked bool // the organization is, by the unit
}

func (r *records) stand(ctx context.Context, subject string) (standing, error) {
	return r.guard.stand(ctx, r.tx, r.chain, subject, r.locked)
}

// grants reads the newest requests. More than a few are only there after as many grants have lapsed or been
// outgrown.
func (r *records) grants(ctx context.Context, w wish) ([]Approval, error) {
	all, err := requests(ctx, r.tx, r.chain[0].ID, w)
	return slices.DeleteFunc(all, func(a Approval) bool { return a.Status != ApprovalApproved }), err
}

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
	if acts && len(key.add) > 0 {
		p.Grants = []grant{{Key: true, Add: key.add}}
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
	for _, p := range b.key.persons {
		if u := p.decide(q, e); !u.Allowed {
			return u
		}
	}
	d.Until = until(e.now, e.lasts)
	return d
}

// asker finds out what a call does not say. It holds values only: what it points to would have to be on the
// heap, and most calls need none of it.
type asker struct {
	ctx   context.Context
	guard *Guard
	world world
	bound *bound

	orgID, teamID   string
	action          Action
	resource, owner string
	subject         string
	person          string // the user who acts or is bound to the key, "" for nobody

	scored  bool
	anomaly Anomaly
	failed  error // of the store
}

func (a *asker) score() Anomaly {
	if !a.scored {
		a.scored = true
		if source := a.guard.opt.Anomaly; source != nil {
			a.anomaly.Registered = true
			a.anomaly.Score, a.anomaly.Err = source(a.ctx, a.orgID, a.person)
		}
	}
	return a.anomaly
}

func (a *asker) mfa() (at *time.Time, known bool) {
	if a.guard.opt.MFA == nil || a.person == "" {
		return nil, a.person != ""
	}
	at, err := a.guard.opt.MFA(a.ctx, a.person)
	return at, err == nil
}

// own says whether the resource is the person's: their own record, or a team or project that they are in.
func (a *asker) own() Truth {
	if a.owner == "" {
		if kind, place, ok := strings.Cut(a.resource, ":"); ok && place != "" && kind == placeType(place) {
			return truth(slices.Contains(a.bound.places, place))
		}
		return False
	}
	return truth(a.owner == a.person)
}

// approved says whether a live grant opens the call: not lapsed, within its cost cap, and given by
// somebody who still qualifies (S17).
func (a *asker) approved(e *evaluation, need *ApprovalNeed) Truth {
	if a.person == "" {
		return False
	}
	all, err := a.world.grants(a.ctx, wish{a.teamID, a.person, a.guard.vocabulary.Name(a.action), a.resource})
	if err != nil {
		a.failed = err
		return Unknown
	}
	for i := range all {
		given := &all[i]
		if given.Status != ApprovalApproved || !live(given, e.now) {
			continue
		}
		if given.MaxAmount != nil && (e.cost == nil || e.cost.GreaterThan(*given.MaxAmount)) {
			continue // a newer request may be open for more; this grant stays good for less
		}
		ok, err := qualifies(a.ctx, a.world, given.TeamID, given.Approver, need)
		if err != nil {
			a.failed = err
			return Unknown
		}
		if ok {
			e.holdsFor(given.EndsAt.Sub(e.now))
			return True
		}
	}
	return False
}

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}
