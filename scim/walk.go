package scim

import (
	"sync"
	"time"
)

// walks remember where the last pages of lists ended, so that who asks for all pages one after another, by index, does not
// have all of them read each time. That is also what keeps such a walk from leaving somebody out because somebody else was
// deleted meanwhile. And they remember how long lists are, as of a revision of the organization: no page counts anew what
// nobody has changed.
type walks struct {
	mu     sync.Mutex
	ends   map[walk]pageEnd
	totals map[walk]total
}

// total is how long a list is.
type total struct {
	revision int64
	n        int
	until    time.Time
}

// walk is a list that is walked through.
type walk struct {
	orgID string
	kind  *kind
}

// pageEnd is where a page ended: the index that comes next, and the id before it.
type pageEnd struct {
	next  int
	id    string
	until time.Time
}

// walkLife is how long the next page may be in coming; maxWalks bounds what is remembered.
const (
	walkLife = time.Minute
	maxWalks = 10_000
)

// at returns the id behind which the index begins, if the page before it was the last one.
func (w *walks) at(list walk, index int, now time.Time) (id string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.ends[list]
	return e.id, e.id != "" && e.next == index && now.Before(e.until)
}

// passed notes the end of a page.
func (w *walks) passed(list walk, next int, id string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ends == nil || len(w.ends) >= maxWalks {
		w.ends = map[walk]pageEnd{}
	}
	w.ends[list] = pageEnd{next, id, now.Add(walkLife)}
}

// total returns how long the list is as of a revision, if that is known.
func (w *walks) total(list walk, revision int64, now time.Time) (n int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.totals[list]
	return t.n, t.revision == revision && now.Before(t.until)
}

// counted notes how long the list is. It is counted anew in a minute whatever the revision: an account that the platform
// deletes is gone from the lists of organizations that it is no member of.
func (w *walks) counted(list walk, revision int64, n int, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.totals == nil || len(w.totals) >= maxWalks {
		w.totals = map[walk]total{}
	}
	w.totals[list] = total{revision, n, now.Add(walkLife)}
}
