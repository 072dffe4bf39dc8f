package orgs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// recorder stands around a driver. It notes what units have written once they are committed, shows
// everything that is stored, and fails commits when it is told to.
type recorder struct {
	store.Driver
	mu      sync.Mutex
	units   [][]write
	changed bool   // since it was restored
	last    *state // nothing was committed since
	fault   error
	kind    string // of the record before whose next lock something happens
	happens func()
}

// write is one record that a unit has written.
type write struct{ kind, id string }

// recorded opens an empty store of that name, see storetest.Open, with a recorder around its driver.
func recorded(t *testing.T, name string) (*store.Store, *recorder, *storetest.Clock) {
	t.Helper()
	clock, rec := storetest.NewClock(), &recorder{}
	wrap := func(d store.Driver) store.Driver {
		if name == "twice" {
			d = storetest.Twice(d)
		}
		rec.Driver = d
		return rec
	}
	driver := strings.Replace(name, "twice", "memory", 1)
	return storetest.Open(t, driver, store.Options{Now: clock.Now, NewID: storetest.IDs(), Wrap: wrap}), rec, clock
}

// inOrder are options with which nothing is written in the background, and checkpoints are signed.
func inOrder() *orgs.Options {
	signer, verifier, err := audit.NewKey("test")
	if err != nil {
		panic(err)
	}
	key, err := note.NewSigner(signer)
	if err != nil {
		panic(err)
	}
	sealKey, err := seal.ParseKey(seal.GenerateKey())
	if err != nil {
		panic(err)
	}
	o := &orgs.Options{Notifier: &orgstest.Notifications{}}
	if o.Seal, err = seal.New(sealKey); err != nil {
		panic(err)
	}
	if o.URLs, err = outbound.New(nil); err != nil {
		panic(err)
	}
	o.Audit = audit.Options{NoBackground: true, Signers: []note.Signer{key}, Verifiers: []string{verifier}}
	return o
}

// eachRecorded runs a test in a new world on every store, with a recorder.
func eachRecorded(t *testing.T, fn func(t *testing.T, w *orgstest.World, rec *recorder, clock *storetest.Clock)) {
	for _, name := range []string{"memory", "twice", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			s, rec, clock := recorded(t, name)
			fn(t, orgstest.New(t, s, inOrder()), rec, clock)
		})
	}
}

func (r *recorder) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	tx, err := r.Driver.Begin(ctx, writable)
	if err != nil || !writable {
		return tx, err
	}
	return &recordedTx{DriverTx: tx, rec: r}, nil
}

// failing makes every commit fail with the error, none where it is nil.
func (r *recorder) failing(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = err
}

// beforeLock lets something happen, once, before the next record of the kind is locked.
func (r *recorder) beforeLock(kind string, happens func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kind, r.happens = kind, happens
}

// take returns what the units committed since the last call have written, each by itself. Units that wrote
// nothing are left out.
func (r *recorder) take() [][]write {
	r.mu.Lock()
	defer r.mu.Unlock()
	units := r.units
	r.units = nil
	return units
}

type recordedTx struct {
	store.DriverTx
	rec    *recorder
	wrote  []write
	orders bool
}

func (t *recordedTx) note(k *store.Kind, rec any) {
	if besideEvents(k.Name) {
		return
	}
	w := write{kind: k.Name}
	if k.Key == nil {
		w.id = k.Meta(rec).ID
	}
	t.wrote = append(t.wrote, w)
}

func (t *recordedTx) Get(ctx context.Context, k *store.Kind, id string, lock bool, dst any) error {
	t.rec.mu.Lock()
	happens := t.rec.happens
	if lock && k.Name == t.rec.kind {
		t.rec.kind, t.rec.happens = "", nil
	} else {
		happens = nil
	}
	t.rec.mu.Unlock()
	if happens != nil {
		happens()
	}
	return t.DriverTx.Get(ctx, k, id, lock, dst)
}

func (t *recordedTx) Insert(ctx context.Context, k *store.Kind, rec any, skip bool) (bool, error) {
	fresh, err := t.DriverTx.Insert(ctx, k, rec, skip)
	if err == nil && (fresh || !skip) {
		t.note(k, rec)
	}
	return fresh, err
}

