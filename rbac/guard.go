package rbac

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Guard decides and is the one way to change anything. It is safe for concurrent use.
type Guard struct {
	store      *store.Store
	log        *audit.Log
	vocabulary *Vocabulary
	opt        Options
	memory     memory
	live       freshness
	matters    sync.Map            // action to Matter
	decisions  metric.Int64Counter // nil: nobody counts them

	asTeam  actionSet // what a key may do as its team
	editing actionSet // what no policy takes from an owner
}

// Options of a [Guard]; the zero value works.
type Options struct {
	// Actions are the host's own, such as deployments.manage, beside those of this library.
	Actions []string
	// Resolve returns the id of a model that is known under this name, an id or an alias.
	Resolve func(model string) (id string, ok bool)
	// Anomaly returns the present anomaly score, 0 to 1, of a person ("" for a service key) in an
	// organization. Nil: there is no detector and every score is 0. An error is an unknown score.
	Anomaly func(ctx context.Context, orgID, person string) (float64, error)
	// MFA returns when a person last proved a second factor, nil for never. It is asked when the
	// credential itself does not say. Nil: nobody is asked.
	MFA func(ctx context.Context, person string) (*time.Time, error)
	// Alarm is told when rules could not be evaluated, which refuses: it should wake somebody. Nil: nobody.
	Alarm func(err error)
	// Notify is told of every step of an approval request inside the unit of that step: what it writes to tx,
	// such as a message to be sent, is stored with the step or not at all. Its error undoes the step. Nil:
	// nobody.
	Notify func(ctx context.Context, tx *store.Tx, n ApprovalNotice) error
	Memory MemoryOptions
	Audit  audit.Options
}

// NewGuard returns a guard over the records of the store. A host action that cannot be one is an
// error.
func NewGuard(s *store.Store, o *Options) (*Guard, error) {
	if o == nil {
		o = &Options{}
	}
	v, err := NewVocabulary(o.Actions...)
	if err != nil {
		return nil, err
	}
	g := &Guard{store: s, log: audit.New(s, &o.Audit), vocabulary: v, opt: *o, editing: v.set(isPolicyEditing),
		asTeam: v.set(func(action string) bool { return slices.Contains(teamActions, action) })}
	if m := s.Telemetry().Meter(); m != nil {
		g.decisions, _ = m.Int64Counter("orgkit.rbac.decisions", metric.WithUnit("{decision}"), metric.WithDescription("Decisions with their reasons, by how they ended"))
	}
	g.opt.Memory = o.Memory.orDefaults()
	g.memory = memory{vocabulary: v, compile: RulesetOptions{Resolve: o.Resolve, Alarm: o.Alarm},
		limit: g.opt.Memory.Organizations, trusted: &g.live.trusted, loading: map[string]*loading{}, pinned: map[string]int{}}
	g.memory.nodes.Store(&table[*node]{})
	return g, nil
}

// Audit is the log that every change and refusal is written to.
func (g *Guard) Audit() *audit.Log { return g.log }

// Kinds are the kinds of record of this package, for drivers and migrations.
func Kinds() []*store.Kind {
	return []*store.Kind{Scopes.Kind(), Assignments.Kind(), Restrictions.Kind(), roles.Kind(),
		overrides.Kind(), policies.Kind(), approvals.Kind()}
}

// Op is what somebody wants to do.
type Op struct {
	Action   string   // dot form, such as teams.create
	OrgID    string   // "" for what belongs to no organization: the platform alone
	TeamID   string   // the team in whose context it happens, "" for the organization's
	Or       []string // actions that let through as well, for what may be read for several reasons
	Resource string   // "type:id"; "" is the team or organization itself
	Owner    string   // the user that the resource belongs to, for grants that end in :own

	// Open lets every actor through, and the organization's rules for signed-in people do not
	// apply: the function itself decides who may, as in the acceptance of an invitation.
	Open bool

	// Platform is for what belongs to the platform alone, though it happens in an organization.
	Platform bool

	// Gone lets the platform do it in a deleted organization, where else nothing can be changed.
	Gone bool

	// Past says that TeamID was read from a record: it may be of a team that is gone.
	Past bool

	// Answer is the id of what is read about. Whoever has just changed it, by the receipt of the context
	// ([WithReceipt]), is let through: a change that was made is answered, whatever else its maker may read.
	Answer string

	// Self lets everybody through who holds anything in the organization, by the organization's
	// rules for signed-in people: for what is one's own to read or give up.
	Self bool
}

