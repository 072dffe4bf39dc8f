package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func schedule(t testing.TB, s *store.Store, in jobs.Schedule) jobs.Schedule {
	t.Helper()
	if in.Name == "" {
		in.Name = "nightly"
	}
	in.Kind = "note"
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		in.Meta = store.Meta{}
		return jobs.CreateSchedule(ctx, tx, &in)
	})
	return in
}

func reread(t testing.TB, s *store.Store, in jobs.Schedule) (out jobs.Schedule) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		out, err = jobs.ReadSchedule(ctx, tx, in.OrgID, in.ID)
		return err
	})
	return out
}

func runAts(d *diary) (out []string) {
	for _, j := range d.jobs {
		out = append(out, j.RunAt.Format("02 15:04"))
	}
	return out
}

func TestAScheduleEnqueuesAJobAtEachSlot(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { // noon of 5 March
		w, did := noting(s, nil)
		sched := schedule(t, s, jobs.Schedule{OrgID: "org_1", Cron: "30 7 * * *", Zone: "America/New_York", Payload: json.RawMessage(`{"n":7}`)})
		require.Equal(t, "05 12:30", sched.NextRunAt.Format("02 15:04"))
		require.Zero(t, runDue(t, w))
		clock.Advance(30 * time.Minute)
		require.Equal(t, 1, runDue(t, w))
		require.Zero(t, runDue(t, w))
		j := did.jobs[0]
		require.Equal(t, "org_1", j.OrgID)
		require.JSONEq(t, `{"n":7}`, string(j.Payload))
		require.Equal(t, clock.Now(), j.RunAt)
		require.Equal(t, "schedule/"+sched.ID+"/2024-03-05T12:30:00Z", j.Key)

		sched = reread(t, s, sched)
		require.Equal(t, "06 12:30", sched.NextRunAt.Format("02 15:04"))
		require.Equal(t, clock.Now(), *sched.LastRunAt)
		require.Zero(t, sched.Missed)
	})
}

func TestSlotsThatWentByAreCaughtUpWith(t *testing.T) {
	for _, c := range []struct {
		policy jobs.CatchUp
		late   time.Duration
		want   []string
		missed int64
	}{
		{jobs.CatchUpSingle, 10 * time.Minute, []string{"05 15:00"}, 2},
		{jobs.CatchUpAll, 10 * time.Minute, []string{"05 13:00", "05 14:00", "05 15:00"}, 0},
		{jobs.CatchUpSkip, 10 * time.Minute, nil, 3},
		{jobs.CatchUpSkip, jobs.OnTime, []string{"05 15:00"}, 2},
	} {
		t.Run(string(c.policy), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
				w, did := noting(s, nil)
				sched := schedule(t, s, jobs.Schedule{Cron: "0 * * * *", CatchUp: c.policy})
				clock.Advance(3*time.Hour + c.late)
				runDue(t, w)
				require.Equal(t, c.want, runAts(did))
				sched = reread(t, s, sched)
				require.Equal(t, c.missed, sched.Missed)
				require.Equal(t, "05 16:00", sched.NextRunAt.Format("02 15:04"))
				if c.want != nil {
					require.Equal(t, "05 15:00", sched.LastRunAt.Format("02 15:04"))
				}
			})
		})
	}
}

func TestCatchingUpWithALongTimeIsExact(t *testing.T) {
	for policy, want := range map[jobs.CatchUp][2]int{jobs.CatchUpSingle: {1, 25*24*60 - 1}, jobs.CatchUpSkip: {1, 25*24*60 - 1}} {
		clock := storetest.NewClock()
		s := storetest.Open(t, "memory", store.Options{Now: clock.Now})
		w, _ := noting(s, nil)
		sched := schedule(t, s, jobs.Schedule{Cron: "* * * * *", CatchUp: policy})
		clock.Advance(25 * 24 * time.Hour) // more than one unit passes over
		require.Equal(t, want[0], runDue(t, w))
		require.EqualValues(t, want[1], reread(t, s, sched).Missed)
	}
	clock := storetest.NewClock()
	s := storetest.Open(t, "memory", store.Options{Now: clock.Now})
	w, _ := noting(s, nil)
	schedule(t, s, jobs.Schedule{Cron: "* * * * *", CatchUp: jobs.CatchUpAll})
	clock.Advance(5 * time.Hour)
	require.Equal(t, 300, runDue(t, w))
}

func TestOneRunPerSlotWithManySchedulers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		oneRunPerSlot(t, [2]*store.Store{s, s}, clock.Advance)
	})
}

