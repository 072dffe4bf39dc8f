package billing

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// sheet is the accounts that one unit changes. They are locked in the order of their ids, so that no two units wait for
// each other in a ring: the key's first, what everybody wants last (billing edge 32).
type sheet struct {
	ledger  *Ledger
	by      map[string]*account
	budgets map[string]*Budget // nil: dropped
}

// sheet locks accounts; ids that nobody has are left out.
func (l *Ledger) sheet(ctx context.Context, tx *store.Tx, ids []string) (*sheet, error) {
	s := &sheet{l, map[string]*account{}, map[string]*Budget{}}
	return s, s.lock(ctx, tx, ids)
}

func (s *sheet) lock(ctx context.Context, tx *store.Tx, ids []string) error {
	list, err := accounts.LockMany(ctx, tx, ids)
	for i := range list {
		list[i].lapse(tx.Now())
		s.by[list[i].ID] = &list[i]
	}
	return err
}

// of returns the account of a budget's period; whoever comes first makes it, of the budget as it is now: the one that the
// caller knows may have been changed before there was an account to change with it.
func (s *sheet) of(ctx context.Context, tx *store.Tx, b Budget, start, end time.Time) (*account, error) {
	id := accountID(b, start)
	s.budgets[b.ID] = &b
	if a := s.by[id]; a != nil {
		return a, nil
	}
	if is, err := Budgets.Lock(ctx, tx, b.ID); err == nil {
		b = is
	} else if !errors.Is(err, store.ErrNotFound) { // one that was dropped is still paid from
		return nil, err
	}
	a, err := newAccount(ctx, tx, b, start, end)
	if err != nil {
		return nil, err
	}
	if _, err := accounts.InsertNew(ctx, tx, &a); err != nil {
		return nil, err
	}
	if err := s.lock(ctx, tx, []string{id}); err != nil {
		return nil, err
	}
	return s.by[id], nil
}

func (s *sheet) budget(ctx context.Context, tx *store.Tx, id string) (*Budget, error) {
	if b, known := s.budgets[id]; known {
		return b, nil
	}
	b, err := Budgets.Get(ctx, tx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.budgets[id] = nil
	case err != nil:
		return nil, err
	default:
		s.budgets[id] = &b
	}
	return s.budgets[id], nil
}

// keep writes the accounts, after it has told what there is to tell of them and carried on what is left of those
// whose period is over.
func (s *sheet) keep(ctx context.Context, tx *store.Tx) error {
	list := make([]*account, 0, len(s.by))
	for _, a := range s.by {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *account) int { return cmp.Compare(a.ID, b.ID) })
	for i := 0; i < len(list); i++ {
		a := list[i]
		b, err := s.budget(ctx, tx, a.BudgetID)
		if err != nil {
			return err
		}
		if b == nil { // nobody is told of a budget that is gone
			continue
		}
		if err := s.ledger.tell(ctx, tx, *b, a); err != nil {
			return err
		}
		if !b.Rollover || a.Clock != b.clock() || a.PeriodEnd.IsZero() || tx.Now().Before(a.PeriodEnd) {
			continue
		}
		next, err := s.after(ctx, tx, *a)
		if err != nil {
			return err
		}
		if next == nil { // it has not begun; it will find out for itself
			continue
		}
		if !slices.Contains(list, next) {
			list = append(list, next)
		}
		if err := next.carry(*b, *a); err != nil {
			return err
		}
	}
	return accounts.Put(ctx, tx, list)
}

// after is the account of the next period of a budget that has one, nil for none.
func (s *sheet) after(ctx context.Context, tx *store.Tx, a account) (*account, error) {
	page, err := accounts.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("budget_id", a.BudgetID), store.Eq("clock", a.Clock), store.From("period_start", a.PeriodEnd)},
		Order: []store.Order{store.Asc("period_start")}, Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	id := page.Items[0].ID
	if s.by[id] == nil {
		err = s.lock(ctx, tx, []string{id})
	}
	return s.by[id], err
}

// carry gives the account what a period before has left over (F088). What is still reserved there is not left over
// yet: it may be spent; when it is not, it comes later. It is worked out anew each time, so nothing is carried twice
// (billing edge 9).
func (a *account) carry(b Budget, before account) error {
	left, err := b.pass(b.capped(before.unused()), before.PeriodEnd, a.PeriodStart)
	if err == nil && !left.Equal(a.Carried) {
		a.Limit, a.Told = a.Limit.Sub(a.Carried).Add(left), 0
		a.Carried = left
		a.balance()
	}
	return err
}

// pay replaces what is reserved by what was spent. What was spent beyond it is charged all the same, and then the account
// may be over its limit by so much.
func (a *account) pay(reserved, spent decimal.Decimal) error {
	a.Reserved = a.Reserved.Sub(reserved)
	a.Spent = a.Spent.Add(spent)
	if spent.GreaterThan(reserved) {
		a.balance()
		return nil
	}
	return a.shrink()
}
