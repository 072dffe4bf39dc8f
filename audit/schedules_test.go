package audit_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestTenThousandSchedules appends, prunes under holds that come and go, erases, exports and signs in ten thousand random
// orders, each in a log of its own: nobody who verifies, in the database or what was exported, with the checkpoints that
// were handed out meanwhile, ever takes that for tampering, and nothing that is held goes.
func TestTenThousandSchedules(t *testing.T) {
	schedules := 10_000 / fewer
	if testing.Short() {
		schedules = 200
	}
	pruned, erased, held := 0, 0, 0
	for range schedules {
		clock := storetest.NewClock()
		s := storetest.Open(t, "memory", store.Options{Now: clock.Now})
		p := schedule{t: t, signed: newSigned(t, s), clock: clock, ctx: audit.WithActor(t.Context(), alice)}
		p.run(5 + rand.N(20))
		pruned, erased, held = pruned+p.pruned, erased+p.erased, held+p.held
	}
	require.Greater(t, pruned, schedules/2)
	require.Greater(t, erased, schedules/4)
	require.Greater(t, held, schedules/20)
	t.Logf("%d logs: pruned %d times, of that %d under a hold, erased from %d times", schedules, pruned, held, erased)
}

// schedule is one of them.
type schedule struct {
	t *testing.T
	signed
	clock *storetest.Clock
	ctx   context.Context

	hold    *time.Time
	first   int64 // with which the log begins
	notes   []string
	points  []audit.Checkpoint
	next    int64 // of what was exported
	bundles []bundle

	pruned, erased, held int
}

type bundle struct {
	audit.Manifest
	lines []byte
}

const scheduled = "org_1"

func (p *schedule) run(steps int) {
	p.write(p.t, scheduled, 1)
	for range steps {
		p.clock.Advance(rand.N(2 * time.Hour))
		switch rand.N(9) {
		case 0:
			p.prune()
		case 1:
			p.erase([]string{"usr_1", "team_3"}[rand.N(2)])
		case 2:
			c, err := p.Checkpoint(p.ctx, scheduled)
			require.NoError(p.t, err)
			p.notes, p.points = append(p.notes, c.Note), append(p.points, c)
		case 3:
			p.export()
		case 4:
			p.hold = nil
			if at := p.clock.Now().Add(-rand.N(10 * time.Hour)); rand.N(2) == 0 {
				p.hold = &at
			}
		default:
			p.write(p.t, scheduled, 1+rand.N(4))
		}
	}
	p.export()
	p.check()
}

// prune keeps some hours, and what is held.
func (p *schedule) prune() {
	p.clock.Advance(2 * time.Minute)
	var was []string
	first := p.first
	if p.hold != nil {
		was = p.since(*p.hold, first)
	}
	c := audit.Config{RetentionDays: 1, HoldFrom: p.hold}
	now := p.clock.Now().Add(24*time.Hour - rand.N(12*time.Hour)) // a retention of some hours
	before := c.KeptFrom(now)
	require.NoError(p.t, p.s.Update(p.ctx, func(ctx context.Context, tx *store.Tx) error {
		change, n, err := p.Prune(ctx, tx, scheduled, audit.Cut{Before: before})
		if err != nil || n == 0 {
			return err
		}
		p.pruned++
		if p.first, err = strconv.ParseInt(change.Resource.ID, 10, 64); err != nil {
			return err
		}
		_, err = p.Append(ctx, tx, scheduled, "audit.prune", change)
		return err
	}))
	if rand.N(2) == 0 {
		_, err := p.Shrink(p.ctx, scheduled)
		require.NoError(p.t, err)
	}
	if p.hold != nil {
		p.held++
		require.Equal(p.t, was, p.since(*p.hold, first), "something that was held is gone")
	}
}

// since are the ids of what was recorded since a time and not pruned, as far as the log had begun there before.
func (p *schedule) since(at time.Time, was int64) (ids []string) {
	page, err := p.List(p.ctx, scheduled, audit.Filter{Start: at, End: p.clock.Now().Add(-time.Minute), Limit: audit.MaxPage})
	require.NoError(p.t, err)
	for _, e := range page.Items {
		if e.Seq >= was { // else it is pruned, and deleted a little later
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func (p *schedule) erase(id string) {
	write(p.t, p.s, p.ctx, scheduled, audit.Erasure(id))
	n, err := p.Erase(p.ctx, scheduled, id)
	require.NoError(p.t, err)
	if n > 0 {
		p.erased++
	}
}

func (p *schedule) export() {
	var b bytes.Buffer
	m, err := p.Export(p.ctx, &b, scheduled, p.next, 1+rand.N(4000))
	require.NoError(p.t, err)
	if m.Size > m.First {
		p.next = m.Size
		p.bundles = append(p.bundles, bundle{m, b.Bytes()})
	}
}

func (p *schedule) verified() audit.Report {
	r, err := p.Verify(p.ctx, scheduled, p.verifiers, p.notes...)
	require.NoError(p.t, err)
	require.Equal(p.t, audit.Intact, r.Verdict, "%+v", r)
	return r
}

func (p *schedule) check() {
	last, err := p.Checkpoint(p.ctx, scheduled)
	require.NoError(p.t, err)
	p.notes = append(p.notes, last.Note)
	r := p.verified()
	require.Equal(p.t, last.Size, r.Covered)
	if rand.N(10) == 0 {
		for seq := r.First; seq < last.Size; seq++ {
			proof, err := p.Prove(p.ctx, scheduled, seq)
			require.NoError(p.t, err)
			_, err = proof.Verify(origin+"/"+scheduled, p.verifiers)
			require.NoError(p.t, err)
		}
	}
	// What was exported without a break is one log. Behind a break, which a prune makes, it begins anew.
	for begin, i := 0, 0; i < len(p.bundles); i++ {
		if i+1 < len(p.bundles) && p.bundles[i+1].First == p.bundles[i].Size {
			continue
		}
		p.reads(p.bundles[begin : i+1])
		begin = i + 1
	}
}

func (p *schedule) reads(run []bundle) {
	var kept []audit.Checkpoint
	for _, c := range p.points {
		if c.Size > run[0].First && c.Size <= run[len(run)-1].Size {
			kept = append(kept, c)
		}
	}
	reader := audit.NewReader(p.verifiers, kept...)
	for _, b := range run {
		require.NoError(p.t, reader.Read(b.Manifest, bytes.NewReader(b.lines)))
	}
	require.NotEqual(p.t, audit.Tampered, reader.End().Verdict, "%v", reader.End())
}