func TestOneRunPerSlotWithTwoProcesses(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			clock := storetest.NewClock()
			oneRunPerSlot(t, both(t, name, store.Options{Now: clock.Now}), clock.Advance)
		})
	}
}

func oneRunPerSlot(t *testing.T, s [2]*store.Store, advance func(time.Duration)) {
	var did diary
	for i := range 3 {
		schedule(t, s[0], jobs.Schedule{Name: string(rune('a' + i)), Cron: "* * * * *", CatchUp: jobs.CatchUpAll})
	}
	for range 5 {
		advance(2 * time.Minute)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				w := jobs.NewWorker(s[i%2], nil)
				w.Handle("note", did.handle, nil)
				if _, err := w.RunDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	slots := map[string]int{}
	for _, j := range did.jobs {
		slots[j.Key]++
	}
	require.Len(t, slots, 30)
	require.Len(t, did.jobs, 30)
}

func TestRunKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it begins at midnight
		s := memory.New(nil)
		w := jobs.NewWorker(s, &jobs.Options{Poll: 24 * time.Hour})
		var at []time.Duration
		began := time.Now()
		w.Handle("note", func(context.Context, jobs.Job) error {
			at = append(at, time.Since(began))
			return nil
		}, nil)
		stop := background(t, w)
		time.Sleep(90 * time.Second)
		schedule(t, s, jobs.Schedule{Cron: "*/5 * * * *"})
		enqueue(t, s, jobs.NewJob{Kind: "note", RunAt: began.Add(7 * time.Minute)})
		time.Sleep(9 * time.Minute)
		stop()
		require.Equal(t, []time.Duration{5 * time.Minute, 7 * time.Minute, 10 * time.Minute}, at)
	})
}

func TestAScheduleIsChangedPausedAndDeletedInAUnit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, did := noting(s, nil)
		sched := schedule(t, s, jobs.Schedule{OrgID: "org_1", Cron: "0 * * * *"})
		change := func(org string, fn func(*jobs.Schedule)) (out jobs.Schedule, err error) {
			err = s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
				out, err = jobs.UpdateSchedule(ctx, tx, org, sched.ID, fn)
				return err
			})
			return out, err
		}
		_, err := change("org_2", func(*jobs.Schedule) {})
		require.ErrorIs(t, err, store.ErrNotFound)
		out, err := change("org_1", func(s *jobs.Schedule) { s.Name, s.OrgID, s.Missed, s.ID = "hourly", "org_2", 7, "x" })
		require.NoError(t, err)
		require.Equal(t, []any{"hourly", "org_1", int64(0), sched.ID, sched.NextRunAt}, []any{out.Name, out.OrgID, out.Missed, out.ID, out.NextRunAt})

		_, err = change("org_1", func(s *jobs.Schedule) { s.Paused = true })
		require.NoError(t, err)
		clock.Advance(3*time.Hour + time.Minute)
		require.Zero(t, runDue(t, w))
		out, err = change("org_1", func(s *jobs.Schedule) { s.Paused = false })
		require.NoError(t, err)
		require.Equal(t, "05 16:00", out.NextRunAt.Format("02 15:04"))
		require.Zero(t, out.Missed)
		require.Zero(t, runDue(t, w))

		out, err = change("org_1", func(s *jobs.Schedule) { s.Cron = "5 * * * *" })
		require.NoError(t, err)
		require.Equal(t, "05 15:05", out.NextRunAt.Format("02 15:04"))
		clock.Advance(4 * time.Minute)
		require.Equal(t, 1, runDue(t, w))
		require.Len(t, did.ids(), 1)

		_, err = change("org_1", func(s *jobs.Schedule) { s.Zone = "Nowhere" })
		var wrong *store.FieldError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, "zone", wrong.Field)

		del := func(org string) error {
			return s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				return jobs.DeleteSchedule(ctx, tx, org, sched.ID)
			})
		}
		require.ErrorIs(t, del("org_2"), store.ErrNotFound)
		require.NoError(t, del("org_1"))
		clock.Advance(24 * time.Hour)
		require.Zero(t, runDue(t, w))
	})
}