// Change is how everything is changed: in one unit it locks the organization, asks whether the
// actor may, runs fn, writes the one event that fn describes and raises the revision of the
// organization. An error stores nothing. A refusal is a *[Denied] and leaves one event of its own;
// an organization in which the actor holds nothing is store.ErrNotFound, like one that is not
// there.
//
// What the context carries counts too: a precondition ([WithPrecondition]) and a receipt ([WithReceipt]).
//
// fn is run again after a transient failure. Inside a unit of the same store Change joins it; a
// refusal is then recorded by the outermost Change, if there is one.
func (g *Guard) Change(ctx context.Context, op Op, fn func(ctx context.Context, tx *store.Tx) (audit.Change, error)) error {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return ErrNoActor
	}
	joined := g.store.InUnit(ctx)
	err := g.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if op.OrgID == "" {
			if err := allowGlobal(by, op); err != nil {
				return err
			}
			_, err := g.record(ctx, tx, op, fn)
			return err
		}
		scope, err := Scopes.Lock(ctx, tx, op.OrgID)
		if err != nil {
			return err
		}
		if _, err := g.authorize(ctx, tx, by, op, scope, true); err != nil {
			return err
		}
		e, err := g.record(ctx, tx, op, fn)
		if err != nil {
			return err
		}
		return bump(ctx, tx, op.OrgID, e)
	})
	err = asked(op, err)
	if !joined {
		err = g.recordDenial(ctx, err)
	}
	return err
}

// asked notes on a refusal what it is a refusal of, innermost first.
func asked(op Op, err error) error {
	var d *Denied
	if errors.As(err, &d) && d.asked.Action == "" {
		d.asked = op
	}
	return err
}

// Together runs several changes in one unit: all of them are stored or none. A refusal leaves its event all
// the same.
func (g *Guard) Together(ctx context.Context, fn func(ctx context.Context) error) error {
	joined := g.store.InUnit(ctx)
	err := g.store.Update(ctx, func(ctx context.Context, _ *store.Tx) error { return fn(ctx) })
	if !joined {
		err = g.recordDenial(ctx, err)
	}
	return err
}

func allowGlobal(by audit.Actor, op Op) error {
	if by.Sovereign() || op.Open {
		return nil
	}
	return &Denied{Code: "permission_denied", Action: op.Action, Resource: op.Resource,
		Decision: Decision{MissingPermission: op.Action, Remedy: []string{"ask the operator of the platform"}}}
}

func (g *Guard) record(ctx context.Context, tx *store.Tx, op Op, fn func(context.Context, *store.Tx) (audit.Change, error)) (audit.Event, error) {
	change, err := fn(withoutPrecondition(ctx), tx)
	if err != nil {
		return audit.Event{}, err
	}
	if !meets(ctx, change.Before) {
		return audit.Event{}, &store.ConflictError{Code: "version_mismatch", Message: "it has another version by now; read it again"}
	}
	e, err := g.log.Append(ctx, tx, op.OrgID, op.Action, change)
	if err == nil && op.OrgID == "" && e.OrgID != "" { // the change has made the organization
		announce(ctx, tx, e.OrgID, 0, e)
	}
	return e, err
}

// recordDenial writes the event of a refusal in a unit of its own, since the refused one stored
// nothing. When even that fails the caller hears of both.
func (g *Guard) recordDenial(ctx context.Context, err error) error {
	var d *Denied
	if !errors.As(err, &d) {
		return err
	}
	if failed := g.log.Record(ctx, d.asked.OrgID, d.asked.Action, d.change()); failed != nil {
		return errors.Join(err, fmt.Errorf("refusal was not recorded: %w", failed))
	}
	return err
}

