package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/store"
)

// waiting is an event that is committed and not in order yet. On a database that many write to at once no unit
// waits for the one before to have its place: one after another puts into order what is visible.
type waiting struct {
	N     int64 `store:"serial"`
	Event []byte
}

var pending = store.DefineLog[waiting]("audit_pending", []string{"n"})

// sequencer is the one record that is locked by whoever puts events in order.
type sequencer struct{ store.Meta }

var sequencers = store.Define[sequencer]("audit_sequencers", "seq")

const theSequencer = "audit"

// How many events are put in order at once: fewer where all other units wait meanwhile.
const (
	maxBatch       = 5000
	maxBatchAmidst = 250
)

func (l *Log) batchSize() int {
	if l.store.Sequential() {
		return maxBatchAmidst
	}
	return maxBatch
}

// haste is for whom events are put in order.
type haste int

const (
	// forReaders: at once, and without checkpoints.
	forReaders haste = iota
	// forAll: at once.
	forAll
	// inBackground: unless another process has just done so. However many there are, all together do it as often as one alone: the
	// more events there are of an organization, the less each costs.
	inBackground
)

// order puts in order what was committed before it, and says how long to wait where another process has just done so. Unless it
// is for readers, checkpoints of what it puts in order are kept in the same unit; but where all other units wait meanwhile, those
// are for [Log.sign], as what others put in order.
func (l *Log) order(ctx context.Context, h haste) (time.Duration, error) {
	for {
		n, rest, err := l.batch(ctx, h)
		if err != nil || n < l.batchSize() {
			return rest, err
		}
	}
}

// batch puts some events in order, the oldest first, and says how many, or how long to rest. They are those of the numbers that the
// database gave at the commits, among those that are visible: number order is not commit order, but of two units
// that one waited for the other it is.
func (l *Log) batch(ctx context.Context, h haste) (n int, rest time.Duration, err error) {
	waits := false
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		some, err := pending.Scan(ctx, tx, store.Range{Limit: 1})
		if waits, rest = len(some) > 0, 0; err != nil || !waits || h != inBackground || l.store.Sequential() {
			return err
		}
		last, err := sequencers.Get(ctx, tx, theSequencer)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		rest = l.rest(&last, tx.Now())
		return err
	})
	if err != nil || !waits || rest > 0 {
		return 0, rest, err
	}
	err = l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, rest = 0, 0
		last, err := l.alone(ctx, tx)
		if err != nil {
			return err
		}
		if h == inBackground {
			if rest = l.rest(&last, tx.Now()); rest > 0 {
				return nil
			}
		}
		claimed, err := pending.Claim(ctx, tx, store.Range{Limit: l.batchSize()})
		if err != nil || len(claimed) == 0 {
			return err
		}
		rows := make([]row, len(claimed))
		for i, c := range claimed {
			if err := rows[i].decode(c.Event); err != nil {
				rows[i] = unreadable(c.Event, tx.Now())
				tx.AfterCommit(func() { l.alarm(fmt.Errorf("audit: an event that waited could not be read: %w", err)) })
			}
		}
		n = len(rows)
		write, err := l.sift(ctx, tx, rows)
		if err != nil {
			return err
		}
		if err := l.sequence(ctx, tx, only(rows, write), h != forReaders && !l.store.Sequential()); err != nil {
			return err
		}
		return l.leave(ctx, tx, &last)
	})
	return n, rest, err
}

// unreadable is the event of one that waited and cannot be read: it must not keep all others from their places.
func unreadable(b []byte, now time.Time) row {
	sum := sha256.Sum256(b)
	e := Event{Type: "audit.unreadable", Category: Category("audit.unreadable"), ActorType: Internal, ActorID: "audit", Outcome: Failure,
		ID: idPrefix + "_" + hex.EncodeToString(sum[:16]), Time: now, OccurredAt: now,
		Data: json.RawMessage(fmt.Sprintf(`{"bytes":%d,"sha256":"%s"}`, len(b), hex.EncodeToString(sum[:])))}
	return rowOf(&e)
}

