package jobs

import (
	"context"

	"github.com/orgkit/orgkit/store"
)

// laneRow counts the jobs of a lane. Adding to it locks it until the unit ends, so places are given in
// the order of commits.
type laneRow struct {
	Kind  string
	OrgID string
	Lane  string
	Jobs  int64 // that have not ended
	Last  int64 // the last place given
}

var (
	lanes = store.DefineLog[laneRow]("job_lanes", []string{"kind", "org_id", "lane"})
	// queued are the jobs that wait in a lane behind its first one, which is live.
	queued = store.DefineLog[row]("lane_jobs", []string{"kind", "org_id", "lane", "place"})
)

// line puts a new job where it belongs: at the end of its lane, or among the live ones where it has none
// or is the first of it.
func line(ctx context.Context, tx *store.Tx, r *row) error {
	if r.Lane == "" {
		return start(ctx, tx, r)
	}
	lane, err := count(ctx, tx, r, 1, 1)
	if err != nil {
		return err
	}
	if r.Place = lane.Last; lane.Jobs == 1 {
		return start(ctx, tx, r)
	}
	r.Due = r.RunAt
	return queued.Append(ctx, tx, *r)
}

// advance starts the next job of the lane of one that has ended.
func advance(ctx context.Context, tx *store.Tx, r *row) error {
	if r.Lane == "" {
		return nil
	}
	lane, err := count(ctx, tx, r, -1, 0)
	if err != nil {
		return err
	}
	in := store.Range{Equal: []any{r.Kind, r.OrgID, r.Lane}, Limit: 1}
	if lane.Jobs == 0 {
		_, err := lanes.Prune(ctx, tx, in)
		return err
	}
	next, err := queued.Claim(ctx, tx, in)
	if err != nil || len(next) == 0 {
		return err
	}
	return start(ctx, tx, &next[0])
}

// count locks the lane of a job and counts it.
func count(ctx context.Context, tx *store.Tx, r *row, jobs, places int64) (laneRow, error) {
	lane := laneRow{r.Kind, r.OrgID, r.Lane, jobs, places}
	if err := lanes.Add(ctx, tx, []laneRow{lane}); err != nil {
		return lane, err
	}
	rows, err := lanes.Scan(ctx, tx, store.Range{Equal: []any{r.Kind, r.OrgID, r.Lane}})
	if err != nil {
		return lane, err
	}
	return rows[0], nil
}
