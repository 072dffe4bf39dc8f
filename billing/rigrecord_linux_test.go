package billing_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// record is what one process of the rig has had the provider do: a file in memory that outlives it, in which a line is
// begun before a call is made and ended when it has cost something. It knows nothing of budgets.
type record struct {
	lines []line
	next  atomic.Int64
}

// line is one call. A provider charges what a call did cost, and up to the estimate for one that nobody saw the end of.
type line struct {
	estimate int64 // written last: 0 is no call
	path     int64
	began    int64 // nanoseconds by the clock of the machine
	from, to int64 // the first and the last hour that it may belong to, by the clock of its process
	ended    int64 // what it did cost, and one
	_        [2]int64
}

const recordLines = 1 << 17

func openRecord(file string) (*record, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := recordLines * int(unsafe.Sizeof(line{}))
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &record{lines: unsafe.Slice((*line)(unsafe.Pointer(unsafe.SliceData(mem))), recordLines)}, nil
}

// begin writes that a call is made now. It answers nil when the record is full.
func (r *record) begin(l line) *line {
	n := r.next.Add(1) - 1
	if n >= recordLines {
		return nil
	}
	at := &r.lines[n]
	at.path, at.began, at.from, at.to = l.path, l.began, l.from, l.to
	atomic.StoreInt64(&at.estimate, l.estimate)
	return at
}

func (l *line) end(actual int64) { atomic.StoreInt64(&l.ended, actual+1) }

// oracle adds up what all processes have had charged, those that are dead too.
type oracle struct {
	dir     string
	records map[string]*record
}

func newOracle(dir string) *oracle { return &oracle{dir, map[string]*record{}} }

// each shows every call and what was charged for it.
func (o *oracle) each(r *rig, fn func(l *line, charged int64)) {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(o.dir, "*.calls"))
	require.NoError(r.t, err)
	for _, file := range files {
		if o.records[file] == nil {
			o.records[file], err = openRecord(file)
			require.NoError(r.t, err)
		}
		for i := range o.records[file].lines {
			l := &o.records[file].lines[i]
			charged := atomic.LoadInt64(&l.estimate)
			if charged == 0 {
				if i+64 < recordLines && slices.IndexFunc(o.records[file].lines[i:i+64], func(l line) bool { return l.estimate != 0 }) < 0 {
					break // what comes is not begun
				}
				continue
			}
			if ended := atomic.LoadInt64(&l.ended); ended > 0 {
				charged = ended - 1
			}
			fn(l, charged)
		}
	}
}

// limit is a budget as the oracle knows it: which paths lie on it, and the most that it has ever been allowed.
type limit struct {
	paths   []int64
	hourly  bool
	most    int64
	charged int64 // at the last check; of an hourly one, in the dearest hour
	since   int64 // it binds calls that were begun from then on; 0: all
	until   int64 // and before; 0: it is there
}

func (b *limit) binds(l *line) bool {
	return slices.Contains(b.paths, l.path) && l.began >= b.since && (b.until == 0 || l.began < b.until)
}

// check holds every budget against what was charged, and returns what was charged of each.
func (o *oracle) check(r *rig) map[string]int64 {
	r.t.Helper()
	total := map[string]int64{}
	type span struct{ from, to int64 }
	hours := map[string]map[span]int64{}
	o.each(r, func(l *line, charged int64) {
		for name, b := range r.limits {
			if !b.binds(l) {
				continue
			}
			total[name] += charged
			if b.hourly {
				if hours[name] == nil {
					hours[name] = map[span]int64{}
				}
				hours[name][span{l.from, l.to}] += charged
			}
		}
	})
	for name, b := range r.limits {
		b.charged = total[name]
		if !b.hourly {
			r.require(total[name] <= b.most, "%s: %d were charged of %d", name, total[name], b.most)
			continue
		}
		b.charged = 0
		for of, n := range hours[name] {
			if of.from == of.to {
				b.charged = max(b.charged, n)
			}
		}
		// Calls that belong to some hours for sure are paid by the accounts of those.
		for of := range hours[name] {
			var sum int64
			for is, n := range hours[name] {
				if is.from >= of.from && is.to <= of.to {
					sum += n
				}
			}
			r.require(sum <= (of.to-of.from+1)*b.most, "%s: %d were charged in %d hours of %d each", name, sum, of.to-of.from+1, b.most)
		}
	}
	return total
}