func (t *recordedTx) Update(ctx context.Context, k *store.Kind, rec any) error {
	t.note(k, rec)
	return t.DriverTx.Update(ctx, k, rec)
}

func (t *recordedTx) Delete(ctx context.Context, k *store.Kind, ids []string) error {
	for _, id := range ids {
		t.wrote = append(t.wrote, write{k.Name, id})
	}
	return t.DriverTx.Delete(ctx, k, ids)
}

func (t *recordedTx) Append(ctx context.Context, k *store.Kind, rows any) ([]bool, error) {
	t.noteRows(k, rows)
	return t.DriverTx.Append(ctx, k, rows)
}

func (t *recordedTx) Queue(ctx context.Context, k *store.Kind, rows any) error {
	t.noteRows(k, rows)
	return t.DriverTx.Queue(ctx, k, rows)
}

// Claim is of who puts events in order: they were noted when they were written.
func (t *recordedTx) Claim(ctx context.Context, k *store.Kind, s store.Span, dst any) error {
	t.orders = t.orders || besideEvents(k.Name)
	return t.DriverTx.Claim(ctx, k, s, dst)
}

// noteRows notes events, whether or not they have their place at once, and nothing of what stands beside them.
func (t *recordedTx) noteRows(k *store.Kind, rows any) {
	switch k.Name {
	case "audit_events", "audit_pending":
		for range reflect.ValueOf(rows).Len() {
			if !t.orders {
				t.wrote = append(t.wrote, write{kind: "audit_events"})
			}
		}
	default:
		if !besideEvents(k.Name) {
			for range reflect.ValueOf(rows).Len() {
				t.note(k, nil)
			}
		}
	}
}

// besideEvents says whether records of a kind follow from the events.
func besideEvents(kind string) bool {
	return strings.HasPrefix(kind, "audit_") && !strings.HasPrefix(kind, "audit_configs")
}

func (t *recordedTx) Commit(ctx context.Context) error {
	t.rec.mu.Lock()
	fault := t.rec.fault
	t.rec.mu.Unlock()
	if fault != nil {
		return errors.Join(fault, t.DriverTx.Rollback())
	}
	err := t.DriverTx.Commit(ctx)
	t.rec.mu.Lock()
	defer t.rec.mu.Unlock()
	t.rec.last = nil
	if err == nil && len(t.wrote) > 0 {
		t.rec.units, t.rec.changed = append(t.rec.units, t.wrote), true
	}
	return err
}

// state is everything that is stored: records by their kind and id, and the rows of the log.
type state struct {
	rows   map[string]string // as JSON of the columns, what no API shows included
	kept   map[string]kept
	scopes map[string]rbac.Scope
	events map[string]audit.Event
}

// kept is a record as its driver knows it.
type kept struct {
	kind *store.Kind
	rec  any
}

func (r *recorder) state(t *testing.T) state {
	t.Helper()
	if r.last != nil {
		return *r.last
	}
	s := state{map[string]string{}, map[string]kept{}, map[string]rbac.Scope{}, map[string]audit.Event{}}
	tx, err := r.Driver.Begin(t.Context(), false)
	require.NoError(t, err)
	defer tx.Rollback()
	for _, k := range orgs.Kinds() {
		all := reflect.New(reflect.SliceOf(reflect.TypeOf(k.New()).Elem()))
		if k.Key != nil {
			err = tx.Scan(t.Context(), k, store.Span{Order: k.Key, Limit: store.MaxAppend}, all.Interface())
		} else {
			err = tx.Select(t.Context(), k, store.Selection{Order: []store.Order{store.Asc("id")}}, all.Interface())
		}
		require.NoError(t, err)
		for i := range all.Elem().Len() {
			s.add(t, k, all.Elem().Index(i))
		}
	}
	r.last = &s
	return s
}

