//go:build !linux

package billing

// journalFile is none.
type journalFile struct{}

func (journalFile) close(bool) {}

// OpenJournal is [ErrNoJournal] on this system.
func OpenJournal(string) (*Journal, error) { return nil, ErrNoJournal }

// orphan is the journal of a process that is gone.
type orphan struct {
	node  string
	proof map[string]remains
}

func (*orphan) close()  {}
func (*orphan) remove() {}

func (*Journal) orphans() []*orphan { return nil }
