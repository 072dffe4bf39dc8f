package rbac

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/orgkit/orgkit/store"
)

// layer is everything of one organization that statements are made of. It never changes.
type layer struct {
	orgID        string
	zone         *time.Location
	roles        map[string]Role        // by id
	overrides    map[[2]string]meaning  // by team and role id
	policies     map[string][]Policy    // by team id, "" for the organization's; the enabled ones, by id
	restrictions map[string]Restriction // by team id, and by its own for the organization's
}

// meaning is what an override does.
type meaning struct {
	id          string
	add, remove []string
}

// state is what is kept of an organization at one revision. It never changes, but for what it has been asked.
type state struct {
	scope   Scope
	layer   *layer
	members *directory          // nil: only the rules are kept
	granted map[wish][]Approval // approvals that were given, newest first; with members only

	asked recollection // while there are no members
}

// recollection is what some subjects hold at the revision of a state, as units have found it. It is for the processes that
// answer requests about an organization and never decide by all of its members.
type recollection struct {
	mu   sync.Mutex
	held map[string][]seat
}

const maxRecollection = 1024 // subjects

func (r *recollection) get(subject string) (held []seat, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held, known = r.held[subject]
	return held, known
}

func (r *recollection) put(subject string, held []seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil || len(r.held) == maxRecollection {
		r.held = map[string][]seat{}
	}
	r.held[subject] = held
}

// load reads everything.
func load(ctx context.Context, tx *store.Tx, scope Scope, members bool) (*state, error) {
	zone, err := time.LoadLocation(scope.Zone)
	if err != nil {
		return nil, err
	}
	l := &layer{
		orgID: scope.ID, zone: zone,
		roles: map[string]Role{}, overrides: map[[2]string]meaning{},
		policies: map[string][]Policy{}, restrictions: map[string]Restriction{},
	}
	q := store.Query{Where: []store.Cond{store.Eq("org_id", scope.ID)}}
	for r, err := range roles.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		l.roles[r.ID] = r
	}
	for p, err := range policies.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		l.put(p)
	}
	for r, err := range Restrictions.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		l.restrictions[r.ID] = r
	}
	for o, err := range overrides.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		l.overrides[l.key(o)] = meaning{o.ID, o.Add, o.Remove}
	}
	st := newState(scope, l)
	if members {
		err = st.loadMembers(ctx, tx)
	}
	return st, err
}

// key is where an override is kept; its texts are those of the team and role themselves.
func (l *layer) key(o Override) [2]string {
	return [2]string{l.same(o.TeamID), l.same(o.RoleID)}
}

// same returns the very text that the layer already holds, so that many records share one.
func (l *layer) same(id string) string {
	if r, ok := l.restrictions[id]; ok {
		return r.ID
	}
	if r, ok := l.roles[id]; ok {
		return r.ID
	}
	return id
}

// newState leaves out the trail, which has led to it.
func newState(scope Scope, l *layer) *state {
	scope.Trail = ""
	return &state{scope: scope, layer: l}
}

func (st *state) loadMembers(ctx context.Context, tx *store.Tx) error {
	build := directoryBuilder{layer: st.layer}
	for a, err := range Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", st.scope.ID)},
		Order: []store.Order{store.Asc("team_id"), store.Asc("kind"), store.Asc("created_at")}}) { // the order of an index
		if err != nil {
			return err
		}
		build.add(&a)
	}
	st.members, st.granted = build.directory(), map[wish][]Approval{}
	for a, err := range approvals.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", st.scope.ID),
		store.Eq("status", ApprovalApproved), store.From("ends_at", tx.Now())}}) {
		if err != nil {
			return err
		}
		st.grant(a)
	}
	return nil
}

