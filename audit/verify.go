package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// Verdict is what a verification found.
type Verdict string

// The verdicts. Unchecked is never good news: something that a verdict would rest on is missing.
const (
	Intact    Verdict = "ok"
	Tampered  Verdict = "tampered"
	Unchecked Verdict = "cannot_check"
)

// Report is the result of a verification.
type Report struct {
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason,omitempty"` // of any verdict but ok
	Seq     int64     `json:"sequence"`         // of the event that is not what was signed, or before which that lies; -1 for none
	First   int64     `json:"first"`            // the log begins with it: what came before is pruned
	Checked int64     `json:"checked"`          // events
	Erased  int64     `json:"erased"`           // of them without what was personal
	Covered int64     `json:"covered"`          // the size of the newest checkpoint; what comes behind it can still be changed
	Until   time.Time `json:"until"`            // its time
}

func (r Report) String() string {
	switch r.Verdict {
	case Tampered:
		return fmt.Sprintf("tampered at seq %d: %s", r.Seq, r.Reason)
	case Unchecked:
		return "cannot check: " + r.Reason
	}
	erased := ""
	if r.Erased > 0 {
		erased = fmt.Sprintf(", of %d what was personal is erased", r.Erased)
	}
	return fmt.Sprintf("ok: events %d to %d, as signed at %s%s", r.First, r.Covered-1, r.Until.UTC().Format(time.RFC3339), erased)
}

// Verifier checks the events of one log, one after another, against checkpoints. It needs no database.
type Verifier struct {
	origin    string
	edge      edge
	first     int64
	completed []byte // by the last event
	erased    []erasedEvent
	erasures  map[string]bool // the ids of whom an event says that it was erased
	cut       string          // with which event the log begins, as the last event of a prune says
	pending   []Checkpoint
	report    Report
}

