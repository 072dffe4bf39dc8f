package billing

// journal is where the words of cells and tills are. With a file behind it, another process can read them when this one
// is dead: they are in memory that belongs to the file, so that keeping the journal costs no more than not keeping it.
// A nil journal keeps them in memory of its own.
type journal struct{}

func (j *journal) begin(string) {}

func (j *journal) till(*till) *int64 { return new(int64) }

func (j *journal) dropTill(*till) {}

func (j *journal) cell([]*till) *cell { return new(cell) }

func (j *journal) dropCell(*fund) {}

type orphan struct {
	node  string
	proof map[string]remains
}

func (o *orphan) close()  {}
func (o *orphan) remove() {}

func (j *journal) orphans() []*orphan { return nil }

func (j *journal) end(bool) {}
