package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/store"
)

// Manifest says what an export holds, and proves it: of the lines of [Log.Export], which are beside it. Exports of one
// log that follow each other are one log: each goes on where the one before ended.
type Manifest struct {
	Format     int         `json:"format"` // 1
	Origin     string      `json:"origin"` // of the log
	First      int64       `json:"first"`  // the sequence of the first event
	Size       int64       `json:"size"`   // and behind that of the last
	Edge       []byte      `json:"edge"`   // the right edge of the tree before First
	SHA256     string      `json:"sha256"` // of the lines
	Checkpoint string      `json:"checkpoint,omitempty"`
	Hashes     []tlog.Hash `json:"hashes,omitempty"` // from the tree of Size to that of the checkpoint, RFC 6962, section 2.1.2
}

const manifestFormat = 1

// stretch is what of a log is to be exported.
type stretch struct {
	from, below int64
	maxBytes    int // about; 0 is all
}

// Export writes the events of an organization from a sequence on, each a line of JSON, up to about maxBytes (0: all of
// them) and to the newest checkpoint, which it signs where it has a key. The manifest says how far it came: where Size
// is First, there was nothing. Where events are pruned it begins behind them. It is not called inside of a unit.
//
// A line has the names of [Event], without what is empty. Left out is besides: organization_id where it is that of the line
// before; time where it is when the event occurred, or a microsecond after the one before if that is later; outcome where it
// is success; and salt where salts say it, of this line or one before: the first byte is a level, the rest a node from which
// the salts of the next 1<<level events follow, each half of the SHA-256 of a node being one of the next lower level.
func (l *Log) Export(ctx context.Context, w io.Writer, orgID string, from int64, maxBytes int) (m Manifest, err error) {
	return l.exportPart(ctx, w, orgID, stretch{from: from, below: math.MaxInt64, maxBytes: maxBytes})
}

// ExportRange is [Log.Export] of the events from a sequence on that lie below another one.
func (l *Log) ExportRange(ctx context.Context, w io.Writer, orgID string, from, below int64) (m Manifest, err error) {
	return l.exportPart(ctx, w, orgID, stretch{from: from, below: below})
}

func (l *Log) exportPart(ctx context.Context, w io.Writer, orgID string, p stretch) (m Manifest, err error) {
	c, err := l.Checkpoint(ctx, orgID)
	switch {
	case errors.Is(err, store.ErrNotFound): // nothing is in it
		return Manifest{Format: manifestFormat, Origin: l.origin(orgID), First: p.from, Size: p.from}, nil
	case err != nil && !errors.Is(err, ErrNoSigner):
		return m, err
	}
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if c.Size == 0 { // nobody signs
			head, err := l.head(ctx, tx, orgID)
			if err != nil {
				return err
			}
			c.Size = head.size
		}
		p.below = min(p.below, c.Size)
		m, err = l.export(ctx, tx, w, orgID, p)
		if err != nil || c.Note == "" || m.Size == m.First {
			return err
		}
		m.Checkpoint = c.Note
		if m.Size < c.Size {
			m.Hashes, err = tlog.ProveTree(c.Size, m.Size, &tree{ctx: ctx, tx: tx, orgID: orgID})
		}
		return err
	})
	return m, err
}

func (l *Log) export(ctx context.Context, tx *store.Tx, w io.Writer, orgID string, p stretch) (m Manifest, err error) {
	cut, err := lastPrune(ctx, tx, orgID)
	if err != nil {
		return m, err
	}
	from := max(p.from, cut.First)
	m = Manifest{Format: manifestFormat, Origin: l.origin(orgID), First: from, Size: from}
	t := tree{ctx: ctx, tx: tx, orgID: orgID}
	e := edge{size: from}
	if from > p.below {
		return m, nil
	}
	if e.hashes, err = t.read(parts(from)); err != nil {
		return m, err
	}
	m.Edge = e.encode()
	out := exporter{w: w, sum: sha256.New(), seeds: seedReader{orgID: orgID}}
	for entry, err := range l.Entries(ctx, tx, orgID, from) {
		if err != nil {
			return m, err
		}
		if entry.Seq >= p.below || p.maxBytes > 0 && out.size >= p.maxBytes {
			break
		}
		if err := out.add(ctx, tx, &entry); err != nil {
			return m, err
		}
		m.Size = entry.Seq + 1
	}
	if err := out.flush(ctx, tx); err != nil {
		return m, err
	}
	m.SHA256 = hex.EncodeToString(out.sum.Sum(nil))
	return m, nil
}

// exporter writes lines. Which nodes tell the salts of a block is known when all events of it are that the export has.
type exporter struct {
	w     io.Writer
	sum   hash.Hash
	size  int // of the lines, about
	lines linesBefore
	seeds seedReader
	block []unended
}

// unended is a line without what says its salt.
type unended struct {
	line []byte
	seq  int64
	salt []byte
}

func (x *exporter) add(ctx context.Context, tx *store.Tx, e *Entry) error {
	if len(x.block) > 0 && x.block[0].seq>>saltLevel != e.Seq>>saltLevel {
		if err := x.flush(ctx, tx); err != nil {
			return err
		}
	}
	line, err := x.lines.write(e)
	x.block = append(x.block, unended{line, e.Seq, e.Salt})
	x.size += len(line) + 1
	return err
}