// alone waits until nobody else puts events in order, and says who has done so last. Where all units are one after another,
// nobody else does, and nobody notes it.
func (l *Log) alone(ctx context.Context, tx *store.Tx) (last sequencer, err error) {
	if l.store.Sequential() {
		return last, nil
	}
	last, err = sequencers.Lock(ctx, tx, theSequencer)
	if errors.Is(err, store.ErrNotFound) {
		first := sequencer{store.Meta{ID: theSequencer}}
		if _, err = sequencers.InsertNew(ctx, tx, &first); err == nil {
			last, err = sequencers.Lock(ctx, tx, theSequencer)
		}
	}
	return last, err
}

// leave notes that events were put in order now.
func (l *Log) leave(ctx context.Context, tx *store.Tx, last *sequencer) error {
	if l.store.Sequential() {
		return nil
	}
	if err := sequencers.Update(ctx, tx, last); err != nil {
		return err
	}
	tx.AfterCommit(func() { l.own.Store(last.Version) })
	return nil
}

// rest is how long it is until the background does again what another process has done last: a little more or less, so that not
// all want to at the same moment. Of two units the one that began later may have been the first; where a clock goes before the
// own by more than that, it is at once.
func (l *Log) rest(last *sequencer, now time.Time) time.Duration {
	since := now.Sub(last.UpdatedAt)
	if last.Version <= 1 || last.Version == l.own.Load() || since < -gathering/8 || since >= gathering { // the first version was left by nobody
		return 0
	}
	return gathering - max(since, 0) + rand.N(gathering/16)
}

// organizations are those that the rows are of, each once, and where it stands among them.
func organizations(rows []row) (ids []string, place map[string]int) {
	place = map[string]int{}
	for i := range rows {
		if _, known := place[rows[i].OrgID]; !known {
			place[rows[i].OrgID] = len(ids)
			ids = append(ids, rows[i].OrgID)
		}
	}
	return ids, place
}

// sequence gives each event its place behind those of its organization, and keeps it. Nobody else does so at the
// same time.
func (l *Log) sequence(ctx context.Context, tx *store.Tx, rows []row, signs bool) error {
	if len(rows) == 0 {
		return nil
	}
	orgIDs, place := organizations(rows)
	var sown [][]seedBlock
	heads, err := l.heads(ctx, tx, orgIDs, seeds.Read(&sown, last(orgIDs)...))
	if err != nil {
		return err
	}
	drawn := make([]draw, len(heads))
	for i := range drawn {
		drawn[i] = drawBehind(orgIDs[i], sown[i])
	}
	placed := make([]kept, len(rows))
	var full []block
	var sow []seedBlock
	lasts := make([]tlog.Hash, len(heads))
	for i := range rows {
		r := &rows[i]
		org := place[r.OrgID]
		head := &heads[org]
		occurred := r.At.Add(-time.Duration(r.Lag) * time.Microsecond)
		r.Seq = head.size
		r.At = latest(head.at.Add(time.Microsecond), occurred)
		r.Lag = r.At.Sub(occurred).Microseconds()
		head.at = r.At
		if len(r.Salt) == 0 {
			sow = append(sow, drawn[org].salt(r)...)
		}
		lasts[org] = r.leaf()
		placed[i] = r.kept()
		if b, is := blockOf(r.OrgID, r.Seq, r.At, head.add(lasts[org])); is {
			full = append(full, b)
		}
	}
	if err := events.Queue(ctx, tx, placed...); err != nil {
		return err
	}
	if err := blocks.Queue(ctx, tx, full...); err != nil {
		return err
	}
	if err := seeds.Queue(ctx, tx, sow...); err != nil {
		return err
	}
	for i, id := range orgIDs {
		l.edges.put(id, &heads[i], lasts[i])
	}
	if err := l.remember(ctx, tx, rows); err != nil {
		return err
	}
	if err := count(ctx, tx, rows); err != nil {
		return err
	}
	if err := l.refilter(ctx, tx, rows); err != nil {
		return err
	}
	if len(l.opt.Signers) == 0 {
		return nil
	}
	if signs {
		if made, err := l.signedAll(orgIDs, heads); err == nil {
			_, err = checkpoints.AppendMany(ctx, tx, made)
			return err
		}
	}
	tx.AfterCommit(func() { l.soil(orgIDs) }) // a key that cannot sign keeps no event from its place; Log.sign says why
	return nil
}

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}

