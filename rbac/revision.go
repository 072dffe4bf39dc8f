package rbac

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Revision is how far organizations have come: their revisions by their ids. What a decision rests on is
// the revision of its organization and of all those above. Its text is a token that a client gets with
// every change and may send with a read, which then never shows less.
type Revision map[string]int64

// String is the token, such as "org_a:12,org_b:3".
func (r Revision) String() string {
	parts := make([]string, 0, len(r))
	for _, id := range slices.Sorted(maps.Keys(r)) {
		parts = append(parts, id+":"+strconv.FormatInt(r[id], 10))
	}
	return strings.Join(parts, ",")
}

// MarshalText makes the token the form in JSON.
func (r Revision) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// maxRevision bounds a token: the organizations of two lineages.
const maxRevision = 2 * MaxDepth

// ParseRevision reads a token, or answers a *[store.FieldError].
func ParseRevision(field, token string) (Revision, error) {
	r := Revision{}
	for part := range strings.SplitSeq(token, ",") {
		id, text, ok := strings.Cut(strings.TrimSpace(part), ":")
		n, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil || n < 0 || id == "" || len(r) == maxRevision {
			return nil, store.Invalid(field, "pattern", "is not a revision token")
		}
		r[id] = max(n, r[id])
	}
	return r, nil
}

func revisionOf(chain []Scope) Revision {
	r := make(Revision, len(chain))
	for _, s := range chain {
		r[s.ID] = s.Revision
	}
	return r
}

// Receipt collects what changes have come to. It is safe for concurrent use.
type Receipt struct {
	mu      sync.Mutex
	rev     Revision
	changed map[string]bool // ids of what was changed
	unit    pending
}

// pending is what a unit that runs has noted up to now: it counts inside of it.
type pending struct {
	tx      *store.Tx
	rev     Revision
	changed map[string]bool
}

type receiptKey struct{}

// WithReceipt returns a context in which every [Guard.Change] that is committed is noted on the receipt.
func WithReceipt(ctx context.Context) (context.Context, *Receipt) {
	r := &Receipt{rev: Revision{}, changed: map[string]bool{}}
	return context.WithValue(ctx, receiptKey{}, r), r
}

// Revision is what was noted up to now; empty if nothing was changed.
func (r *Receipt) Revision() Revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.rev)
}

// Within is what the revision will be when the unit of tx is committed; empty if it has changed nothing.
func (r *Receipt) Within(tx *store.Tx) Revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	rev := maps.Clone(r.rev)
	if r.unit.tx == tx {
		for orgID, revision := range r.unit.rev {
			rev[orgID] = max(revision, rev[orgID])
		}
	}
	return rev
}

func (r *Receipt) noteWithin(tx *store.Tx, orgID string, revision int64, resource string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unit.tx != tx {
		r.unit = pending{tx, Revision{}, map[string]bool{}}
	}
	r.unit.rev[orgID] = max(revision, r.unit.rev[orgID])
	r.unit.changed[resource] = true
}

func (r *Receipt) note(orgID string, revision int64, resource string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rev[orgID] = max(revision, r.rev[orgID])
	r.changed[resource] = true
}

// answers says whether the context is that of a change of the resource, which was committed or is a part of the unit.
func answers(ctx context.Context, tx *store.Tx, resource string) bool {
	r, ok := ctx.Value(receiptKey{}).(*Receipt)
	if !ok || resource == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed[resource] || r.unit.tx == tx && r.unit.changed[resource]
}

// bump re-reads the scope, since fn may have written it.
func bump(ctx context.Context, tx *store.Tx, orgID string, e audit.Event) error {
	scope, err := Scopes.Get(ctx, tx, orgID)
	if err != nil {
		return err
	}
	scope.Revision++
	scope.Trail = extend(scope.Trail, scope.Revision, tx.Traces())
	announce(ctx, tx, orgID, scope.Revision, e)
	return Scopes.Update(ctx, tx, &scope)
}

// Stir raises the revision of every organization in which one of the subjects holds something, for a change outside of organizations
// that counts in all of them, such as of the state of a person. It is a part of that change, and locks the organizations:
// what is locked after organizations, such as people, must not be locked before. It answers which they are.
func Stir(ctx context.Context, tx *store.Tx, subjects ...string) (orgIDs []string, err error) {
	for some := range slices.Chunk(subjects, 200) {
		for a, err := range Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.In("subject", some)}}) {
			if err != nil {
				return nil, err
			}
			orgIDs = append(orgIDs, a.OrgID)
		}
	}
	slices.Sort(orgIDs)
	orgIDs = slices.Compact(orgIDs)
	for _, id := range orgIDs {
		if _, err := Scopes.Lock(ctx, tx, id); err != nil {
			return nil, err
		}
		if err := bump(ctx, tx, id, audit.Event{}); err != nil {
			return nil, err
		}
	}
	return orgIDs, nil
}

// announce notes the new revision for whoever asked to know, and tells all processes.
func announce(ctx context.Context, tx *store.Tx, orgID string, revision int64, e audit.Event) {
	if r, ok := ctx.Value(receiptKey{}).(*Receipt); ok {
		r.noteWithin(tx, orgID, revision, e.ResourceID)
		tx.AfterCommit(func() { r.note(orgID, revision, e.ResourceID) })
	}
	tx.Notify(Changed{OrgID: orgID, Revision: revision, Resource: e.ResourceType, ID: e.ResourceID}.word())
}

type demandKey struct{}

// WithRevision returns a context in which reads show at least that revision of the organizations that it
// names. One that cannot is store.ErrTransient, after it was tried for a moment.
func WithRevision(ctx context.Context, least Revision) context.Context {
	return context.WithValue(ctx, demandKey{}, least)
}

// fresh answers store.ErrTransient where the snapshot is older than the context demands. Organizations
// that are not there demand nothing.
func fresh(ctx context.Context, tx *store.Tx) error {
	least, _ := ctx.Value(demandKey{}).(Revision)
	if len(least) == 0 {
		return nil
	}
	for s, err := range Scopes.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", slices.Sorted(maps.Keys(least)))}}) {
		if err != nil {
			return err
		}
		if s.Revision < least[s.ID] {
			return fmt.Errorf("%w: the revision that was asked for is not here yet", store.ErrTransient)
		}
	}
	return nil
}

// View is store.Store.View with what [WithRevision] demands, for reads that ask for no permission.
func (g *Guard) View(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error {
	return g.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := fresh(ctx, tx); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

type preconditionKey struct{}

// WithPrecondition returns a context in which a [Guard.Change] takes place only if the record that it
// changes has one of the versions, or, without any, if there is one at all: RFC 9110, If-Match. Otherwise
// it is a *store.ConflictError version_mismatch. Changes inside of that change are not concerned.
func WithPrecondition(ctx context.Context, versions ...int64) context.Context {
	return context.WithValue(ctx, preconditionKey{}, &versions)
}

// meets says whether the precondition of the context holds for a record as it was before a change.
func meets(ctx context.Context, before any) bool {
	versions, _ := ctx.Value(preconditionKey{}).(*[]int64)
	if versions == nil {
		return true
	}
	rec, ok := before.(interface{ RecordVersion() int64 })
	return ok && (len(*versions) == 0 || slices.Contains(*versions, rec.RecordVersion()))
}

func withoutPrecondition(ctx context.Context) context.Context {
	return context.WithValue(ctx, preconditionKey{}, (*[]int64)(nil))
}