// NewVerifier returns a verifier of the log of that origin. The checkpoints are what [ReadCheckpoint] returned, best
// those that were kept elsewhere; one of another log is an error. first and hashes are where the events begin: 0 and
// nil, or those of the prune.
func NewVerifier(origin string, checkpoints []Checkpoint, first int64, hashes []byte) (*Verifier, error) {
	e, ok := edgeOf(first, hashes)
	if first < 0 || !ok {
		return nil, errors.New("audit: the edge is not that of a tree of this size")
	}
	v := &Verifier{origin: origin, edge: e, first: first, erasures: map[string]bool{}, report: Report{Verdict: Intact, Seq: -1, First: first}}
	for _, c := range checkpoints {
		if c.Origin != origin {
			return nil, fmt.Errorf("audit: a checkpoint is of %q", c.Origin)
		}
		v.pending = append(v.pending, c)
	}
	slices.SortFunc(v.pending, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	for len(v.pending) > 0 && v.pending[0].Size <= first {
		if v.pending[0].Size == first && first > 0 && v.pending[0].Root != e.root() {
			v.tampered(first, "what was pruned is not what was signed")
		}
		v.pending = v.pending[1:]
	}
	return v, nil
}

func (v *Verifier) tampered(seq int64, reason string) {
	if v.report.Verdict != Tampered {
		v.report.Verdict, v.report.Seq, v.report.Reason = Tampered, seq, reason
	}
}

// Add checks the next event. Once something is wrong the rest is not looked at.
func (v *Verifier) Add(e Entry) {
	if v.report.Verdict == Tampered {
		return
	}
	leaf, err := e.Leaf()
	if err != nil {
		v.tampered(v.edge.size, err.Error())
		return
	}
	v.take(leaf, &e.Event)
}

// take checks the event of a leaf.
func (v *Verifier) take(leaf tlog.Hash, e *Event) {
	v.add(leaf, e.Seq, e.Time, e.Erased)
	switch {
	case e.Erased:
		v.erased = append(v.erased, erasedEvent{e.Seq, []string{e.ActorID, e.OnBehalfOf, e.ResourceID}})
	case e.Type == ErasedType:
		v.erasures[e.ResourceID] = true
	}
	if e.Type == PrunedType {
		v.cut = e.ResourceID
	}
}

func (v *Verifier) add(leaf tlog.Hash, seq int64, at time.Time, erased bool) {
	switch {
	case seq != v.edge.size:
		v.tampered(v.edge.size, fmt.Sprintf("event %d comes where %d should", seq, v.edge.size))
		return
	case !at.After(v.edge.at) && v.report.Checked > 0:
		v.tampered(seq, "it is not later than the event before it")
		return
	}
	v.completed = v.edge.add(leaf)
	v.edge.at = at
	v.report.Checked++
	if erased {
		v.report.Erased++
	}
	for len(v.pending) > 0 && v.pending[0].Size == v.edge.size {
		c := v.pending[0]
		if c.Root != v.edge.root() {
			v.tampered(max(v.report.Covered, v.first), fmt.Sprintf("from there to %d the log is not what was signed at %s", c.Size-1, c.Time.UTC().Format(time.RFC3339)))
			return
		}
		v.report.Covered, v.report.Until = c.Size, c.Time
		v.pending = v.pending[1:]
	}
}

// Covered checks what was added up to now against a checkpoint, which may be of a larger tree: then the hashes show that
// it continues this one (RFC 6962, section 2.1.2).
func (v *Verifier) Covered(c Checkpoint, hashes []tlog.Hash) {
	root, from := v.edge.root(), max(v.report.Covered, v.first)
	switch {
	case v.report.Verdict == Tampered:
		return
	case c.Origin != v.origin:
		v.tampered(from, fmt.Sprintf("the checkpoint is of %q", c.Origin))
		return
	case c.Size < v.edge.size:
		return // it says nothing about the last ones
	case c.Size == v.edge.size && c.Root != root, c.Size > v.edge.size && tlog.CheckTree(hashes, c.Size, c.Root, v.edge.size, root) != nil:
		v.tampered(from, fmt.Sprintf("from there to %d the log is not what was signed at %s", v.edge.size-1, c.Time.UTC().Format(time.RFC3339)))
		return
	}
	v.report.Covered, v.report.Until = v.edge.size, c.Time
}

// End returns the report. complete says that nothing of the log is left out: it ends where its newest checkpoint
// does or behind it, and begins where its last prune says.
func (v *Verifier) End(complete bool) Report {
	r := v.report
	switch {
	case r.Verdict == Tampered:
	case complete && len(v.pending) > 0:
		v.tampered(v.edge.size, fmt.Sprintf("the log ends there, and %d events were signed", v.pending[len(v.pending)-1].Size))
		r = v.report
	case complete && v.first > 0 && v.cut != firstEvent(v.first).ID:
		v.tampered(v.first, "the log begins there, and no event of a prune says so")
		r = v.report
	case v.unexplained() >= 0 && complete && v.first == 0:
		v.tampered(v.unexplained(), "what was personal is gone, and no event says that it was erased")
		r = v.report
	case v.unexplained() >= 0: // the event that says so may be pruned, or come behind
		r.Verdict, r.Reason = Unchecked, fmt.Sprintf("event %d is without what was personal, and no event that is here says that it was erased", v.unexplained())
	case r.Covered == 0 || r.Covered <= v.first:
		r.Verdict, r.Reason = Unchecked, "no checkpoint covers any of the events"
	}
	return r
}

// erasedEvent is an event without what was personal, and who that may have been.
type erasedEvent struct {
	seq int64
	ids []string
}

// unexplained is the first event that was erased though no event says so, -1 for none.
func (v *Verifier) unexplained() int64 {
	for _, e := range v.erased {
		if !slices.ContainsFunc(e.ids, func(id string) bool { return v.erasures[id] }) {
			return e.seq
		}
	}
	return -1
}

// Verify checks the whole log of an organization as it is in the database, against the checkpoints that are kept
// there and those that the caller brings. Only the latter show that not all of it was written anew by somebody who
// has the key; the newest should be of what is not pruned. Of what is sealed by a key that the log has not, it checks what the
// tree covers, and never says that all is well. It reads everything, and is not called inside of a unit.
func (l *Log) Verify(ctx context.Context, orgID string, verifiers note.Verifiers, texts ...string) (r Report, err error) {
	brought, err := readCheckpoints(texts, verifiers)
	if err != nil {
		return Report{Verdict: Unchecked, Reason: err.Error(), Seq: -1}, nil
	}
	for range 3 { // a prune may have been committed whose event is not in order yet
		if err := l.catchUp(ctx); err != nil {
			return r, err
		}
		err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			r, err = l.verify(ctx, tx, orgID, verifiers, brought)
			return err
		})
		if err != nil || r.Verdict != Tampered {
			break
		}
	}
	return r, err
}