// Read runs fn on a snapshot after asking whether the actor may. Refusals are as in [Guard.Change]. What was allowed is
// told to the log, for organizations that want to see that too ([audit.Decisions]).
func (g *Guard) Read(ctx context.Context, op Op, fn func(ctx context.Context, tx *store.Tx) error) error {
	return g.ReadFound(ctx, func(context.Context, *store.Tx) (Op, error) { return op, nil }, fn)
}

// ReadFound is Read of what has to be looked for first, which find does on the same snapshot. Nobody has been asked then: what
// find says by an error must not be more than store.ErrNotFound, which is what strangers hear of what it has found.
func (g *Guard) ReadFound(ctx context.Context, find func(ctx context.Context, tx *store.Tx) (Op, error), fn func(ctx context.Context, tx *store.Tx) error) error {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return ErrNoActor
	}
	joined := g.store.InUnit(ctx)
	var op Op
	var d Decision
	err := g.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if op, err = find(ctx, tx); err != nil {
			return err
		}
		if op.OrgID == "" {
			if err := allowGlobal(by, op); err != nil {
				return err
			}
		} else if d, err = g.mayRead(ctx, tx, by, op); err != nil {
			return foreign(err)
		}
		return fn(ctx, tx)
	})
	g.allowed(by, op, d)
	err = asked(op, err)
	if !joined {
		err = g.recordDenial(ctx, err)
	}
	return err
}

// Below returns the organizations below that of op in which the actor may do what it says, where they may do it in
// that one. Where they may not, they are left out, and no event is left.
func (g *Guard) Below(ctx context.Context, op Op) (orgIDs []string, err error) {
	by, _ := audit.ActorFrom(ctx)
	err = g.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		orgIDs = nil
		levels, err := Descendants(ctx, tx, op.OrgID)
		if err != nil {
			return err
		}
		for _, scope := range slices.Concat(levels...) {
			below := op
			below.OrgID = scope.ID
			var d *Denied
			switch _, err := g.authorize(ctx, tx, by, below, scope, false); {
			case err == nil:
				orgIDs = append(orgIDs, scope.ID)
			case errors.As(err, &d) || errors.Is(err, store.ErrNotFound):
			default:
				return err
			}
		}
		return nil
	})
	return orgIDs, err
}

// Visible is [Guard.Read] for lists and objects whose readers the grant itself narrows: it answers
// whether the actor may read everything of the kind in the context, or only what is their own.
// Neither is a *[Denied].
func (g *Guard) Visible(ctx context.Context, op Op, fn func(ctx context.Context, tx *store.Tx, all bool) error) error {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return ErrNoActor
	}
	var may Decision
	err := g.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		may, err = g.mayRead(ctx, tx, by, op)
		if err == nil {
			return fn(ctx, tx, true)
		}
		var d *Denied
		if !errors.As(err, &d) || d.Code != "permission_denied" {
			return err
		}
		own := op
		own.Owner = by.Person()
		if own.Owner == "" {
			return err
		}
		var refused error
		if may, refused = g.mayRead(ctx, tx, by, own); refused != nil {
			return err
		}
		return fn(ctx, tx, false)
	})
	g.allowed(by, op, may)
	return g.recordDenial(ctx, asked(op, err))
}

// foreign turns the refusal of what is somebody else's, to one who sees only their own, into store.ErrNotFound.
func foreign(err error) error {
	var d *Denied
	if errors.As(err, &d) && d.Decision.NotOwn {
		return store.ErrNotFound
	}
	return err
}

// allowed tells the log of a decision that let somebody read. Who needed none is nobody's to be told of.
func (g *Guard) allowed(by audit.Actor, op Op, d Decision) {
	if d.Allowed {
		g.log.Decided(&audit.Decision{OrgID: op.OrgID, TeamID: op.TeamID, ID: d.ID, Action: op.Action, Resource: op.resource(), Actor: by})
	}
}

