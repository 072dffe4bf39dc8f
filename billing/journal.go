package billing

import (
	"errors"
	"sync/atomic"
	"time"
	"unsafe"
)

// Journal is a file that says what a process has of budgets and no call has held. The file is the memory in which
// the process counts, so that keeping it costs no more than not keeping it, and what it says survives the end of the
// process in whatever moment that comes. It does not survive the end of the machine, after which what processes had
// counts as spent.
//
// A nil Journal is none. One belongs to one [Ledger].
type Journal struct {
	dir  string
	file journalFile

	head  *journalHead
	tills []tillSlot
	cells []cellSlot

	freeTills []int32
	freeCells []dropped // the first is the one that has been free for longest
}

// ErrNoJournal: there are no journals on this system.
var ErrNoJournal = errors.New("journals need Linux")

// The layout of a journal: a head, and tables of slots that are used from the first on.
type journalHead struct {
	magic [16]byte
	boot  [64]byte // of the kernel in whose memory the file is good
	node  [64]byte
	tills int64 // how many slots have been used
	cells int64
	_     [journalHeadSize - 16 - 64 - 64 - 16]byte
}

type tillSlot struct {
	free    int64
	settled int64
	sent    sending
	account [80]byte // of whom; zero: of nobody
}

// sending is what a write that is under way does to a till. Whether it was done when the process ended is found out in the
// database, which knows the number of the last one: what it has granted then is in no other word here yet.
type sending struct {
	seq     int64 // of the batch, 0 for none
	lease   int64 // before
	settled int64
	back    int64
}

type cellSlot struct {
	cell
	n     int64 // tills that the fund has money of; 0: it is nobody's
	tills [14]int32
}

const (
	journalMagic    = "orgkit purses 2\n"
	journalHeadSize = 4096
	journalTills    = 1 << 14
	journalCells    = 1 << 18
	journalSize     = journalHeadSize + journalTills*int(unsafe.Sizeof(tillSlot{})) + journalCells*int(unsafe.Sizeof(cellSlot{}))
)

// dropped is a slot that a fund has had. It rests for a while: somebody who has found the fund just before it was closed
// may still look at it.
type dropped struct {
	slot int32
	at   time.Time
	fund *fund
}

const restOfCells = 30 * time.Second

// lay lays the tables over memory.
func (j *Journal) lay(mem []byte) {
	at := unsafe.Pointer(unsafe.SliceData(mem))
	j.head = (*journalHead)(at)
	at = unsafe.Add(at, journalHeadSize)
	j.tills = unsafe.Slice((*tillSlot)(at), journalTills)
	at = unsafe.Add(at, journalTills*int(unsafe.Sizeof(tillSlot{})))
	j.cells = unsafe.Slice((*cellSlot)(at), journalCells)
}

// begin says whose the money is from now on. There is none yet.
func (j *Journal) begin(node string) {
	if j == nil {
		return
	}
	clear(j.head.node[:])
	copy(j.head.node[:], node)
}

// till gives a till the word in which it counts.
func (j *Journal) till(t *till) {
	t.free, t.settled, t.slot = new(int64), new(int64), -1
	if j == nil || !t.hard || len(t.account) > len(tillSlot{}.account) {
		return
	}
	switch n := len(j.freeTills); {
	case n > 0:
		t.slot = j.freeTills[n-1]
		j.freeTills = j.freeTills[:n-1]
	case j.head.tills < journalTills:
		t.slot = int32(j.head.tills)
		j.head.tills++
	default: // there are more than it has room for: what those have is not given back
		return
	}
	s := &j.tills[t.slot]
	clear(s.account[:])
	s.free, s.settled, s.sent = 0, 0, sending{}
	copy(s.account[:], t.account)
	t.free, t.settled = &s.free, &s.settled
}

func (j *Journal) dropTill(t *till) {
	if t.slot < 0 {
		return
	}
	clear(j.tills[t.slot].account[:])
	j.freeTills = append(j.freeTills, t.slot)
	t.free, t.settled, t.slot = new(int64), new(int64), -1
}

