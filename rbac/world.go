package rbac

import (
	"context"
	"slices"
	"strings"
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

func (r *records) grants(ctx context.Context, w wish) (given []Approval, err error) {
	q := w.of(r.chain[0].ID)
	q.Where = append(q.Where, store.Eq("status", ApprovalApproved), store.From("ends_at", r.tx.Now()))
	for a, err := range approvals.All(ctx, r.tx, q) {
		if err != nil {
			return nil, err
		}
		given = append(given, a)
	}
	return given, nil
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

// own says whether the resource is the person's: their own record, or for teams.* and projects.* a team or
// project that they are in. What else there is in a team is not theirs because they are.
func (a *asker) own() Truth {
	if a.owner == "" {
		kind, place, _ := strings.Cut(a.resource, ":")
		noun, _, _ := strings.Cut(a.guard.vocabulary.Name(a.action), ".")
		mine := place != "" && kind == placeType(place) && noun == kind+"s" && slices.Contains(a.bound.places, place)
		return truth(mine)
	}
	return truth(a.owner == a.person)
}

// approved says whether a live grant opens the call: not lapsed, within its cost cap, and given by
// somebody who still qualifies (S17).
func (a *asker) approved(e *evaluation, need *ApprovalNeed) Truth {
	if a.person == "" || e.now.IsZero() { // whom nobody could have approved; or what has perhaps ended
		return Unknown
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
		if given.MaxAmount != nil && (e.cost == nil || e.cost.IsNegative() || e.cost.GreaterThan(*given.MaxAmount)) {
			continue // a newer request may be open for more; this grant stays good for less
		}
		ok, err := given.met(a.ctx, a.world, need)
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