func TestSchedulesAreFoundAndListedByOrganization(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		for _, name := range []string{"b", "a"} {
			schedule(t, s, jobs.Schedule{OrgID: "org_1", Name: name, Cron: "0 * * * *"})
			schedule(t, s, jobs.Schedule{OrgID: "org_2", Name: name, Cron: "0 * * * *"})
		}
		view(t, s, func(ctx context.Context, tx *store.Tx) error {
			page, err := jobs.ListSchedules(ctx, tx, "org_1", 1, "")
			require.NoError(t, err)
			require.Equal(t, "a", page.Items[0].Name)
			page, err = jobs.ListSchedules(ctx, tx, "org_1", 1, page.Next)
			require.NoError(t, err)
			require.Equal(t, "b", page.Items[0].Name)
			require.Empty(t, page.Next)
			found, err := jobs.FindSchedule(ctx, tx, "org_1", "b")
			require.NoError(t, err)
			require.Equal(t, page.Items[0].ID, found.ID)
			require.Equal(t, jobs.CatchUpSingle, found.CatchUp)
			require.Equal(t, "UTC", found.Zone)
			_, err = jobs.ReadSchedule(ctx, tx, "org_2", found.ID)
			require.ErrorIs(t, err, store.ErrNotFound)
			_, err = jobs.FindSchedule(ctx, tx, "org_3", "b")
			require.ErrorIs(t, err, store.ErrNotFound)
			return nil
		})
		err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return jobs.CreateSchedule(ctx, tx, &jobs.Schedule{OrgID: "org_1", Name: "b", Kind: "note", Cron: "* * * * *"})
		})
		require.ErrorIs(t, err, store.ErrExists)
	})
}

func TestThePayloadOfAScheduleIsTheSameEverywhere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, did := noting(s, nil)
		schedule(t, s, jobs.Schedule{Name: "a", Cron: "0 * * * *", Payload: json.RawMessage(`{"b": "\\\\u0000 漢 ?", "a": 1.50}`)})
		schedule(t, s, jobs.Schedule{Name: "b", Cron: "0 * * * *"})
		clock.Advance(61 * time.Minute)
		require.Equal(t, 2, runDue(t, w))
		require.JSONEq(t, `{"b": "\\\\u0000 漢 ?", "a": 1.50}`, string(did.jobs[0].Payload))
		require.Equal(t, "null", string(did.jobs[1].Payload))
		err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return jobs.CreateSchedule(ctx, tx, &jobs.Schedule{Name: "n", Kind: "k", Cron: "* * * * *", Payload: json.RawMessage(`"\\\u0000"`)})
		})
		require.ErrorIs(t, err, store.ErrInvalid)
	})
}

func TestCreateScheduleNamesWhatIsWrong(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	for field, in := range map[string]jobs.Schedule{
		"name":     {Kind: "k", Cron: "* * * * *"},
		"kind":     {Name: "n", Cron: "* * * * *"},
		"org_id":   {OrgID: "\x00", Name: "n", Kind: "k", Cron: "* * * * *"},
		"payload":  {Name: "n", Kind: "k", Cron: "* * * * *", Payload: json.RawMessage("{")},
		"cron":     {Name: "n", Kind: "k", Cron: "0 0 30 2 *"},
		"zone":     {Name: "n", Kind: "k", Cron: "* * * * *", Zone: "Mars/Olympus"},
		"catch_up": {Name: "n", Kind: "k", Cron: "* * * * *", CatchUp: "some"},
	} {
		err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return jobs.CreateSchedule(ctx, tx, &in) })
		var wrong *store.FieldError
		require.ErrorAs(t, err, &wrong, field)
		require.Equal(t, field, wrong.Field)
	}
}

// rows are the schedules without the checks of the package.
var rows = store.Define[jobs.Schedule]("schedules", "sched", store.Unique("org_id", "name"), store.Index("paused", "next_run_at"))

func TestAScheduleThatCannotBeReadAnyMoreKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		var log bytes.Buffer
		w := jobs.NewWorker(s, &jobs.Options{Poll: time.Minute, Log: slog.New(slog.NewTextHandler(&log, nil))})
		var did diary
		w.Handle("note", did.handle, nil)
		gone := schedule(t, s, jobs.Schedule{Name: "gone", Cron: "0 * * * *"})
		schedule(t, s, jobs.Schedule{Name: "good", Cron: "0 * * * *"})
		update(t, s, func(ctx context.Context, tx *store.Tx) error {
			gone.Zone = "Mars/Olympus"
			return rows.Update(ctx, tx, &gone)
		})
		stop := background(t, w)
		time.Sleep(time.Hour + 10*time.Minute + time.Second)
		stop()
		require.Len(t, did.ids(), 1)
		told := strings.Count(log.String(), "schedule "+gone.ID+": zone")
		require.InDelta(t, 11, told, 2, "with each poll, and no more often")
	})
}