func (x *exporter) flush(ctx context.Context, tx *store.Tx) error {
	if len(x.block) == 0 {
		return nil
	}
	t, err := x.seeds.block(ctx, tx, x.block[0].seq>>saltLevel)
	if err != nil {
		return err
	}
	told := map[int64]bool{}
	for _, u := range x.block {
		told[u.seq] = len(t) > 0 && bytes.Equal(t.salt(u.seq), u.salt)
	}
	begins := map[int64]*seed{}
	for _, s := range t.only(func(seq int64) bool { return told[seq] }) {
		if s.level > 0 {
			begins[s.at] = &s
		}
	}
	for _, u := range x.block {
		line, err := x.lines.end(u.line, u.seq, u.salt, begins[u.seq])
		if err != nil {
			return err
		}
		x.sum.Write(line)
		if _, err := x.w.Write(line); err != nil {
			return err
		}
	}
	x.block = x.block[:0]
	return nil
}

// Reader verifies exports that follow each other, without a database.
type Reader struct {
	verifiers note.Verifiers
	kept      []Checkpoint
	of        []Checkpoint // those of this log
	v         *Verifier
	end       int64 // of the largest checkpoint that was kept elsewhere
	stopped   *Report
}

// NewReader returns a reader that trusts these keys. The checkpoints are those that were kept elsewhere, if any.
func NewReader(verifiers note.Verifiers, kept ...Checkpoint) *Reader {
	return &Reader{verifiers: verifiers, kept: kept}
}

// maxLine is the longest line of an export.
const maxLine = 1 << 20

// Read verifies the next export. Only an error of the lines' reader is returned; what is wrong with what it reads is in
// the report.
func (r *Reader) Read(m Manifest, lines io.Reader) error {
	if r.stopped != nil {
		return nil
	}
	if m.Format != manifestFormat {
		return r.stop(Unchecked, fmt.Sprintf("the manifest is of format %d, which is not known", m.Format))
	}
	if r.v == nil {
		for _, c := range r.kept {
			if c.Origin == m.Origin {
				r.of, r.end = append(r.of, c), max(r.end, c.Size)
			}
		}
		v, err := NewVerifier(m.Origin, r.of, m.First, m.Edge)
		if err != nil {
			return r.stop(Tampered, err.Error())
		}
		r.v = v
	}
	switch e, _ := edgeOf(m.First, m.Edge); {
	case m.Origin != r.v.origin:
		return r.stop(Unchecked, fmt.Sprintf("exports of two logs: %q and %q", r.v.origin, m.Origin))
	case m.First > r.v.edge.size:
		return r.stop(Unchecked, fmt.Sprintf("events %d to %d are missing", r.v.edge.size, m.First-1))
	case m.First < r.v.edge.size:
		return r.stop(Unchecked, fmt.Sprintf("events from %d on come twice", m.First))
	case e.root() != r.v.edge.root():
		r.v.tampered(m.First, "the export does not go on from the one before")
	}
	if err := r.lines(m, lines); err != nil {
		return err
	}
	if r.v.report.Verdict == Tampered {
		return nil
	}
	if r.v.edge.size != m.Size {
		r.v.tampered(r.v.edge.size, fmt.Sprintf("the export ends there, and should hold the events up to %d", m.Size-1))
		return nil
	}
	if m.Checkpoint == "" {
		return nil
	}
	c, err := ReadCheckpoint(m.Checkpoint, r.verifiers)
	var unknown *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unknown):
		return r.stop(Unchecked, "the checkpoint is signed by none of the keys")
	case err != nil:
		return r.stop(Tampered, err.Error())
	}
	r.v.Covered(c, m.Hashes)
	return nil
}

func (r *Reader) lines(m Manifest, lines io.Reader) error {
	sum := sha256.New()
	var before linesBefore
	s := bufio.NewReaderSize(lines, 1<<16)
	for {
		line, err := s.ReadSlice('\n')
		var whole []byte
		for errors.Is(err, bufio.ErrBufferFull) && len(whole) <= maxLine {
			whole = append(whole, line...)
			line, err = s.ReadSlice('\n')
		}
		if whole != nil {
			line = append(whole, line...)
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if len(line) == 0 {
			break
		}
		sum.Write(line)
		if r.v.report.Verdict == Tampered {
			return nil
		}
		e, err := before.read(line)
		if err != nil {
			r.v.tampered(r.v.edge.size, err.Error())
			return nil
		}
		r.v.Add(e)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != m.SHA256 {
		r.v.tampered(m.First, "the lines are not those of the manifest")
	}
	return nil
}

func (r *Reader) stop(verdict Verdict, reason string) error {
	report := Report{Seq: -1}
	if r.v != nil {
		report = r.v.report
	}
	report.Verdict, report.Reason = verdict, reason
	if verdict == Tampered && report.Seq < 0 {
		report.Seq = 0
	}
	r.stopped = &report
	return nil
}

// End returns what was found.
func (r *Reader) End() Report {
	switch {
	case r.stopped != nil && (r.v == nil || r.v.report.Verdict != Tampered):
		return *r.stopped
	case r.v == nil:
		return Report{Verdict: Unchecked, Reason: "there is nothing to check", Seq: -1}
	}
	report := r.v.End(false)
	switch {
	case report.Verdict != Intact:
	case report.Covered < r.v.edge.size:
		report.Verdict, report.Reason = Unchecked, fmt.Sprintf("no checkpoint covers the events from %d on", report.Covered)
	case r.end > r.v.edge.size:
		report.Verdict, report.Reason = Unchecked, fmt.Sprintf("%d events were signed, and those from %d on are missing", r.end, r.v.edge.size)
	}
	return passed(report, r.of)
}