func (l *Log) verify(ctx context.Context, tx *store.Tx, orgID string, verifiers note.Verifiers, brought []Checkpoint) (r Report, err error) {
	cut, err := lastPrune(ctx, tx, orgID)
	if err != nil {
		return r, err
	}
	all := slices.Clone(brought)
	for kept, err := range checkpoints.All(ctx, tx, store.Range{Equal: []any{orgID}}) {
		if err != nil {
			return r, err
		}
		// What was signed by a key or under a name that is not known says nothing.
		if c, err := ReadCheckpoint(kept.Note, verifiers); err == nil && c.Origin == l.origin(orgID) {
			all = append(all, c)
		}
	}
	v, err := NewVerifier(l.origin(orgID), all, cut.First, cut.Edge)
	if err != nil {
		return Report{Verdict: Unchecked, Reason: err.Error(), Seq: -1, First: cut.First}, nil
	}
	places, stop := iter.Pull2(blocks.All(ctx, tx, store.Range{Equal: []any{orgID}, From: cut.First >> blockLevel}))
	defer stop()
	begun := false
	var shut error // why what is personal somewhere could not be looked at
	for k, err := range events.All(ctx, tx, store.Range{Equal: []any{orgID}}) {
		if err != nil {
			return r, err
		}
		if !begun && k.Seq < cut.First { // pruned, and not deleted yet
			continue
		}
		begun = true
		e, err := k.sound()
		if err == nil {
			err = e.open(l.opt.Seal)
		}
		if errors.Is(err, seal.ErrNoKey) || errors.Is(err, seal.ErrUnknownKey) { // what of it is in the tree can be checked
			shut, err = cmp.Or(shut, err), nil
			public := e.public()
			v.take(e.leaf(), &public)
		} else if err == nil {
			var entry Entry
			if entry, err = e.entry(); err == nil {
				v.Add(entry)
			}
		}
		if err != nil {
			v.tampered(v.edge.size, err.Error())
		}
		if v.report.Verdict == Tampered {
			break
		}
		if want, is := blockOf(orgID, k.Seq, k.At, v.completed); is {
			have, err, _ := places()
			if err != nil {
				return r, err
			}
			if have.N != want.N || !have.At.Equal(want.At) || !bytes.Equal(have.Hashes, want.Hashes) {
				v.tampered(k.Seq, "what is kept of the tree is not that of the events")
				break
			}
		}
	}
	if _, err, more := places(); err != nil {
		return r, err
	} else if more {
		v.tampered(v.edge.size, "of the tree more is kept than there are events")
	}
	if r = passed(v.End(true), brought); r.Verdict == Intact && shut != nil {
		r.Verdict, r.Reason = Unchecked, shut.Error()
	}
	return r, nil
}

// passed is the report where all checkpoints that somebody kept are of what is pruned: they say nothing about the rest.
func passed(r Report, kept []Checkpoint) Report {
	of := func(c Checkpoint) bool { return c.Size > r.First }
	if r.Verdict == Intact && len(kept) > 0 && !slices.ContainsFunc(kept, of) {
		r.Verdict, r.Reason = Unchecked, fmt.Sprintf("the checkpoints that were kept elsewhere are of events that are pruned: the log begins with %d", r.First)
	}
	return r
}

func readCheckpoints(texts []string, verifiers note.Verifiers) ([]Checkpoint, error) {
	read := make([]Checkpoint, len(texts))
	for i, text := range texts {
		var err error
		if read[i], err = ReadCheckpoint(text, verifiers); err != nil {
			return nil, err
		}
	}
	return read, nil
}