// advance returns the state of a later revision: what the trail names is read again, the rest is shared.
// Where it does not reach back everything is read.
func (st *state) advance(ctx context.Context, tx *store.Tx, scope Scope) (*state, error) {
	touched, ok := since(scope.Trail, st.scope.Revision, scope.Revision)
	if !ok {
		return load(ctx, tx, scope, st.members != nil)
	}
	next := newState(scope, st.layer)
	next.members, next.granted = st.members, st.granted
	edit := layerEdit{next: next}
	if scope.Zone != st.scope.Zone {
		zone, err := time.LoadLocation(scope.Zone)
		if err != nil {
			return nil, err
		}
		edit.layer().zone = zone
	}
	for _, t := range touched {
		if err := edit.read(ctx, tx, t); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// reaches says whether the trail of a scope leads from the state to it.
func (st *state) reaches(scope Scope) bool {
	_, ok := since(scope.Trail, st.scope.Revision, scope.Revision)
	return ok
}

// layerEdit makes the next state: what it changes it copies first, once.
type layerEdit struct {
	next   *state
	copied map[byte]bool
}

func (e *layerEdit) first(kind byte) bool {
	if e.copied[kind] {
		return false
	}
	if e.copied == nil {
		e.copied = map[byte]bool{}
	}
	e.copied[kind] = true
	return true
}

func (e *layerEdit) layer() *layer {
	if e.first('l') {
		l := *e.next.layer
		e.next.layer = &l
	}
	return e.next.layer
}

func (e *layerEdit) read(ctx context.Context, tx *store.Tx, t touch) error {
	switch t.kind {
	case touchedAssignments:
		if e.next.members == nil {
			return nil
		}
		held, err := Held(ctx, tx, e.next.scope.ID, t.value)
		if err == nil {
			e.next.members = e.next.members.with(t.value, held)
		}
		return err
	case touchedRole:
		return againIn(ctx, tx, e, t, roles, func(r *Role) string { return r.OrgID }, func(l *layer) *map[string]Role { return &l.roles })
	case touchedRestriction:
		return againIn(ctx, tx, e, t, Restrictions, func(r *Restriction) string { return r.OrgID }, func(l *layer) *map[string]Restriction { return &l.restrictions })
	case touchedOverride:
		return again(ctx, tx, overrides, t.value, e.next.scope.ID, func(o *Override) string { return o.OrgID }, func(o *Override) {
			l := e.layer()
			if e.first(t.kind) {
				l.overrides = maps.Clone(l.overrides)
			}
			maps.DeleteFunc(l.overrides, func(_ [2]string, old meaning) bool { return old.id == t.value })
			if o != nil {
				l.overrides[l.key(*o)] = meaning{o.ID, o.Add, o.Remove}
			}
		})
	case touchedPolicy:
		return again(ctx, tx, policies, t.value, e.next.scope.ID, func(p *Policy) string { return p.OrgID }, func(p *Policy) {
			l := e.layer()
			if e.first(t.kind) {
				l.policies = maps.Clone(l.policies)
			}
			for team, list := range l.policies {
				if i := slices.IndexFunc(list, func(old Policy) bool { return old.ID == t.value }); i >= 0 {
					l.policies[team] = slices.Delete(slices.Clone(list), i, i+1)
				}
			}
			if p != nil {
				l.put(*p)
			}
		})
	case touchedApproval:
		if e.next.members == nil {
			return nil
		}
		return again(ctx, tx, approvals, t.value, e.next.scope.ID, func(a *Approval) string { return a.OrgID }, func(a *Approval) {
			if e.first(t.kind) {
				e.next.granted = maps.Clone(e.next.granted)
			}
			e.next.revoke(t.value, tx.Now())
			if a != nil && a.Status == ApprovalApproved {
				e.next.grant(*a)
			}
		})
	}
	return errors.New("rbac: the trail names a kind that is not known")
}

// again reads a record and hands it over, nil if it is gone or not the organization's.
func again[T any, P store.Record[T]](ctx context.Context, tx *store.Tx, c store.Collection[T, P], id, orgID string,
	owner func(*T) string, use func(*T)) error {
	rec, err := c.Get(ctx, tx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		use(nil)
		return nil
	case err != nil:
		return err
	case owner(&rec) != orgID:
		use(nil)
	default:
		use(&rec)
	}
	return nil
}

// againIn is again for a map of the layer by id.
func againIn[T any, P store.Record[T]](ctx context.Context, tx *store.Tx, e *layerEdit, t touch, c store.Collection[T, P],
	owner func(*T) string, in func(*layer) *map[string]T) error {
	return again(ctx, tx, c, t.value, e.next.scope.ID, owner, func(rec *T) {
		m := in(e.layer())
		if e.first(t.kind) {
			*m = maps.Clone(*m)
		}
		if rec == nil {
			delete(*m, t.value)
		} else {
			(*m)[t.value] = *rec
		}
	})
}

func (l *layer) put(p Policy) {
	if !p.Enabled {
		return
	}
	list := append(slices.Clip(l.policies[p.TeamID]), p)
	slices.SortFunc(list, func(a, b Policy) int { return cmp.Compare(a.ID, b.ID) })
	l.policies[p.TeamID] = list
}

func (st *state) grant(a Approval) {
	w := a.wish()
	list := append(slices.Clip(st.granted[w]), a)
	slices.SortFunc(list, func(a, b Approval) int { return cmp.Compare(b.ID, a.ID) })
	st.granted[w] = list
}

// revoke takes an approval out, and with it those that have ended.
func (st *state) revoke(id string, now time.Time) {
	for w, list := range st.granted {
		gone := func(a Approval) bool { return a.ID == id || !now.Before(a.EndsAt) }
		if slices.ContainsFunc(list, gone) {
			if list = slices.DeleteFunc(slices.Clone(list), gone); len(list) == 0 {
				delete(st.granted, w)
			} else {
				st.granted[w] = list
			}
		}
	}
}
