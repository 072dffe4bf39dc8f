package billing

import (
	"context"
	"math/bits"
	"time"

	"github.com/orgkit/orgkit/store"
)

// userSet is users by their numbers, eight words of 64 to a chunk.
type userSet map[int64]*[8]uint64

const chunkUsers = 8 * 64

func (u userSet) add(n int64) {
	c := u[n/chunkUsers]
	if c == nil {
		c = new([8]uint64)
		u[n/chunkUsers] = c
	}
	c[n%chunkUsers/64] |= 1 << (n % 64)
}

func (u userSet) join(o userSet) {
	for chunk, words := range o {
		c := u[chunk]
		if c == nil {
			c = new([8]uint64)
			u[chunk] = c
		}
		for i, w := range words {
			c[i] |= w
		}
	}
}

// count is how many users are in the set.
func (u userSet) count() (n int64) {
	for _, words := range u {
		for _, w := range words {
			n += int64(bits.OnesCount64(w))
		}
	}
	return n
}

// activeUsers is a chunk of the users of one value of a dimension in one span. A bit is added once, by whoever finds that
// it is missing, and holds the lock of the row: so what is added up is what is joined.
type activeUsers struct {
	OrgID string `store:"word"`
	Of    string `store:"word"`
	Start time.Time
	Value string
	Chunk int64

	U0, U1, U2, U3, U4, U5, U6, U7 int64
}

var actives = store.DefineLog[activeUsers]("usage_users", []string{"org_id", "of", "start", "value", "chunk"})

func (a *activeUsers) words() [8]*int64 {
	return [...]*int64{&a.U0, &a.U1, &a.U2, &a.U3, &a.U4, &a.U5, &a.U6, &a.U7}
}

func (a *activeUsers) into(u userSet) {
	var set [8]uint64
	for i, w := range a.words() {
		set[i] = uint64(*w)
	}
	u.join(userSet{a.Chunk: &set})
}

// keepUsers adds what is missing of the users.
func (m *Metering) keepUsers(ctx context.Context, tx *store.Tx, users map[spanKey]userSet) error {
	var rows []activeUsers
	var want []*[8]uint64
	for k, u := range users {
		for chunk, words := range u {
			rows, want = append(rows, activeUsers{OrgID: k.org, Of: k.dim.of(k.grain), Start: k.start, Value: k.value, Chunk: chunk}), append(want, words)
		}
	}
	if !m.store.Sequential() {
		// Nothing is added, and every row locked: what is read afterwards stays as it is.
		if err := addAll(ctx, tx, actives, rows); err != nil {
			return err
		}
	}
	ranges := make([]store.Range, len(rows))
	for i := range rows {
		r := &rows[i]
		ranges[i] = store.Range{Equal: []any{r.OrgID, r.Of, r.Start, r.Value, r.Chunk}, Limit: 1}
	}
	there, err := actives.ScanEach(ctx, tx, ranges)
	if err != nil {
		return err
	}
	missing := rows[:0]
	for i := range rows {
		var had [8]*int64
		if len(there[i]) > 0 {
			had = there[i][0].words()
		}
		some := uint64(0)
		r := rows[i]
		for j, w := range r.words() {
			lacks := want[i][j]
			if had[j] != nil {
				lacks &^= uint64(*had[j])
			}
			*w = int64(lacks)
			some |= lacks
		}
		if some != 0 {
			missing = append(missing, r)
		}
	}
	return addAll(ctx, tx, actives, missing)
}
