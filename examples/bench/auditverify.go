package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/audit"
)

// proved is the log of one organization, out of the database.
type proved struct {
	orgID      string
	entries    []audit.Entry
	lines      [][]byte
	checkpoint audit.Checkpoint
}

// proved reads it.
func (l *loadedLogs) proved(ctx context.Context, orgID string) (p *proved, err error) {
	p = &proved{orgID: orgID}
	if p.entries, err = l.entries(ctx, orgID, 0); err != nil {
		return nil, err
	}
	lines, err := jsonLines(p.entries, nil)
	if err != nil {
		return nil, err
	}
	p.lines = bytes.SplitAfter(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n"))
	c, err := l.sqlite.log.Checkpoint(ctx, orgID)
	if err != nil {
		return nil, err
	}
	p.checkpoint, err = audit.ReadCheckpoint(c.Note, l.verifiers)
	return p, err
}

const verifiersAtOnce = 2

// benchVerify verifies all organizations, two at once: from entries in memory, from JSON lines in memory, and as
// the log itself does.
func benchVerify(ctx context.Context, b *bench, l *loadedLogs) error {
	b.begin("audit: verification")
	var logs []*proved
	for _, id := range append([]string{mainOrg}, childOrgs...) {
		p, err := l.proved(ctx, id)
		if err != nil {
			return err
		}
		logs = append(logs, p)
	}
	rate := func(ns float64) float64 { return 1e9 / ns }
	ways := []struct {
		what    string
		rounds  int
		workers int
		verify  func(p *proved) (audit.Report, error)
	}{
		{"in memory", 7, verifiersAtOnce, func(p *proved) (audit.Report, error) { return p.verify(nil) }},
		{"in memory, one core", 2, 1, func(p *proved) (audit.Report, error) { return p.verify(nil) }},
		{"JSON lines", 1, verifiersAtOnce, func(p *proved) (audit.Report, error) { return p.verify(p.decode) }},
		{"Log.Verify on SQLite", 1, verifiersAtOnce, func(p *proved) (audit.Report, error) {
			return l.sqlite.log.Verify(ctx, p.orgID, l.verifiers, p.checkpoint.Note)
		}},
	}
	b.note("verified events a second, the best round:")
	for _, way := range ways {
		var s sample
		for range way.rounds {
			took, n, err := verifyAll(logs, way.workers, way.verify)
			if err != nil {
				return err
			}
			s.add(took, n)
		}
		if way.what == "in memory" {
			b.set("audit.verify_s", s, rate)
		}
		b.note("  %-22s %9.0f", way.what, rate(s.best()))
	}
	return nil
}

// verifyAll verifies each log once, some at the same time.
func verifyAll(logs []*proved, workers int, verify func(*proved) (audit.Report, error)) (took time.Duration, n int, err error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, workers)
	begin := time.Now()
	for w := range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(logs) && errs[w] == nil; i = int(next.Add(1)) - 1 {
				r, err := verify(logs[i])
				if err == nil && (r.Verdict != audit.Intact || r.Covered != int64(len(logs[i].entries))) {
					err = fmt.Errorf("%s: %s", logs[i].orgID, r)
				}
				errs[w] = err
			}
		})
	}
	wg.Wait()
	took = time.Since(begin)
	for _, p := range logs {
		n += len(p.entries)
	}
	return took, n, errors.Join(errs...)
}

// verify runs the entries through a verifier; entry gives the how manieth, nil those in memory.
func (p *proved) verify(entry func(i int) (audit.Entry, error)) (audit.Report, error) {
	v, err := audit.NewVerifier(auditOrigin+"/"+p.orgID, []audit.Checkpoint{p.checkpoint}, 0, nil)
	if err != nil {
		return audit.Report{}, err
	}
	for i := range p.entries {
		e := p.entries[i]
		if entry != nil {
			if e, err = entry(i); err != nil {
				return audit.Report{}, err
			}
		}
		v.Add(e)
	}
	return v.End(true), nil
}

func (p *proved) decode(i int) (e audit.Entry, err error) {
	return e, json.Unmarshal(p.lines[i], &e)
}