// name is under what somebody or something was known, as hashes: what the log is asked for by.
type name struct {
	OrgID string `store:"word"`
	Kind  string `store:"word"` // actor or resource
	Name  int64  // see nameKey
	ID    int64  // see keyOf
}

var names = store.DefineLog[name]("audit_names", []string{"org_id", "kind", "name", "id"})

const (
	actorName    = "actor"
	resourceName = "resource"
)

// nameKey is what a name is looked up by: 64 bits of its hash, since one may choose a name.
func nameKey(kind, s string) int64 {
	sum := sha256.Sum256([]byte(nameText(kind, s)))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// nameText is a name as it is compared.
func nameText(kind, s string) string {
	if kind == resourceName {
		return store.SlugKey(s)
	}
	return strings.ToLower(s)
}

// typed is a type of events with an outcome that one has had, in whatever organization: they are the program's.
type typed struct {
	Kind string // see kindOf
}

var kinds = store.DefineLog[typed]("audit_types", []string{"kind"})

// remember keeps the names and types that are not known yet.
func (l *Log) remember(ctx context.Context, tx *store.Tx, rows []row) error {
	var allNames []name
	var allKinds []typed
	for i := range rows {
		r := &rows[i]
		allKinds = append(allKinds, typed{kindOf(r.Type, r.Outcome)})
		if r.ResourceSlug != "" {
			allNames = append(allNames, name{r.OrgID, resourceName, nameKey(resourceName, r.ResourceSlug), keyOf(r.ResourceID)})
		}
		if e, err := r.eventBy(l.opt.Seal); err == nil && e.ActorLabel != "" && e.ActorLabel != r.ActorID {
			keys, err := l.nameKeys(r.OrgID, actorName, e.ActorLabel)
			if err != nil {
				return err
			}
			allNames = append(allNames, name{r.OrgID, actorName, keys[0], keyOf(r.ActorID)})
		}
	}
	if err := l.names.keep(ctx, tx, names, allNames); err != nil {
		return err
	}
	return l.kinds.keep(ctx, tx, kinds, allKinds)
}

// known are rows that are kept. They are looked up again after a while: another process may have erased one.
type known[T comparable] struct {
	mu    sync.Mutex
	all   map[T]bool
	since time.Time
}

const (
	maxKnown = 50_000
	knownFor = time.Minute
)

// keep writes those of a list that are not known yet.
func (k *known[T]) keep(ctx context.Context, tx *store.Tx, into store.Log[T], list []T) error {
	fresh := k.unknown(list)
	if len(fresh) == 0 {
		return nil
	}
	if _, err := into.AppendMany(ctx, tx, fresh); err != nil {
		return err
	}
	tx.AfterCommit(func() { k.learn(fresh) })
	return nil
}

// unknown are those of a list that are not known, each once.
func (k *known[T]) unknown(list []T) (fresh []T) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old, seen := time.Since(k.since) >= knownFor, map[T]bool{}
	for _, one := range list {
		if !old && k.all[one] || seen[one] {
			continue
		}
		seen[one] = true
		fresh = append(fresh, one)
	}
	return fresh
}

func (k *known[T]) learn(list []T) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || len(k.all)+len(list) > maxKnown || time.Since(k.since) >= knownFor {
		k.all, k.since = map[T]bool{}, time.Now()
	}
	for _, one := range list {
		k.all[one] = true
	}
}

func (k *known[T]) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = nil
}

// tally counts the events of an hour.
type tally struct {
	OrgID   string `store:"word"`
	Hour    time.Time
	Type    string
	Outcome string
	Events  int64
}

var counts = store.DefineLog[tally]("audit_counts", []string{"org_id", "hour", "type", "outcome"})

func count(ctx context.Context, tx *store.Tx, rows []row) error {
	sums := make([]tally, len(rows))
	for i := range rows {
		r := &rows[i]
		sums[i] = tally{r.OrgID, r.At.Truncate(time.Hour), r.Type, r.Outcome, 1}
	}
	if err := counts.Add(ctx, tx, sums); err != nil {
		return fmt.Errorf("count events: %w", err)
	}
	return nil
}
