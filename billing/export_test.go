package billing

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// FundHead is how many bytes of a fund calls look at, and CellSize how many a cell has.
const (
	FundHead = unsafe.Offsetof(fund{}.own)
	CellSize = unsafe.Sizeof(cell{})
)

// Account is an account as it is kept.
type Account = account

// Due is what a usage is charged with, in decimals.
func Due(u Usage, v *PriceVersion, held Pico) decimal.Decimal { return due(u, v, held.Decimal()) }

// Accounts are all accounts.
func Accounts(ctx context.Context, tx *store.Tx) (list []Account, err error) {
	for a, err := range accounts.All(ctx, tx, store.Query{}) {
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// OpenAs opens the running period of a budget as under rules of its zone by which it begins and ends so much later.
func (l *Ledger) OpenAs(ctx context.Context, tx *store.Tx, b Budget, later time.Duration) error {
	start, end, err := b.period(tx.Now())
	if err != nil {
		return err
	}
	a, err := newAccount(ctx, tx, b, start.Add(later), end.Add(later))
	if err != nil {
		return err
	}
	return accounts.Insert(ctx, tx, &a)
}

// Kept is what a reservation that is kept holds, and of which accounts.
type Kept struct {
	Accounts []string
	Amount   Pico
}

// KeptHeld are the reservations that are kept and have not ended, by id.
func KeptHeld(ctx context.Context, tx *store.Tx) (map[string]Kept, error) {
	held := map[string]Kept{}
	for r, err := range reservations.All(ctx, tx, store.Query{}) {
		if err != nil {
			return nil, err
		}
		if n, err := CeilPico(r.Amount); err != nil {
			return nil, err
		} else if r.State == "held" {
			held[r.ID] = Kept{r.Accounts, n}
		}
	}
	return held, nil
}

// NodeRows says of all nodes whether they were fenced.
func NodeRows(ctx context.Context, tx *store.Tx) (map[string]bool, error) {
	list := map[string]bool{}
	for n, err := range nodes.All(ctx, tx, store.Query{}) {
		if err != nil {
			return nil, err
		}
		list[n.ID] = n.Fenced
	}
	return list, nil
}

// LeaseRows are the amounts of leases, by the node that has them and the account.
func LeaseRows(ctx context.Context, tx *store.Tx) (map[[2]string]Pico, error) {
	list := map[[2]string]Pico{}
	for l, err := range leases.All(ctx, tx, store.Query{}) {
		if err != nil {
			return nil, err
		}
		list[[2]string{l.NodeID, l.AccountID}] = l.Amount
	}
	return list, nil
}

// HeldIn are the ids of the accounts in which a hold holds.
func (h *Hold) HeldIn() (ids []string) {
	h.fund.engine.mu.Lock()
	defer h.fund.engine.mu.Unlock()
	for _, t := range h.fund.tills {
		ids = append(ids, t.account)
	}
	return ids
}

// HeldIn are the ids of the accounts in which a reservation in memory holds.
func (r *Reservation) HeldIn() []string { return r.hold.HeldIn() }

// Idle says whether the ledger has nothing left to do, and has stopped looking.
func (l *Ledger) Idle() bool {
	l.engine.mu.Lock()
	defer l.engine.mu.Unlock()
	return !l.engine.running && len(l.engine.tills) == 0
}

// Asleep is how many funds sleep.
func (l *Ledger) Asleep() int {
	l.engine.mu.Lock()
	defer l.engine.mu.Unlock()
	return len(l.engine.asleep)
}

// Beds sets how many may.
func (l *Ledger) Beds(n int) {
	l.engine.mu.Lock()
	defer l.engine.mu.Unlock()
	l.engine.beds = n
}

// Fund is what the purse has of its budgets now, nil for nothing.
func (p *Purse) Fund() any {
	if f := p.fund.Load(); f != nil {
		return f
	}
	return nil
}

// EachClaim walks what is claimed of windows.
func EachClaim(ctx context.Context, tx *store.Tx, fn func(counter string, claimed int64)) error {
	for row, err := range windows.All(ctx, tx, store.Range{}) {
		if err != nil {
			return err
		}
		fn(row.Counter, row.Claimed)
	}
	return nil
}

// Settled waits until nothing is claimed in the background.
func (l *Limiter) Settled() {
	for {
		l.writer.mu.Lock()
		b, running := l.writer.next, l.writer.running
		l.writer.mu.Unlock()
		if b != nil {
			<-b.done
		} else if running {
			time.Sleep(100 * time.Microsecond)
		} else {
			return
		}
	}
}

// Sweep is a round of the sweep.
func (l *Limiter) Sweep() { l.sweep() }

// Unpacked is the event of a row that has these bytes.
func Unpacked(caller, call string, detail []byte) (UsageEvent, error) {
	r := usageRow{Caller: caller, Call: call, Detail: detail}
	return r.event()
}

// Packed is what of an event has no column of its own.
func Packed(e UsageEvent) (caller, call string, detail []byte, err error) {
	r, err := rowOf(&e, wordsOf(&e, nil, eventWords{}))
	return r.Caller, r.Call, r.Detail, err
}

// Shares are the parts in their sum.
func Shares(amounts []decimal.Decimal) []decimal.Decimal { return shares(amounts) }

// Unbalanced names an account of which the ledger has more or less in its memory than it has leased, "" for none.
func (l *Ledger) Unbalanced() string {
	e := l.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.tills {
		has := *t.free + *t.settled
		for _, f := range t.funds {
			if !f.lost {
				has += f.taken
			}
		}
		if b := e.sent; b != nil { // what it returns is on its way
			for _, ln := range b.lines {
				if ln.till == t {
					has += ln.back
				}
			}
		}
		if t.hard && has != int64(t.lease.Amount) {
			return fmt.Sprintf("%s: %d are leased, and %d free, settled or taken", t.account, t.lease.Amount, has)
		}
	}
	return ""
}