// send says what a batch is about to do.
func (j *Journal) send(b *batch) {
	for _, ln := range b.lines {
		if t := ln.till; t.slot >= 0 {
			s := &j.tills[t.slot].sent
			s.lease, s.settled, s.back = int64(t.lease.Amount), ln.settled, ln.back
			atomic.StoreInt64(&s.seq, b.seq)
		}
	}
}

// sent says that what was about to be done is brought into the words of the till next.
func (j *Journal) sent(t *till) {
	if t.slot >= 0 {
		atomic.StoreInt64(&j.tills[t.slot].sent.seq, 0)
	}
}

// cell gives a fund the words in which it counts.
func (j *Journal) cell(f *fund) {
	f.cell.Store(&f.own)
	f.slot = -1
	if j == nil || !f.hard || !f.journaled() {
		return
	}
	switch {
	case len(j.freeCells) > 0 && time.Since(j.freeCells[0].at) > restOfCells:
		d := j.freeCells[0]
		j.freeCells = j.freeCells[1:]
		f.slot = d.slot
		if was := &j.cells[d.slot].cell; was.settled.Load() != 0 { // by somebody who had found it before it was dropped
			c := d.fund.cell.Load()
			c.settled.Add(was.settled.Load())
			c.free.Add(was.free.Load() - nobody)
			d.fund.engine.enliven(d.fund)
		}
	case j.head.cells < journalCells:
		f.slot = int32(j.head.cells)
		j.head.cells++
	default:
		return
	}
	s := &j.cells[f.slot]
	s.free.Store(0)
	s.settled.Store(0)
	f.cell.Store(&s.cell)
	j.wake(f)
}

// journaled says whether all tills of the fund have their place here, and one cell can name them.
func (f *fund) journaled() bool {
	n := 0
	for _, t := range f.tills {
		if t.hard && t.slot < 0 {
			return false
		} else if t.hard {
			n++
		}
	}
	return n <= len(cellSlot{}.tills)
}

// wake says of which tills the cell of a fund is.
func (j *Journal) wake(f *fund) {
	if f.slot < 0 || !f.journaled() {
		return
	}
	s, n := &j.cells[f.slot], 0
	for _, t := range f.tills {
		if t.hard {
			s.tills[n] = t.slot
			n++
		}
	}
	atomic.StoreInt64(&s.n, int64(n))
}

// rest leaves the cell to a fund that has nothing. Its tills may go meanwhile, and others come to their places.
func (j *Journal) rest(f *fund) {
	if f.slot >= 0 {
		atomic.StoreInt64(&j.cells[f.slot].n, 0)
	}
}

// dropCell takes the words of a fund away that nothing is in any more. What is settled in it yet goes elsewhere.
func (j *Journal) dropCell(f *fund) {
	if f.slot < 0 {
		return
	}
	c := new(cell)
	c.free.Store(nobody)
	f.cell.Store(c)
	atomic.StoreInt64(&j.cells[f.slot].n, 0)
	j.freeCells = append(j.freeCells, dropped{f.slot, time.Now(), f})
	f.slot = -1
}

// end closes the journal, and removes it when everything that it has said is in the database.
func (j *Journal) end(done bool) {
	if j != nil {
		j.file.close(done)
	}
}

// proof is what a journal says whose process is dead.
func (j *Journal) proof() (node string, proof map[string]remains) {
	proof = map[string]remains{}
	name := func(i int32) string { return text(j.tills[i].account[:]) }
	for i := range j.tills[:min(max(j.head.tills, 0), journalTills)] {
		if account := name(int32(i)); account != "" {
			s := &j.tills[i]
			proof[account] = remains{s.free, s.settled, s.sent}
		}
	}
	for i := range j.cells[:min(max(j.head.cells, 0), journalCells)] {
		c := &j.cells[i]
		free, settled := c.free.Load(), c.settled.Load()
		if free < nobody>>1 { // the fund was closed
			free -= nobody
		}
		for _, t := range c.tills[:min(max(c.n, 0), int64(len(c.tills)))] {
			if t < 0 || t >= journalTills || name(t) == "" {
				continue
			}
			r := proof[name(t)]
			proof[name(t)] = remains{r.free + free, r.settled + settled, r.sent}
		}
	}
	return text(j.head.node[:]), proof
}

func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