func (s state) add(t *testing.T, k *store.Kind, row reflect.Value) {
	columns := map[string]any{}
	for _, c := range k.Columns {
		columns[c.Name] = c.Field(row).Interface()
	}
	text, err := json.Marshal(columns)
	require.NoError(t, err)
	key, parts := k.Name, k.Key
	if parts == nil {
		parts = []string{"id"}
	}
	for _, column := range parts {
		key += fmt.Sprint(" ", columns[column])
	}
	s.rows[key], s.kept[key] = string(text), kept{k, row.Addr().Interface()}
	switch rec := row.Interface().(type) {
	case rbac.Scope:
		s.scopes[rec.ID] = rec
	default:
		if e, is := audit.EventIn(rec); is {
			s.events[e.ID] = e
		}
	}
}

// change is what differs between two states.
type change struct {
	records []string         // kind and id of what is new, gone or other, without events
	events  []audit.Event    // that are new, in the order in which they were written
	raised  map[string]int64 // by how much the revisions of organizations were
}

func (s state) to(after state) change {
	c := change{raised: map[string]int64{}}
	keys := map[string]bool{}
	for _, rows := range []map[string]string{s.rows, after.rows} {
		for key := range rows {
			keys[key] = s.rows[key] != after.rows[key]
		}
	}
	for key, differs := range keys {
		if differs && !besideEvents(key) {
			c.records = append(c.records, key)
		}
	}
	slices.Sort(c.records)
	for id, e := range after.events {
		if _, old := s.events[id]; !old {
			c.events = append(c.events, e)
		}
	}
	slices.SortFunc(c.events, func(a, b audit.Event) int { return strings.Compare(a.ID, b.ID) })
	for id, scope := range after.scopes {
		if by := scope.Revision - s.scopes[id].Revision; by != 0 {
			c.raised[id] = by
		}
	}
	return c
}

// leavesNothing runs a call that must not change anything, and returns its error.
func (r *recorder) leavesNothing(t *testing.T, call func() error) error {
	t.Helper()
	before := r.state(t)
	err := call()
	left := before.to(r.state(t))
	for _, e := range left.events {
		left.records = append(left.records, "event "+e.Type+" "+string(e.Data))
	}
	require.Empty(t, left.records, "nothing is stored; the error is: %v", err)
	return err
}

// leavesADenial runs a call that must be refused with the code, and leave the one event of that and nothing
// else.
func (r *recorder) leavesADenial(t *testing.T, code string, call func() error) *rbac.Denied {
	t.Helper()
	r.take()
	d := refused(t, call(), code)
	require.Equal(t, [][]write{{{kind: "audit_events"}}}, r.take(), "one event and nothing else")
	return d
}

// restore brings everything back into a state that was seen before. Who keeps something in memory by the
// revisions of organizations, which go back too, has to be made anew.
func (r *recorder) restore(t *testing.T, was state) {
	t.Helper()
	is := r.state(t)
	tx, err := r.Driver.Begin(t.Context(), true)
	require.NoError(t, err)
	defer tx.Rollback()
	var back []kept
	for key, k := range is.kept {
		if k.kind.Key == nil && is.rows[key] != was.rows[key] {
			require.NoError(t, tx.Delete(t.Context(), k.kind, []string{k.kind.Meta(k.rec).ID}))
		}
	}
	for key, k := range was.kept {
		if k.kind.Key == nil && is.rows[key] != was.rows[key] {
			back = append(back, k)
		}
	}
	for _, k := range back {
		_, err := tx.Insert(t.Context(), k.kind, k.rec, false)
		require.NoError(t, err)
	}
	r.restoreLog(t, tx, was)
	require.NoError(t, tx.Commit(t.Context()))
	r.last, r.changed = &was, false
}

// restoreLog takes the rows of all logs away, and puts the old ones back.
func (r *recorder) restoreLog(t *testing.T, tx store.DriverTx, was state) {
	t.Helper()
	for _, k := range orgs.Kinds() {
		if k.Key == nil {
			continue
		}
		for {
			n, err := tx.Prune(t.Context(), k, store.Span{Order: k.Key, Limit: store.MaxAppend})
			require.NoError(t, err)
			if n == 0 {
				break
			}
		}
		rows := reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(k.New()).Elem()), 0, 0)
		for _, old := range was.kept {
			if old.kind == k {
				rows = reflect.Append(rows, reflect.ValueOf(old.rec).Elem())
			}
		}
		_, err := tx.Append(t.Context(), k, rows.Interface())
		require.NoError(t, err)
	}
}