func (g *Guard) mayRead(ctx context.Context, tx *store.Tx, by audit.Actor, op Op) (Decision, error) {
	scope, err := Scopes.Get(ctx, tx, op.OrgID)
	if err != nil {
		return Decision{}, err
	}
	return g.authorize(ctx, tx, by, op, scope, false)
}

// authorize answers nil, store.ErrNotFound or a *[Denied]. locked says that the scope is, for a change. The decision is
// the zero one where none was needed.
func (g *Guard) authorize(ctx context.Context, tx *store.Tx, by audit.Actor, op Op, scope Scope, locked bool) (Decision, error) {
	chain, err := lineage(ctx, tx, scope)
	if err != nil {
		return Decision{}, err
	}
	// What is deleted is there for the platform alone: to be read, and to be restored.
	if Effective(chain) == Gone && !(by.Sovereign() && (op.Gone || !locked)) {
		return Decision{}, store.ErrNotFound
	}
	if op.Open {
		return Decision{}, nil
	}
	if op.TeamID != "" && !op.Past { // another organization's does not exist here
		part, err := Restrictions.Get(ctx, tx, op.TeamID)
		if err != nil {
			return Decision{}, err
		}
		if part.OrgID != op.OrgID {
			return Decision{}, store.ErrNotFound
		}
	}
	if by.Sovereign() || !locked && answers(ctx, tx, op.Answer) {
		return Decision{}, nil
	}
	st, err := g.stand(ctx, tx, chain, by.ID, locked)
	if err != nil {
		return Decision{}, err
	}
	resource := op.resource()
	denied := &Denied{Action: op.Action, Resource: resource, TeamID: op.TeamID}
	for _, scope := range st.rulesApply() {
		switch {
		case by.Type == audit.User && !scope.Admits(by.IP):
			denied.Code = "ip_denied"
			denied.Decision.Remedy = []string{"call from an address that the organization allows"}
			return Decision{}, denied
		case by.Session && scope.RequireMFA && by.MFAAt == nil:
			denied.Code = "mfa_required"
			denied.Decision.Remedy = []string{"verify a second factor"}
			return Decision{}, denied
		}
	}
	switch {
	case op.Platform:
		denied.Code = "permission_denied"
		denied.Decision = Decision{MissingPermission: op.Action, Remedy: []string{"ask the operator of the platform"}}
		return Decision{}, denied
	case op.Self:
		return Decision{}, nil
	}
	var d Decision // the first, unless another one allows
	for i, action := range append([]string{op.Action}, op.Or...) {
		is, err := g.decide(ctx, &records{guard: g, tx: tx, chain: chain, locked: locked}, st, by.ID, &Request{
			OrgID: op.OrgID, TeamID: op.TeamID, Action: action, Person: by.Person(),
			Call: Call{Resource: resource, Owner: op.Owner, At: tx.Now(), IP: by.IP, MFAAt: by.MFAAt},
		})
		if err != nil {
			return Decision{}, err
		}
		if is.Allowed {
			return is, nil
		}
		if i == 0 {
			d = is
		}
	}
	denied.Code, denied.Decision = d.Code, d
	return Decision{}, denied
}

// resource is what is asked about.
func (op Op) resource() string {
	switch {
	case op.Resource != "":
		return op.Resource
	case op.TeamID != "":
		return placeType(op.TeamID) + ":" + op.TeamID
	}
	return "organization:" + op.OrgID
}

// placeType is what a context inside of an organization is: a team, or a project, by the prefix of its id.
func placeType(id string) string {
	if strings.HasPrefix(id, "proj_") {
		return "project"
	}
	return "team"
}

func actor(ctx context.Context) audit.Actor {
	a, _ := audit.ActorFrom(ctx)
	return a
}

func indexed(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// isPolicyEditing: what an attached policy can never take from an owner (architecture of
// decisions: nobody can lock the owner out).
func isPolicyEditing(action string) bool { return strings.HasPrefix(action, "policies.") }
